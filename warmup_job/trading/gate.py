"""The gate at the engines' inputs: data, subscriptions, requests for bars, and orders.

There, and not at a strategy's handlers: so the cache and every strategy see one order of bars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nautilus_trader.data.messages import (
    DataResponse,
    RequestBars,
    SubscribeBars,
    UnsubscribeBars,
)
from nautilus_trader.execution.messages import SubmitOrder, SubmitOrderList
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType, QuoteTick


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
        deny: why an order that is submitted now must not leave; empty: it may.
    """

    on_bar: Callable[[Bar], bool]
    on_quote: Callable[[QuoteTick], QuoteTick | None]
    source_of: Callable[[BarType], BarType]
    is_needed: Callable[[BarType], bool]
    on_subscribed: Callable[[BarType], None]
    on_unsubscribed: Callable[[BarType], None]
    on_request: Callable[[RequestBars], bool]
    deny: Callable[[], str]


def install(gate: Gate, node: TradingNode) -> None:
    """Stand in for the engines' handlers of data, of commands, of requests and of orders."""
    kernel = node.kernel
    engine, risk, emulator = kernel.data_engine, kernel.risk_engine, kernel.emulator

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

    def order(command: object, passed: Callable[[object], None]) -> None:
        # Nautilus looks at its trading state when it takes the command from its queue; what counts
        # is what was known when the order was made.
        why = gate.deny() if isinstance(command, SubmitOrder | SubmitOrderList) else ""
        if why:
            risk._deny_command(command, why)
        else:
            passed(command)

    handlers: list[tuple[str, Callable[..., None], Callable[..., None]]] = [
        ("DataEngine.process", engine.process, process),
        ("DataEngine.execute", engine.execute, execute),
        ("DataEngine.request", engine.request, request),
        ("RiskEngine.execute", risk.execute, lambda command: order(command, risk.execute)),
        ("OrderEmulator.execute", emulator.execute,
         lambda command: order(command, emulator.execute)),
    ]  # fmt: skip
    for endpoint, before, after in handlers:
        kernel.msgbus.deregister(endpoint=endpoint, handler=before)
        kernel.msgbus.register(endpoint=endpoint, handler=after)


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
