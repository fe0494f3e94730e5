"""The gate at the data engine's inputs: what comes in, what is subscribed to, what is asked for.

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
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.instruments import Instrument

_ENGINE = "DataEngine"


@dataclass(frozen=True, slots=True)
class Gate:
    """Who is told of what passes.

    Args:
        on_bar: takes a bar; False: nobody keeps that stream, so that it goes on as it is.
        on_other: told that anything else came, instruments apart.
        on_subscribed: told of a bar type that somebody has just subscribed to.
        on_unsubscribed: told of one that somebody has just let go of.
        on_request: takes a request for bars; False: Nautilus answers it itself.
    """

    on_bar: Callable[[Bar], bool]
    on_other: Callable[[], None]
    on_subscribed: Callable[[BarType], None]
    on_unsubscribed: Callable[[BarType], None]
    on_request: Callable[[RequestBars], bool]


def install(gate: Gate, node: TradingNode) -> None:
    """Stand in for the engine's handlers of what comes in, of commands and of requests."""
    engine, msgbus = node.kernel.data_engine, node.kernel.msgbus

    def process(data: object) -> None:
        if isinstance(data, Bar):
            if gate.on_bar(data):
                return
        elif not isinstance(data, Instrument):
            gate.on_other()
        engine.process(data)

    def execute(command: object) -> None:
        engine.execute(command)
        if isinstance(command, SubscribeBars):
            gate.on_subscribed(command.bar_type)
        elif isinstance(command, UnsubscribeBars):
            gate.on_unsubscribed(command.bar_type)

    def request(asked: object) -> None:
        if not (isinstance(asked, RequestBars) and gate.on_request(asked)):
            engine.request(asked)

    handlers = {"process": process, "execute": execute, "request": request}
    for name, handler in handlers.items():
        endpoint = f"{_ENGINE}.{name}"
        msgbus.deregister(endpoint=endpoint, handler=getattr(engine, name))
        msgbus.register(endpoint=endpoint, handler=handler)


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
