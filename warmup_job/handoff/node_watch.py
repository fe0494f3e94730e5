"""Watches a running node: whether it lives, and whether its connections are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from nautilus_trader.live.node import TradingNode
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import TraderError
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.silence_watch import SilenceWatch
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.run_listener import RunListener


async def until_ended(
    node_task: asyncio.Task[None], stop_task: asyncio.Task[bool], failed: asyncio.Future[None]
) -> None:
    """Wait until the node ends, the trader is asked to stop, or something fails.

    Args:
        node_task: runs the node.
        stop_task: ends when the trader has to stop.
        failed: gets the error that ends the run.

    Raises:
        TraderError: the node ended by itself.
        Exception: the error of ``failed``.
    """
    ends: set[asyncio.Future[Any]] = {node_task, stop_task, failed}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
    if not stop_task.done():
        error = node_task.exception()
        cause = f"{error!r}; " if error else ""
        raise TraderError(f"the node stopped by itself: {cause}see its log above")


class NodeWatch:
    """Looks at a node that has started. Make it on the event loop.

    Args:
        node: the node.
        strategies: what the node runs.
        streams: the node's bar streams.
        websockets: the node's connections.
        clock: watches this machine's clock.
        listener: the runner.
        timeout_s: within how many seconds the first websocket message has to arrive.
    """

    def __init__(
        self,
        node: TradingNode,
        strategies: Sequence[Strategy],
        streams: BarStreams,
        websockets: Websockets,
        clock: ClockWatch,
        listener: RunListener,
        timeout_s: float,
    ) -> None:
        self._node = node
        self._strategies = strategies
        self._streams = streams
        self._websockets = websockets
        self._clock = clock
        self._silence = SilenceWatch(websockets, clock, listener)
        self._timeout_s = timeout_s
        self._started_at = asyncio.get_running_loop().time()

    def look(self, expected: Iterable[str]) -> None:
        """Look at the node, its late bars, its connections and the clock.

        Args:
            expected: the websocket streams that have to be heard.

        Raises:
            TraderError: the trader has stopped by itself, or no message has arrived in time.
        """
        for stream in self._streams.followed.kept:
            if stream.is_late:
                stream.wake()
        if not self._node.trader.is_running or not any(s.is_running for s in self._strategies):
            raise TraderError("the trader is no longer running; see its log above")
        self._silence.look(expected)
        self._clock.look(self._node.kernel.clock.timestamp_ms())
        waited_s = asyncio.get_running_loop().time() - self._started_at
        if not self._websockets.heard.ever and waited_s > self._timeout_s:
            raise TraderError(f"no websocket message within {waited_s:.0f} s: check api.ws_url")
