"""A flatten of HedgeGridV1's positions, in Nautilus' own engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal as D
from typing import Any

import pytest
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType
from nautilus_trader.model.identifiers import PositionId

from tests.support.made_up_market import (
    BAR_TYPE,
    Market,
    config,
    feed,
    instrument,
    make_engine,
    of_kind,
    orders_of,
    price_of,
    refuse,
    warm,
)
from tests.support.suite import HANG_S
from warmup_job.catalog.instruments import largest_market_order
from warmup_job.errors import ExchangeUnreachableError
from warmup_job.handoff import flatten as module
from warmup_job.handoff.flatten import (
    Flattening,
    HeldPosition,
    ReadPositions,
)
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.reporting.flatten_report import FlatReport
from warmup_job.hedge_grid.grid_figures import order_kind
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.market.client_order_ids import parse_client_order_id

LONG = PositionId(f"{BAR_TYPE.instrument_id}-LONG")
BUSY = {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL}


class Scene:
    """A grid with one filled rung on each side; its market goes on while it is flattened."""

    def __init__(self, engine: BacktestEngine) -> None:
        self.engine = engine
        self.strategy = HedgeGridV1(config(tp_steps=5))
        warm(self.strategy)
        engine.add_strategy(self.strategy)
        self.operator = OperatorControl()
        self.operator.on_change = lambda: self.strategy.on_operator_state(self.operator.state)
        self.second = 0.0
        self.looks: list[tuple[str, ...]] = []
        """What was open after each quote: kinds of orders and sides of positions."""
        self.play(Market().quote(1, "50000").bar(2, "50000").quote(3, "50000"), 3)
        self.play(
            Market().quote(4, "49949").quote(5, "50000").quote(6, "50051").quote(7, "50000"), 7
        )

    def play(self, market: Market, until_s: float) -> None:
        self.engine.clear_data()
        feed(self.engine, market)
        self.engine.run(streaming=True)
        self.second = until_s

    def held(self) -> list[HeldPosition]:
        return [
            HeldPosition(each.instrument_id, each.id, each.is_long, each.quantity.as_decimal())
            for each in self.engine.cache.positions_open()
        ]

    def open_kinds(self, *kinds: str) -> list[Any]:
        return [
            order
            for order in orders_of(self.engine)
            if order.status in BUSY and order.client_order_id.value[0] in (kinds or "ETS")
        ]

    def closings(self) -> list[Any]:
        return [each for each in orders_of(self.engine) if price_of(each) == "market"]

    def flattening(self, read: ReadPositions) -> Flattening:
        cache, strategies = self.engine.cache, [self.strategy]
        own_orders = OwnOrders(cache, strategies, TraderIdentity())
        return Flattening(cache, strategies, own_orders, read, self.operator)

    def flatten(
        self, read: Callable[[], Sequence[HeldPosition]] | None = None
    ) -> tuple[FlatReport, list[str]]:
        """Flatten, with a quote and a bar every 0.1 s; return the report and the steps."""

        async def asked() -> Sequence[HeldPosition]:
            return (read or self.held)()

        async def trade() -> None:
            while True:
                now = self.second + 0.1
                self.play(Market().quote(now, "50000").bar(now, "50000"), now)
                kinds = {order.client_order_id.value[0] for order in self.open_kinds()}
                sides = {str(each.position_id).rpartition("-")[2] for each in self.held()}
                self.looks.append((*sorted(kinds), *sorted(sides)))
                await asyncio.sleep(0.001)

        async def run() -> tuple[FlatReport, list[str]]:
            steps = self.operator.follow()
            self.operator.set("flattening")
            market = asyncio.create_task(trade())
            async with asyncio.timeout(HANG_S):
                await self.flattening(asked).run()
            market.cancel()
            await asyncio.gather(market, return_exceptions=True)
            told = [steps.get_nowait() for _ in range(steps.qsize())]
            (report,) = [each for each in told if isinstance(each, FlatReport)]
            return report, [each for each in told if isinstance(each, str)]

        return asyncio.run(run())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(module, "_AGAIN_S", 0.05)
    engine = make_engine()
    made = Scene(engine)
    assert sorted(str(each.position_id).rpartition("-")[2] for each in made.held()) == [
        "LONG", "SHORT",
    ]  # fmt: skip
    assert {order.client_order_id.value[0] for order in made.open_kinds()} == {"E", "T", "S"}
    yield made
    engine.dispose()


def test_flatten_closes_both_books_and_leaves_no_order(scene: Scene) -> None:
    report, steps = scene.flatten()
    assert report.flat
    assert {each.position.rpartition("-")[2]: each.quantity for each in report.closed} == {
        "LONG": D("0.004"), "SHORT": D("0.004"),
    }  # fmt: skip
    assert {each.price for each in report.closed} == {D("49999.95"), D("50000.05")}
    assert report.orders_left == 0
    assert not scene.held()
    assert not scene.open_kinds()
    assert scene.operator.state == "paused"
    assert steps[0] == "cancelling entries and take profits"
    assert steps[-1] == "the exchange reports no position; cancelling the remaining exits"


def test_flatten_keeps_stop_losses_until_the_positions_are_gone(scene: Scene) -> None:
    scene.flatten()
    held = [look for look in scene.looks if {"LONG", "SHORT"} & {*look}]
    assert held
    assert all("S" in look for look in held)
    assert ("S", "LONG", "SHORT") in scene.looks  # entries and take profits went first


def test_flatten_sends_exactly_one_exit_for_each_position(scene: Scene) -> None:
    """The grid neither replaces cancelled exits nor sends new ones."""
    before = len(orders_of(scene.engine))
    scene.flatten()
    new = orders_of(scene.engine)[before:]
    assert new == scene.closings()
    assert sorted((OrderSide(each.side).name, str(each.quantity)) for each in new) == [
        ("BUY", "0.004"), ("SELL", "0.004"),
    ]  # fmt: skip
    assert all(each.is_reduce_only for each in new)
    ids = [each.client_order_id.value for each in new]
    parts = [parse_client_order_id(each) for each in ids]
    assert [part and part.purpose for part in parts] == ["close"] * 2
    assert {order_kind(each) for each in ids} == {"other"}, "it is no exit of a lot"


def test_flatten_of_a_strategy_with_a_thousand_orders_has_ids_that_binance_accepts(
    scene: Scene,
) -> None:
    """Before, the ids had 37 characters, so Binance refused every order with −4015, for ever."""
    scene.strategy.order_factory.set_client_order_id_count(999)
    report, _ = scene.flatten()
    assert report.flat
    longest = TraderIdentity(prefix="abc", folder="xyz", run="1").tag
    for each in scene.closings():
        parts = parse_client_order_id(each.client_order_id.value)
        assert parts is not None
        assert len(each.client_order_id.value) - len(parts.tag) + len(longest) <= 36
    counts = [each.client_order_id.value.rpartition("-")[2] for each in scene.closings()]
    assert sorted(counts) == ["1", "2"]


def test_refused_orders_of_a_flatten_do_not_open_the_circuit_breaker(scene: Scene) -> None:
    left = [1] * 40

    def few(order: Any) -> bool:
        return order.order_type == OrderType.MARKET and bool(left) and bool(left.pop())

    refuse(scene.engine, scene.strategy, few, "{'code': -2010, 'msg': 'No.'}")
    report, _ = scene.flatten()
    assert report.flat
    assert not left
    figures = scene.strategy.figures()
    assert figures is not None
    assert figures.breaker_until_ms == 0


def test_grid_trades_again_after_a_resume(scene: Scene) -> None:
    scene.flatten()
    scene.play(Market().bar(scene.second + 1, "50000"), scene.second + 1)
    assert not scene.open_kinds()
    scene.operator.set("trading")
    scene.play(Market().quote(scene.second + 1, "50000"), scene.second + 1)
    assert len(scene.open_kinds("E")) == 6


def test_stop_losses_go_first_where_the_exchange_demands_it(scene: Scene) -> None:
    """Binance's −4118: other closing orders rest."""

    def rest(order: Any) -> bool:
        return order.order_type == OrderType.MARKET and bool(scene.open_kinds("S"))

    reason = "{'code': -4118, 'msg': 'ReduceOnly Order Failed.'}"
    refuse(scene.engine, scene.strategy, rest, reason)
    report, steps = scene.flatten()
    assert report.flat
    assert not scene.held()
    assert any(step.endswith("refused: -4118 ReduceOnly Order Failed.") for step in steps)
    refused = [each for each in scene.closings() if each.status == OrderStatus.REJECTED]
    assert len(refused) == 2  # one for each book


def test_flatten_waits_while_the_exchange_does_not_answer(scene: Scene) -> None:
    answers = iter(["down"] * 3)

    def read() -> Sequence[HeldPosition]:
        if next(answers, None):
            raise ExchangeUnreachableError("no answer")
        return scene.held()

    report, steps = scene.flatten(read)
    assert report.flat
    assert "the exchange does not report the positions: no answer" in steps
    assert len(scene.closings()) == 2


def test_flatten_is_not_over_before_the_exchange_says_so(scene: Scene) -> None:
    """The trader saw the fills, but the exchange still reports what was there."""
    late = iter([scene.held()] * 4)
    report, _ = scene.flatten(lambda: next(late, None) or scene.held())
    assert report.flat
    assert next(late, None) is None
    assert len(scene.closings()) == 2


def test_position_that_nautilus_does_not_know_is_not_opened_by_closing_it(scene: Scene) -> None:
    stranger = HeldPosition(BAR_TYPE.instrument_id, PositionId("X-LONG"), True, D(1))
    answers = iter([[stranger]] * 3)
    report, steps = scene.flatten(lambda: next(answers, None) or scene.held())
    assert report.flat
    assert any("waiting until the account is reconciled" in step for step in steps)
    assert {str(each.quantity) for each in scene.closings()} == {"0.004"}


def test_flatten_closes_no_more_than_the_exchange_reports(scene: Scene) -> None:
    """Somebody has closed half of it by hand, and the trader has not heard of that yet."""
    half = [each._replace(quantity=D("0.002")) for each in scene.held()]
    first = iter([half])
    scene.flatten(lambda: next(first, None) or scene.held())
    assert {str(each.quantity) for each in scene.closings()} == {"0.002"}


def test_pause_ends_a_flatten_and_the_grid_protects_what_is_left(scene: Scene) -> None:
    def read() -> Sequence[HeldPosition]:
        scene.operator.set("paused")
        return scene.held()

    report, _ = scene.flatten(read)
    assert not report.flat
    assert "before it was flat" in report.why_not
    scene.play(Market().quote(scene.second + 1, "50000"), scene.second + 1)
    assert len(scene.open_kinds("S")) == len(scene.open_kinds("T")) == 2
    assert not scene.open_kinds("E")


def test_market_orders_are_no_larger_than_binance_accepts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = instrument()
    (limit,) = [
        D(each["maxQty"])
        for each in listed.info["filters"]
        if each["filterType"] == "MARKET_LOT_SIZE"
    ]
    assert largest_market_order(listed) == min(limit, listed.max_quantity.as_decimal())
    monkeypatch.setattr(module, "largest_market_order", lambda _: D("0.003"))
    report, _ = scene.flatten()
    assert report.flat
    assert sorted(str(each.quantity) for each in scene.closings()) == ["0.001"] * 2 + ["0.003"] * 2
    assert {each.quantity for each in report.closed} == {D("0.004")}
    assert of_kind(scene.closings(), "F") == scene.closings()
