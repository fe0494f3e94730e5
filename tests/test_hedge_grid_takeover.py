"""A live restart: the grid takes over the orders and positions that Nautilus reconciles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from msgspec import structs
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.engine import DataEngine
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.execution.reports import (
    ExecutionMassStatus,
    OrderStatusReport,
    PositionStatusReport,
)
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import (
    AccountType,
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
    TimeInForce,
    TriggerType,
)
from nautilus_trader.model.events import (
    AccountState,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderSubmitted,
)
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    PositionId,
    TradeId,
    TraderId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.portfolio.portfolio import Portfolio

from tests.support.made_up_market import BAR_TYPE, config, instrument, key, price_of, warm
from warmup_job.hedge_grid import exit_orders, stop_orders
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.grid_state import STATE_VERSION, GridState, SavedLot, decode_state
from warmup_job.hedge_grid.strategy import HedgeGridV1

ACCOUNT = AccountId("BINANCE-001")


def order(
    order_id: str, side: str, quantity: str, price: str, filled: str = "0.000",
    *, reduce_only: bool = True,
) -> Any:  # fmt: skip
    """Return an open order as Binance's client reports it after a restart."""
    kind = order_id[0]
    value = Price.from_str(price)
    at: dict[str, Any] = {"price": value}
    if kind == "S":
        at = {"trigger_price": value, "trigger_type": TriggerType.LAST_PRICE}
    return OrderStatusReport(
        ACCOUNT, BAR_TYPE.instrument_id, VenueOrderId(f"v-{order_id}"), OrderSide[side],
        OrderType.STOP_MARKET if kind == "S" else OrderType.LIMIT, TimeInForce.GTC,
        OrderStatus.PARTIALLY_FILLED if D(filled) else OrderStatus.ACCEPTED,
        Quantity.from_str(quantity), Quantity.from_str(filled), UUID4(), 1, 1, 1,
        client_order_id=ClientOrderId(order_id), reduce_only=reduce_only, post_only=kind != "S",
        avg_px=D(price) if D(filled) else None, **at,
    )  # fmt: skip


def position(book: str, quantity: str, price: str) -> PositionStatusReport:
    return PositionStatusReport(
        ACCOUNT, BAR_TYPE.instrument_id, PositionSide[book], Quantity.from_str(quantity), UUID4(),
        1, 1, venue_position_id=PositionId(f"{BAR_TYPE.instrument_id}-{book}"),
        avg_px_open=D(price),
    )  # fmt: skip


@dataclass
class Restarted:
    """A strategy that was started after Nautilus had reconciled."""

    strategy: HedgeGridV1
    cache: Cache
    sent: list[Any]
    """Commands that the strategy sent to the execution engine."""
    engine: LiveExecutionEngine

    def accept(self, order: Any) -> None:
        """Let the exchange confirm an order."""
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        self.engine._handle_event(OrderSubmitted(*ids, ACCOUNT, UUID4(), 1, 1))
        number = VenueOrderId(f"v-{ids[-1]}")
        self.engine._handle_event(OrderAccepted(*ids, number, ACCOUNT, UUID4(), 1, 1))

    def cancelled(self, order_id: str) -> None:
        """Let the exchange cancel an order by itself."""
        order = self.cache.order(ClientOrderId(order_id))
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        gone = OrderCanceled(*ids, order.venue_order_id, ACCOUNT, UUID4(), 1, 1)
        self.engine._handle_event(gone)

    def bar(self, price: str) -> list[tuple[str, ...]]:
        """Deliver a closed bar; return the commands that follow it."""
        value, now_ns = Price.from_str(price), self.strategy.clock.timestamp_ns()
        size = Quantity.from_str("1.000")
        self.strategy.on_bar(Bar(BAR_TYPE, value, value, value, value, size, now_ns, now_ns))
        return [described(command) for command in self.sent]


def described(command: Any) -> tuple[str, ...]:
    if isinstance(command, CancelOrder):
        return ("cancel", str(command.client_order_id))
    made = command.order
    return (
        made.client_order_id.value[0], made.side_string(), price_of(made), str(made.quantity),
        str(command.position_id)[-5:].strip("-"),
    )  # fmt: skip


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def restart(
    loop: asyncio.AbstractEventLoop,
    *found: Any,
    lots: tuple[SavedLot, ...] = (),
    owns: Callable[[str], bool] = lambda _: True,
    **changes: Any,
) -> Restarted:
    """Let Nautilus' live engine reconcile these reports, then start the strategy.

    Args:
        loop: The engine's event loop.
        found: The reports.
        lots: What the strategy has saved of its lots.
        owns: Whether the trader made the order with an id; the runner sets it.
        changes: Settings of the strategy file.
    """
    clock, trader_id = LiveClock(), TraderId("WARMUP-001")
    msgbus, cache = MessageBus(trader_id, clock), Cache()
    cache.add_instrument(instrument())
    balance = AccountBalance(Money(10_000, USDT), Money(0, USDT), Money(10_000, USDT))
    cache.add_account(
        AccountFactory.create(
            AccountState(
                ACCOUNT, AccountType.MARGIN, None, True, [balance], [], {}, UUID4(), 1, 1
            )
        )
    )  # fmt: skip
    portfolio = Portfolio(msgbus, cache, clock)
    DataEngine(msgbus, cache, clock)
    engine = LiveExecutionEngine(loop, msgbus, cache, clock)
    strategy = HedgeGridV1(
        config(external_order_claims=[BAR_TYPE.instrument_id], order_id_tag="000", **changes)
    )
    state = GridState(STATE_VERSION, None, None, D(0), D(0), stopped=False, lots=lots)
    strategy.on_load({"grid": msgspec.json.encode(state)})
    strategy.register(trader_id, portfolio, msgbus, cache, clock)
    engine.register_oms_type(strategy)
    engine.register_external_order_claims(strategy)
    status = ExecutionMassStatus(ClientId("BINANCE"), ACCOUNT, Venue("BINANCE"), UUID4(), 1)
    status.add_order_reports([each for each in found if isinstance(each, OrderStatusReport)])
    status.add_position_reports([each for each in found if isinstance(each, PositionStatusReport)])
    engine.reconcile_execution_mass_status(status)
    sent: list[Any] = []
    msgbus.deregister("ExecEngine.execute", engine.execute)
    msgbus.register("ExecEngine.execute", sent.append)
    msgbus.register("RiskEngine.execute", sent.append)
    warm(strategy)
    strategy.owns_order = owns
    strategy.start()
    return Restarted(strategy, cache, sent, engine)


def test_hedge_grid_takeover_continues_a_complete_grid(loop: asyncio.AbstractEventLoop) -> None:
    """One LONG rung is filled, one LONG and one SHORT rung are open, three are missing."""
    restarted = restart(
        loop,
        order(f"E-{key('b')}", "BUY", "0.004", "49900.00", reduce_only=False),
        order(f"E-{key('c')}", "SELL", "0.004", "50050.00", reduce_only=False),
        order(f"S1-{key('a')}", "SELL", "0.004", "48473.00"),
        order(f"T2-{key('a')}", "SELL", "0.004", "50000.00"),
        position("LONG", "0.004", "49950.00"),
    )  # fmt: skip
    assert restarted.sent == []
    assert sorted(restarted.bar("50000.00")) == [
        ("E", "BUY", "49850.10", "0.004", "LONG"), ("E", "SELL", "50100.10", "0.004", "SHORT"),
        ("E", "SELL", "50150.20", "0.004", "SHORT"),
    ]  # fmt: skip
    restarted.sent.clear()
    assert restarted.bar("50000.00") == [], "nothing twice"


@pytest.mark.parametrize(
    ("book", "price", "exits"),
    [
        ("LONG", "49950.00", [("S", "SELL", "48473.00"), ("T", "SELL", "50000.00")]),
        ("SHORT", "50050.00", [("S", "BUY", "51573.50"), ("T", "BUY", "49999.90")]),
    ],
)
def test_hedge_grid_takeover_sends_missing_exits(
    loop: asyncio.AbstractEventLoop, book: str, price: str, exits: list[tuple[str, ...]]
) -> None:
    restarted = restart(loop, position(book, "0.004", price))
    sent = [described(command) for command in restarted.sent]
    assert sent == [(*each, "0.004", book) for each in exits], "before the first bar"


def test_hedge_grid_takeover_shrinks_a_stop_larger_than_its_lot(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """The target was partly filled before the process was killed."""
    restarted = restart(
        loop,
        order(f"S1-{key('a')}", "SELL", "0.010", "48473.00"),
        order(f"T2-{key('a')}", "SELL", "0.010", "50000.00", filled="0.004"),
        position("LONG", "0.006", "49950.00"),
    )
    assert restarted.bar("49960.00")[0] == ("S", "SELL", "48473.00", "0.006", "LONG")
    new = restarted.sent[0].order
    restarted.sent.clear()
    restarted.accept(new)
    assert [described(each) for each in restarted.sent] == [("cancel", f"S1-{key('a')}")]


def test_hedge_grid_takeover_keeps_its_stop_although_it_returns_without_reduce_only(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """In hedge mode Binance does not store the flag of what was sent."""
    stop = order(f"S1-{key('a')}", "SELL", "0.004", "48473.00", reduce_only=False)
    target = order(f"T1-{key('a')}", "SELL", "0.004", "50000.00", reduce_only=False)
    restarted = restart(loop, stop, target, position("LONG", "0.004", "49950.00"))
    assert restarted.sent == []
    assert not [each for each in restarted.bar("50000.00") if each[0] != "E"]


@pytest.mark.parametrize(
    ("order_id", "side"),
    [
        ("Tom-made-it", "BUY"), ("E-mail", "BUY"), ("S1-manual", "SELL"), ("T1-a", "SELL"),
        ("web_AbCdEf", "SELL"), ("x-1234-E-20231114", "BUY"),
        ("E-20231114-221400-abcx-000-7", "BUY"), ("S1-20231114-221400-abcx-000-7", "SELL"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reduce_only", [True, False])
def test_hedge_grid_takeover_never_touches_orders_of_others(
    loop: asyncio.AbstractEventLoop, order_id: str, side: str, *, reduce_only: bool
) -> None:
    theirs = order(order_id, side, "0.004", "40000.00", reduce_only=reduce_only)
    restarted = restart(
        loop, theirs, position("LONG", "0.004", "49950.00"), owns=lambda each: "-abcx-" not in each
    )
    for price in ("50000.00", "51000.00", "49000.00"):
        assert not [each for each in restarted.bar(price) if order_id in each]


def test_hedge_grid_takeover_cancels_surplus_exits_and_keeps_orders_of_others(
    loop: asyncio.AbstractEventLoop,
) -> None:
    restarted = restart(
        loop,
        order(f"S1-{key('a')}", "SELL", "0.004", "48473.00"),
        order("Tom-made-it", "BUY", "0.004", "40000.00"),
    )
    assert [described(command) for command in restarted.sent] == [("cancel", f"S1-{key('a')}")]
    assert not [each for each in restarted.bar("50000.00") if "Tom-made-it" in each]


# -- other grid steps --------------------------------------------------------------------------


def kept(letter: str, entry: str, quantity: str = "0.004", unfilled: str = "0") -> SavedLot:
    """Return a lot that was opened with 10 bps, 1 step to the target and 30 to the stop."""
    return SavedLot(key(letter), "LONG", D(entry), D(quantity), D(10), 1, 30, D(unfilled))


def test_hedge_grid_takeover_with_other_steps_keeps_the_exits_of_old_lots(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Read by the new file, the stop at 48,473 is that of an entry at 50,500: sold at a loss."""
    restarted = restart(
        loop,
        order(f"S1-{key('a')}", "SELL", "0.004", "48473.00"),
        position("LONG", "0.004", "49950.00"),
        lots=(kept("a", "49950.0"),), grid_step_bps=D(50), tp_steps=2, sl_steps=8,
    )  # fmt: skip
    sent = restarted.bar("49960.00")
    assert [each for each in sent if each[0] in "ST"] == [
        ("T", "SELL", "50000.00", "0.004", "LONG")
    ]
    new = [each for each in sent if each[0] == "E"]
    assert ("E", "BUY", "49710.20", "0.004", "LONG") in new


def test_hedge_grid_takeover_after_a_kill_before_the_exits_knows_each_lot(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Two rungs were filled: a had been saved as a lot, b only as an open entry."""
    restarted = restart(
        loop,
        position("LONG", "0.008", "49925.00"),
        lots=(kept("a", "49950.0"), kept("b", "49900.0", "0", "0.004")),
    )  # fmt: skip
    sent = [each for each in restarted.bar("49960.00") if each[0] in "ST"]
    assert sorted(sent) == [
        ("S", "SELL", "48424.50", "0.004", "LONG"), ("S", "SELL", "48473.00", "0.004", "LONG"),
        ("T", "SELL", "49949.90", "0.004", "LONG"), ("T", "SELL", "50000.00", "0.004", "LONG"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("open_stops", "sent"), [([], ["S8", "T9"]), (["S3"], ["T8"])], ids=["no exit", "a stop"]
)
def test_hedge_grid_takeover_never_uses_an_order_id_of_an_earlier_run_again(
    loop: asyncio.AbstractEventLoop, open_stops: list[str], sent: list[str]
) -> None:
    """The answer to a query for a new S1 would be the former one, which is closed."""
    stops = [order(f"{each}-{key('a')}", "SELL", "0.004", "48473.00") for each in open_stops]
    restarted = restart(
        loop,
        *stops,
        position("LONG", "0.004", "49950.00"),
        lots=(structs.replace(kept("a", "49950.0"), exits=7),),
    )
    exits = [each for each in restarted.cache.orders() if each.is_reduce_only]
    ids = sorted(each.client_order_id.value.partition("-")[0] for each in exits)
    assert ids == sorted([*open_stops, *sent])
    (saved,) = decode_state(restarted.strategy.on_save()["grid"]).lots
    assert f"{saved.exits}" == sent[-1][1:], "also for the next run"


def test_hedge_grid_takeover_adds_what_an_entry_has_filled_since_to_its_lot(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Of 0.010, 0.004 were filled and protected before the kill, and 0.003 after it."""
    restarted = restart(
        loop,
        order(f"E-{key('a')}", "BUY", "0.010", "49950.00", filled="0.007"),
        order(f"S1-{key('a')}", "SELL", "0.004", "48473.00"),
        order(f"T1-{key('a')}", "SELL", "0.004", "50000.00"),
        position("LONG", "0.007", "49950.00"),
        lots=(kept("a", "49950.0"), kept("a", "49950.0", "0", "0.006")), base_qty=D("0.010"),
    )  # fmt: skip
    (lot,) = restarted.strategy._orders.exits.lots
    assert (lot.key, lot.entry, lot.quantity) == (key("a"), D("49950.0"), D("0.007"))


def fill(restarted: Restarted, order_id: str) -> None:
    """Let the exchange fill an order completely."""
    entry = restarted.cache.order(ClientOrderId(order_id))
    restarted.engine._handle_event(
        OrderFilled(
            entry.trader_id, entry.strategy_id, entry.instrument_id, entry.client_order_id,
            entry.venue_order_id, ACCOUNT, TradeId("1"),
            PositionId(f"{BAR_TYPE.instrument_id}-LONG"), entry.side, entry.order_type,
            entry.quantity, entry.price, USDT, Money(0, USDT), LiquiditySide.MAKER, UUID4(), 1, 1,
        )
    )  # fmt: skip


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that the grid logs, with their levels."""
    lines: list[str] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(
            GridLog, level, lambda _, text, *__, level=level: lines.append(f"{level}: {text}")
        )
    return lines


def test_fill_of_an_entry_that_was_taken_over_is_not_logged_as_rung_0(
    loop: asyncio.AbstractEventLoop, logged: list[str]
) -> None:
    """Rungs are numbered from 1, by the run that has sent them."""
    restarted = restart(loop, order(f"E-{key('b')}", "BUY", "0.004", "49900.00", reduce_only=False))
    assert "info: Took over 1 entry, 0 exits and 0 lots" in logged
    fill(restarted, f"E-{key('b')}")
    (line,) = [each for each in logged if "Filled" in each]
    assert line == "info: Filled 0.004 at 49900 (LONG entry that was taken over)"


def test_fill_of_an_entry_of_this_run_has_its_rung_also_after_a_change_by_hand(
    loop: asyncio.AbstractEventLoop, logged: list[str]
) -> None:
    restarted = restart(loop)
    restarted.bar("50000.00")
    entry = max(
        (each.order for each in restarted.sent if each.order.side == OrderSide.BUY),
        key=lambda each: each.price,
    )
    restarted.accept(entry)
    restarted.strategy._orders.take_over(())  # as after a change of the position by another client
    fill(restarted, entry.client_order_id.value)
    assert "info: Filled 0.004 at 49950 (LONG rung 1)" in logged


@pytest.mark.parametrize(
    ("stop", "line"),
    [
        ("0.004", "warning: {}; 0.003 had no stop loss until now"),
        ("0.007", "info: {}"),
    ],
)
def test_hedge_grid_takeover_logs_what_has_filled_while_the_trader_was_down(
    loop: asyncio.AbstractEventLoop, logged: list[str], stop: str, line: str
) -> None:
    """Of 0.010, 0.004 were filled before, and 0.003 meanwhile; of another lot nothing was."""
    restart(
        loop,
        order(f"E-{key('a')}", "BUY", "0.010", "49950.00", filled="0.007"),
        order(f"S1-{key('a')}", "SELL", stop, "48473.00"),
        order(f"S1-{key('c')}", "BUY", "0.004", "51550.00"),
        position("LONG", "0.007", "49950.00"),
        position("SHORT", "0.004", "50050.00"),
        lots=(
            kept("a", "49950.0"), kept("a", "49950.0", "0", "0.006"),
            structs.replace(kept("c", "50050.0"), book="SHORT"),
        ), base_qty=D("0.010"),
    )  # fmt: skip
    found = [each for each in logged if "was down" in each]
    said = f"Filled while the trader was down: 0.003 at 49950 (LONG, E-{key('a')})"
    assert found == [line.format(said)]


# -- what the exchange changes -----------------------------------------------------------------


def test_hedge_grid_takeover_coarser_step_size_leaves_exits_and_rounds_new_ones_down(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, each new exit was of another size than its lot, and replaced for ever."""
    monkeypatch.setattr(stop_orders, "_CANCELED_WAIT_MS", 0)
    stop, target = f"S1-{key('a')}", f"T2-{key('a')}"
    restarted = restart(
        loop,
        order(stop, "SELL", "0.025", "48473.00"),
        order(target, "SELL", "0.025", "50000.00"),
        position("LONG", "0.025", "49950.00"),
    )
    listed = type(instrument()).to_dict(instrument())
    coarse = {"size_precision": 2, "size_increment": "0.01", "min_quantity": "0.01"}
    restarted.cache.add_instrument(type(instrument()).from_dict(listed | coarse))
    restarted.bar("49960.00")
    assert not [each for each in restarted.sent if isinstance(each, CancelOrder)]
    restarted.sent.clear()
    for order_id in (stop, target):
        restarted.cancelled(order_id)
    restarted.strategy._orders.exits.protect_all()
    sent = [described(each) for each in restarted.sent]
    assert sorted(sent) == [
        ("S", "SELL", "48473.00", "0.02", "LONG"), ("T", "SELL", "50000.00", "0.02", "LONG"),
    ]  # fmt: skip
    for command in list(restarted.sent):
        restarted.accept(command.order)
    restarted.bar("49960.00")
    assert [described(each) for each in restarted.sent if described(each)[0] != "E"] == sent


def test_hedge_grid_takeover_splits_a_lot_that_no_market_order_can_close(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binance lowered the limit; a stop loss above it is refused (-4005)."""
    monkeypatch.setattr(exit_orders, "largest_market_order", lambda _: D("0.003"))
    restarted = restart(
        loop,
        order(f"S1-{key('a')}", "SELL", "0.004", "48473.00"),
        order(f"T2-{key('a')}", "SELL", "0.004", "50000.00"),
        position("LONG", "0.010", "49950.00"),
        lots=(kept("a", "49950.0", "0.010"),),
    )
    stops = [described(each) for each in restarted.sent if described(each)[0] == "S"]
    assert [each[2:4] for each in stops] == [
        ("48473.00", "0.003"), ("48473.00", "0.003"),
    ]  # fmt: skip
    assert not [each for each in restarted.sent if isinstance(each, CancelOrder)]
    lots = decode_state(restarted.strategy.on_save()["grid"]).lots
    assert sorted(lot.quantity for lot in lots) == [D("0.003"), D("0.003"), D("0.004")]
    assert len({lot.key for lot in lots}) == 3
