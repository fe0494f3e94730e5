"""The grid's figures for an operator, in Nautilus' own engine and on its own account."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId, TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import StopMarketOrder
from nautilus_trader.test_kit.stubs.events import TestEventStubs

from tests.support.made_up_market import (
    BAR_TYPE,
    Market,
    config,
    deny_exits,
    feed,
    key,
    make_engine,
    run,
    warm,
)
from warmup_job.hedge_grid.exit_rules import BookPosition, Lot
from warmup_job.hedge_grid.grid_figures import GridFigures, book_figures, order_kind
from warmup_job.hedge_grid.ladder import Book, ExitSteps
from warmup_job.hedge_grid.strategy import HedgeGridV1


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def warmed(**changes: Any) -> HedgeGridV1:
    strategy = HedgeGridV1(config(**changes))
    warm(strategy)
    return strategy


def begun() -> Market:
    return Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")


def shown(strategy: HedgeGridV1) -> GridFigures:
    figures = strategy.figures()
    assert figures is not None
    return figures


def test_grid_figures_before_the_start_are_none() -> None:
    assert warmed().figures() is None


def test_grid_figures_show_a_fill_its_exits_and_the_resting_entries(engine: BacktestEngine) -> None:
    strategy = warmed()
    run(engine, strategy, begun().quote(10, "49940").quote(11, "49960"))
    figures = shown(strategy)
    assert figures.open_orders == {"entry": 5, "take_profit": 1, "stop_loss": 1, "other": 0}
    book = figures.books["LONG"]
    assert (book.quantity, book.entry_price, book.unprotected) == (
        D("0.004"),
        D(49950),
        D(0),
    )
    assert book.unrealised == D("0.04")  # 10 USDT a coin
    assert figures.books["SHORT"].quantity == 0
    assert (figures.regime, figures.is_stopped) == ("SIDEWAYS", False)
    assert (figures.quote_currency, figures.base_currency) == ("USDT", "BTC")


def test_grid_figures_result_is_the_change_of_the_wallet(engine: BacktestEngine) -> None:
    strategy = warmed()
    market = begun().quote(10, "49940").quote(20, "50010").quote(30, "50060").quote(40, "50055")
    run(engine, strategy, market)
    figures = shown(strategy)
    assert figures.realised == D("0.2")  # 0.004 from 49,950 to 50,000
    assert figures.fees > 0
    account = engine.cache.accounts()[0]
    (balance,) = account.balances_total().values()
    assert figures.realised - figures.fees + figures.funding == balance.as_decimal() - 100_000
    assert figures.equity == balance.as_decimal() + figures.unrealised


def test_grid_figures_quantity_without_a_confirmed_stop_is_unprotected(
    engine: BacktestEngine,
) -> None:
    strategy = warmed()
    deny_exits(engine, 1000)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49940"))
    engine.run()
    figures = shown(strategy)
    assert figures.books["LONG"].unprotected == figures.unprotected == D("0.004")
    assert figures.open_orders["stop_loss"] == 0


def stop_order(order_id: str, quantity: str) -> StopMarketOrder:
    """Return a stop loss of a long lot that the exchange has confirmed."""
    made = StopMarketOrder(
        TraderId("TRADER-001"), StrategyId("HedgeGridV1-000"), BAR_TYPE.instrument_id,
        ClientOrderId(order_id), OrderSide.SELL, Quantity.from_str(quantity),
        Price.from_str("48000.0"), TriggerType.LAST_PRICE, UUID4(), 0, reduce_only=True,
    )  # fmt: skip
    made.apply(TestEventStubs.order_submitted(made))
    made.apply(TestEventStubs.order_accepted(made))
    return made


def test_grid_figures_two_stops_of_one_lot_do_not_protect_another() -> None:
    """While a stop is replaced there are two of them, and both close only their own lot."""
    lots = [Lot(key(each), "LONG", D(50_000), D("0.004"), ExitSteps(D(10), 1, 30)) for each in "ab"]
    # 0.002 of it is of no lot
    position: dict[Book, BookPosition] = {"LONG": BookPosition(D("0.010"), D(50_000))}
    twice = [stop_order(f"S{n}-{key('a')}", "0.004") for n in (1, 2)]
    assert book_figures(position, lots, twice, None)["LONG"].unprotected == D("0.006")
    both = [*twice, stop_order(f"S1-{key('b')}", "0.003")]
    assert book_figures(position, lots, both, None)["LONG"].unprotected == D("0.003")


def test_grid_figures_say_why_a_position_has_no_stop() -> None:
    lot = Lot(key("a"), "LONG", D(50_000), D("0.004"), ExitSteps(D(10), 1, 30))
    lot.stop_refusal = "-1008 Server overload"
    position: dict[Book, BookPosition] = {"LONG": BookPosition(D("0.004"), D(50_000))}

    def why(*stops: StopMarketOrder, limited: str = "") -> str:
        return book_figures(position, [lot], stops, None, limited)["LONG"].unprotected_why

    assert why() == "it was not accepted: -1008 Server overload"
    assert why(limited="banned") == "banned"
    assert why(stop_order(f"S1-{key('a')}", "0.004"), limited="banned") == ""


def test_grid_figures_are_json_with_exact_decimals(engine: BacktestEngine) -> None:
    strategy = warmed()
    run(engine, strategy, begun())
    figures = shown(strategy)
    assert msgspec.json.decode(msgspec.json.encode(figures), type=GridFigures) == figures


@pytest.mark.parametrize(
    ("order_id", "kind"),
    [
        (f"E-{key('a')}", "entry"), (f"T1-{key('a')}", "take_profit"),
        (f"S12-{key('a')}", "stop_loss"), ("E-mail", "other"),
        ("Tom-made-it", "other"), ("O-1", "other"), (f"F-{key('a')}", "other"),
    ],
)  # fmt: skip
def test_grid_figures_order_kind_is_read_from_the_id(order_id: str, kind: str) -> None:
    assert order_kind(order_id) == kind
