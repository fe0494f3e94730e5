"""The gate at the engines' inputs: data, subscriptions, requests for bars, and orders.

There, and not at a strategy's handlers: so the cache and every strategy see one order of bars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import (
    DataResponse,
    RequestBars,
    SubscribeBars,
    UnsubscribeBars,
)
from nautilus_trader.execution.messages import SubmitOrder, SubmitOrderList
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel

type _Handler = tuple[str, Callable[..., None], Callable[..., None]]
"""An endpoint of the message bus, its handler, and what stands in for that."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Who decides on what passes.

    Args:
        on_bar: takes a bar; False: nobody keeps that stream, so that it goes on as it is.
        on_quote: what the engine gets of a quote; None: nothing.
        source_of: the bar type whose subscription stands in for one of this type.
        is_needed: whether somebody still needs the venue's bars of a type that was let go of.
        on_subscribed: called with a bar type that somebody has just subscribed to.
        on_unsubscribed: called with one that somebody has just let go of.
        on_request: takes a request for bars; False: Nautilus answers it itself.
        deny: why an order that is submitted or released now must not leave; empty: it may.
    """

    on_bar: Callable[[Bar], bool]
    on_quote: Callable[[QuoteTick], QuoteTick | None]
    source_of: Callable[[BarType], BarType]
    is_needed: Callable[[BarType], bool]
    on_subscribed: Callable[[BarType], None]
    on_unsubscribed: Callable[[BarType], None]
    on_request: Callable[[RequestBars], bool]
    deny: Callable[[Order], str]


def install(gate: Gate, node: TradingNode) -> None:
    """Stand in for the engines' handlers of data, of commands, of requests and of orders."""
    kernel = node.kernel
    engine = kernel.data_engine

    def process(data: object) -> None:
        if isinstance(data, Bar):
            if gate.on_bar(data):
                return
        elif isinstance(data, QuoteTick) and (data := gate.on_quote(data)) is None:
            return
        engine.process(data)

    def execute(command: object) -> None:
        if isinstance(command, SubscribeBars | UnsubscribeBars):
            _subscription(gate, engine.execute, command)
        else:
            engine.execute(command)

    def request(asked: object) -> None:
        if not (isinstance(asked, RequestBars) and gate.on_request(asked)):
            engine.request(asked)

    handlers: list[_Handler] = [
        ("DataEngine.process", engine.process, process),
        ("DataEngine.execute", engine.execute, execute),
        ("DataEngine.request", engine.request, request),
        *_order_handlers(gate, kernel),
    ]
    for endpoint, before, after in handlers:
        kernel.msgbus.deregister(endpoint=endpoint, handler=before)
        kernel.msgbus.register(endpoint=endpoint, handler=after)


def _order_handlers(gate: Gate, kernel: NautilusKernel) -> list[_Handler]:
    """In front of whatever an order passes on its way out."""
    risk, emulator, execution = kernel.risk_engine, kernel.emulator, kernel.exec_engine

    def refused(command: object) -> bool:
        # Nautilus looks at its trading state when it takes the command from its queue; what counts
        # is what was known when the order was made.
        orders: list[Order] = []
        if isinstance(command, SubmitOrder):
            orders = [command.order]
        elif isinstance(command, SubmitOrderList):
            orders = command.order_list.orders
        why = next(filter(None, map(gate.deny, orders)), "")
        if why:
            risk._deny_command(command, why)
        return bool(why)

    def submit(command: object) -> None:
        if not refused(command):
            risk.execute(command)

    def emulate(command: object) -> None:
        if not refused(command):
            emulator.execute(command)

    def execute(command: object) -> None:
        # An emulated order that is triggered comes here past the risk engine.
        if isinstance(command, SubmitOrder) and command.order.status == OrderStatus.RELEASED:
            why = gate.deny(command.order)
            if why:
                kernel.msgbus.send("ExecEngine.process", _denied(kernel, command.order, why))
                return
        execution.execute(command)

    return [
        ("RiskEngine.execute", risk.execute, submit),
        ("OrderEmulator.execute", emulator.execute, emulate),
        ("ExecEngine.execute", execution.execute, execute),
    ]


def _denied(kernel: NautilusKernel, order: Order, why: str) -> OrderDenied:
    now_ns = kernel.clock.timestamp_ns()
    return OrderDenied(
        order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id, why,
        UUID4(), now_ns,
    )  # fmt: skip


def _subscription(
    gate: Gate, execute: Callable[[object], None], command: SubscribeBars | UnsubscribeBars
) -> None:
    """Pass a subscription on for the venue's bars, as the engine knows of no composite ones."""
    source = gate.source_of(command.bar_type)
    begins = isinstance(command, SubscribeBars)
    if begins or not gate.is_needed(source):
        execute(command if source == command.bar_type else _of(command, source))
    told = gate.on_subscribed if begins else gate.on_unsubscribed
    told(command.bar_type)


def _of(
    command: SubscribeBars | UnsubscribeBars, bar_type: BarType
) -> SubscribeBars | UnsubscribeBars:
    """The same command for another bar type."""
    return type(command)(
        bar_type=bar_type,
        client_id=command.client_id,
        venue=command.venue,
        command_id=command.id,
        ts_init=command.ts_init,
        params=dict(command.params or {}),
    )


def answer(node: TradingNode, request: RequestBars, bars: int) -> None:
    """Tell whoever asked for bars that they are in; they were handed on another way."""
    node.kernel.msgbus.response(
        DataResponse(
            request.client_id,
            request.venue,
            request.data_type,
            [],
            request.id,
            request.id,
            node.kernel.clock.timestamp_ns(),
            request.start,
            request.end,
            {"data_count": bars},
        )
    )
