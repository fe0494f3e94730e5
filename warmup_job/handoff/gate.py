"""The gate in front of Nautilus' engines: data, subscriptions, requests for bars, and orders.

It stands there, and not at a strategy's handlers, so that the cache and every strategy get the bars
in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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

from warmup_job.handoff.composite_bars import source_of

type _Handler = tuple[str, Callable[..., None], Callable[..., None]]
"""An endpoint of the message bus, its handler, and the handler that replaces it."""


class GateKeeper(Protocol):
    """Decides what passes the gate."""

    def take_bar(self, bar: Bar) -> bool:
        """Take a bar from the websocket; return False if the engine has to process it as it is."""

    def fit_quote(self, tick: QuoteTick) -> QuoteTick | None:
        """Return what the engine gets of a quote; None: nothing."""

    def is_needed(self, source: BarType) -> bool:
        """Return whether a subscriber still needs these bars of the venue."""

    def subscribed(self, bar_type: BarType) -> None:
        """Note that something has subscribed to bars."""

    def unsubscribed(self, bar_type: BarType) -> None:
        """Note that something has unsubscribed from bars."""

    def take_request(self, request: RequestBars) -> bool:
        """Take a request for bars; return False if Nautilus has to answer it itself."""

    def reason_to_deny(self, order: Order) -> str:
        """Return why an order that is submitted or released must not leave; empty: it may."""


def install(keeper: GateKeeper, node: TradingNode) -> None:
    """Put the gate in front of the node's engines.

    Args:
        keeper: decides what passes.
        node: built, its strategies not started.
    """
    kernel = node.kernel
    engine = kernel.data_engine

    def process(data: object) -> None:
        if isinstance(data, Bar):
            if keeper.take_bar(data):
                return
        elif isinstance(data, QuoteTick) and (data := keeper.fit_quote(data)) is None:
            return
        engine.process(data)

    def execute(command: object) -> None:
        if isinstance(command, SubscribeBars | UnsubscribeBars):
            _subscription(keeper, engine.execute, command)
        else:
            engine.execute(command)

    def request(asked: object) -> None:
        if not (isinstance(asked, RequestBars) and keeper.take_request(asked)):
            engine.request(asked)

    handlers: list[_Handler] = [
        ("DataEngine.process", engine.process, process),
        ("DataEngine.execute", engine.execute, execute),
        ("DataEngine.request", engine.request, request),
        *_order_handlers(keeper, kernel),
    ]
    for endpoint, before, after in handlers:
        kernel.msgbus.deregister(endpoint=endpoint, handler=before)
        kernel.msgbus.register(endpoint=endpoint, handler=after)


def _order_handlers(keeper: GateKeeper, kernel: NautilusKernel) -> list[_Handler]:
    """Return the handlers in front of every engine that an order passes on its way out."""
    risk, emulator, execution = kernel.risk_engine, kernel.emulator, kernel.exec_engine

    def refused(command: object) -> bool:
        # Nautilus checks its trading state when it takes the command from its queue. What counts is
        # the state when the order was made.
        orders: list[Order] = []
        if isinstance(command, SubmitOrder):
            orders = [command.order]
        elif isinstance(command, SubmitOrderList):
            orders = command.order_list.orders
        why = next(filter(None, map(keeper.reason_to_deny, orders)), "")
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
            why = keeper.reason_to_deny(command.order)
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
    keeper: GateKeeper, execute: Callable[[object], None], command: SubscribeBars | UnsubscribeBars
) -> None:
    """Pass a subscription on for the venue's bars: the engine does not know composed ones."""
    bar_type = command.bar_type
    source = source_of(bar_type) or bar_type
    begins = isinstance(command, SubscribeBars)
    if begins or not keeper.is_needed(source):
        execute(command if source == bar_type else _of(command, source))
    (keeper.subscribed if begins else keeper.unsubscribed)(bar_type)


def _of(
    command: SubscribeBars | UnsubscribeBars, bar_type: BarType
) -> SubscribeBars | UnsubscribeBars:
    """Return the same command for another bar type."""
    return type(command)(
        bar_type=bar_type,
        client_id=command.client_id,
        venue=command.venue,
        command_id=command.id,
        ts_init=command.ts_init,
        params=dict(command.params or {}),
    )


def answer(node: TradingNode, request: RequestBars, bars: int) -> None:
    """Answer a request whose bars were handed over already, so that its callback is called.

    Args:
        node: of the requester.
        request: the request.
        bars: how many bars the requester got.
    """
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
