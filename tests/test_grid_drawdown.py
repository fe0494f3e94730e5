"""The drawdown limit of a live grid: judged by the account's equity, also over a restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.enums import OrderStatus

from tests.support.made_up_market import (
    SECOND_NS,
    START_NS,
    Market,
    config,
    feed,
    make_engine,
    orders_of,
    warm,
)
from warmup_job.binance.funds import AccountFunds, AssetFunds, Income
from warmup_job.hedge_grid.strategy import HedgeGridV1


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def made_grid(**changes: Any) -> HedgeGridV1:
    strategy = HedgeGridV1(config(max_drawdown_pct=D(10), **changes))
    warm(strategy)
    return strategy


def funds(wallet: str, *rows: tuple[int, str, str]) -> AccountFunds:
    income = tuple(Income(at, kind, "BTCUSDT", "USDT", D(amount)) for at, kind, amount in rows)
    return AccountFunds(1, {"USDT": AssetFunds(D(wallet), D(0))}, income)


def traded(engine: BacktestEngine, strategy: HedgeGridV1, *readings: AccountFunds) -> set[Any]:
    """Give the grid these readings at the seconds 10, 20, …; return its orders' states."""
    engine.add_strategy(strategy)
    feed(engine, Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(99, "50000"))
    for number, reading in enumerate(readings, start=1):
        at_ns = START_NS + number * 10 * SECOND_NS

        def give(_: object, reading: AccountFunds = reading) -> None:
            assert strategy.on_account_funds(reading)

        strategy.clock.set_time_alert_ns(f"reading {number}", at_ns, give)
    engine.run()
    return {order.status for order in orders_of(engine)}


LOSS = (5, "REALIZED_PNL", "-1000")


def test_grid_drawdown_of_the_account_cancels_the_entries(engine: BacktestEngine) -> None:
    strategy = made_grid()
    assert traded(engine, strategy, funds("10000"), funds("9000", LOSS)) == {OrderStatus.CANCELED}
    figures = strategy.figures()
    assert figures is not None
    assert (figures.drawdown_pct, figures.is_stopped, figures.realised) == (D(10), True, D(-1000))


@pytest.mark.parametrize(("amount", "wallet"), [("9000", "19000"), ("-9000", "1000")])
def test_grid_drawdown_ignores_deposits_and_withdrawals(
    engine: BacktestEngine, amount: str, wallet: str
) -> None:
    strategy = made_grid()
    moved = funds(wallet, (5, "TRANSFER", amount))
    assert traded(engine, strategy, funds("10000"), moved) == {OrderStatus.ACCEPTED}
    figures = strategy.figures()
    assert figures is not None
    assert (figures.drawdown_pct, figures.realised, figures.funding) == (D(0), D(0), D(0))


def test_grid_drawdown_without_protection_is_shown_only(engine: BacktestEngine) -> None:
    strategy = made_grid(enable_drawdown_protection=False)
    assert traded(engine, strategy, funds("10000"), funds("9000", LOSS)) == {OrderStatus.ACCEPTED}
    figures = strategy.figures()
    assert figures is not None
    assert figures.drawdown_pct == 10


def test_grid_drawdown_counts_a_loss_while_the_trader_was_down(engine: BacktestEngine) -> None:
    before = made_grid()
    traded(engine, before, funds("10000"), funds("9900", (5, "FUNDING_FEE", "-100")))
    after, again = made_grid(), make_engine()
    after.on_load(before.on_save())
    assert after.funds_until_ms == before.funds_until_ms
    try:
        lost = funds("8900", (5, "FUNDING_FEE", "-100"), (6, "REALIZED_PNL", "-1000"))
        assert traded(again, after, lost) == {OrderStatus.CANCELED}
    finally:
        again.dispose()
    figures = after.figures()
    assert figures is not None
    assert (figures.drawdown_pct, figures.funding, figures.realised) == (D(11), D(-100), D(-1000))


def test_grid_drawdown_equity_of_the_figures_and_the_limits_is_the_readings(
    engine: BacktestEngine,
) -> None:
    """Nautilus has 100,000, as after lost events; another symbol's position has lost 50."""
    strategy = made_grid()
    read = AccountFunds(
        7_000, {"USDT": AssetFunds(D(9_000), D(-60))}, (), {"BTCUSDT": D(-10), "ETHUSDT": D(-50)}
    )
    traded(engine, strategy, read)
    figures = strategy.figures()
    assert figures is not None
    assert (figures.equity, figures.unrealised) == (D(8_940), D(-10))
    assert figures.result_at_ms == 7_000
    caps = strategy._orders.account.caps(strategy.config, D(50_000))
    assert caps.equity == D(8_940)


def test_grid_drawdown_equity_after_a_restart_is_the_last_one_until_the_account_is_read(
    engine: BacktestEngine,
) -> None:
    """The limits use what Nautilus has read at the start: the saved equity may be of last week."""
    before = made_grid()
    traded(engine, before, funds("10000"), funds("9500", (5, "FUNDING_FEE", "-500")))
    after, again = made_grid(), make_engine()
    after.on_load(before.on_save())
    try:
        traded(again, after)
        figures = after.figures()
        caps = after._orders.account.caps(after.config, D(50_000))
    finally:
        again.dispose()
    assert figures is not None
    assert (figures.equity, figures.result_at_ms, figures.drawdown_pct) == (D(9_500), 1, D(5))
    assert caps.equity == D(100_000)


def test_grid_drawdown_of_a_lost_state_starts_again(engine: BacktestEngine) -> None:
    assert traded(engine, made_grid(), funds("8900")) == {OrderStatus.ACCEPTED}


def test_grid_drawdown_of_an_earlier_versions_state_goes_on(engine: BacktestEngine) -> None:
    strategy = made_grid()
    state = (
        b'{"version":1,"center":null,"capital":"10000","realised":"-900","peak":"0",'
        b'"stopped":false}'
    )
    strategy.on_load({"grid": state})
    lost = funds("8900", (5, "REALIZED_PNL", "-200"))
    assert traded(engine, strategy, funds("9100"), lost) == {OrderStatus.CANCELED}


def test_grid_drawdown_of_an_earlier_versions_state_includes_its_open_positions(
    engine: BacktestEngine,
) -> None:
    """It had lost 500 from its peak, and its positions have lost 600 since."""
    strategy = made_grid()
    state = (
        b'{"version":1,"center":null,"capital":"10000","realised":"0","peak":"500","stopped":false}'
    )
    strategy.on_load({"grid": state})
    held = AccountFunds(1, {"USDT": AssetFunds(D(10_000), D(-600))}, ())
    assert traded(engine, strategy, held) == {OrderStatus.CANCELED}
    figures = strategy.figures()
    assert figures is not None
    assert figures.drawdown_pct.quantize(D("0.01")) == D("10.48")  # 1,100 of 10,500


def test_grid_drawdown_judges_nothing_before_the_income_explains_the_wallet(
    engine: BacktestEngine,
) -> None:
    strategy = made_grid()
    traded(engine, strategy, funds("10000"))
    assert not strategy.on_account_funds(funds("9000"))
    figures = strategy.figures()
    assert figures is not None
    assert (figures.drawdown_pct, figures.is_stopped) == (D(0), False)


def lift_at(strategy: HedgeGridV1, second: int) -> list[bool]:
    """Let the operator lift the stop at this second; return what the grid answers."""
    answers: list[bool] = []
    strategy.clock.set_time_alert_ns(
        f"lift {second}", START_NS + second * SECOND_NS,
        lambda _: answers.append(strategy.lift_drawdown_stop()),
    )  # fmt: skip
    return answers


def test_grid_drawdown_stop_is_lifted_by_the_operator(engine: BacktestEngine) -> None:
    """Entries rest at once, and the next loss is measured from the equity at that moment."""
    strategy = made_grid()
    changes: list[bool] = []
    engine.add_strategy(strategy)  # its clock is known from here on
    strategy.on_state_change = lambda: changes.append(strategy._result.is_stopped)
    answers = lift_at(strategy, 25)
    readings = funds("10000"), funds("9000", LOSS), funds("8200", (6, "REALIZED_PNL", "-800"))
    feed(engine, Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(99, "50000"))
    for number, reading in enumerate(readings, start=1):
        at_ns = START_NS + number * 10 * SECOND_NS
        strategy.clock.set_time_alert_ns(
            f"r{number}", at_ns, lambda _, each=reading: strategy.on_account_funds(each)
        )
    engine.run()
    assert answers == [True]
    assert changes.index(False, changes.index(True)), "the state is saved once more"
    figures = strategy.figures()
    assert figures is not None
    assert (figures.is_stopped, figures.block_reason) == (False, "")
    assert figures.drawdown_pct.quantize(D("0.01")) == D("8.89")  # 800 of 9,000
    statuses = [order.status for order in orders_of(engine)]
    assert statuses == [OrderStatus.CANCELED] * 6 + [OrderStatus.ACCEPTED] * 6


def test_grid_drawdown_stop_that_was_lifted_stays_lifted_over_a_restart(
    engine: BacktestEngine,
) -> None:
    before = made_grid()
    traded(engine, before, funds("10000"), funds("9000", LOSS))
    restarted = made_grid()
    restarted.on_load(before.on_save())
    assert restarted.lift_drawdown_stop()  # the operator is quicker than the start
    after, again = made_grid(), make_engine()
    after.on_load(restarted.on_save())
    try:
        assert traded(again, after, funds("9000")) == {OrderStatus.ACCEPTED}
    finally:
        again.dispose()
    figures = after.figures()
    assert figures is not None
    assert (figures.is_stopped, figures.drawdown_pct) == (False, D(0))


def test_grid_drawdown_stop_of_the_grids_own_result_is_lifted(engine: BacktestEngine) -> None:
    """On paper: it holds a position that has lost more than the limit, and keeps it."""
    strategy = HedgeGridV1(config(
        base_qty=D("0.9"), sl_steps=60, max_drawdown_pct=D(1), max_inventory_quote=D(10**6),
        grid_levels_long=1, grid_levels_short=1, max_position_size=D(9),
    ))  # fmt: skip
    warm(strategy)
    engine.add_strategy(strategy)
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000").quote(10, "49940")
    market.quote(50, "48700").bar(62, "48700").quote(63, "48700").bar(122, "48700")
    feed(engine, market.quote(130, "48700"))
    answers = [lift_at(strategy, second) for second in (40, 70, 80)]
    engine.run()
    assert answers == [[False], [True], [False]]
    figures = strategy.figures()
    assert figures is not None
    assert (figures.is_stopped, figures.drawdown_pct) == (False, D(0))
    assert figures.unrealised < -1000
    assert figures.open_orders["entry"] > 0
