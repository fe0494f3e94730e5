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
    assert after.funds_until_ms == 5
    try:
        lost = funds("8900", (5, "FUNDING_FEE", "-100"), (6, "REALIZED_PNL", "-1000"))
        assert traded(again, after, lost) == {OrderStatus.CANCELED}
    finally:
        again.dispose()
    figures = after.figures()
    assert figures is not None
    assert (figures.drawdown_pct, figures.funding, figures.realised) == (D(11), D(-100), D(-1000))


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
