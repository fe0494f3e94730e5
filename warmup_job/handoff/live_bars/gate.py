"""The gate in front of Nautilus' data engine: data, subscriptions and requests for bars.

It stands there, and not at a strategy's handlers, so that the cache and every strategy get the bars
in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nautilus_trader.data.messages import (
    DataResponse,
    RequestBars,
    SubscribeBars,
    UnsubscribeBars,
)
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType, QuoteTick

from warmup_job.handoff.live_bars.composite_bars import source_of

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
    ]
    for endpoint, before, after in handlers:
        kernel.msgbus.deregister(endpoint=endpoint, handler=before)
        kernel.msgbus.register(endpoint=endpoint, handler=after)


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
