"""All bar streams of one node, from its gate on: their followers, their history, their delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from nautilus_trader.data.messages import RequestBars
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.live_bars.bar_delivery import BarDelivery
from warmup_job.handoff.live_bars.bar_stream import BarStream, DeliveredBars
from warmup_job.handoff.live_bars.followed_streams import FollowedStreams
from warmup_job.handoff.live_bars.gate import install
from warmup_job.handoff.live_bars.history_requests import HistoryRequests
from warmup_job.handoff.live_bars.quotes import QuoteFitter
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.run_listener import RunListener
from warmup_job.handoff.trading_policy import DeliveryPolicy

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


class BarStreams:
    """Keeps the gate of one node, from before the histories are there until the run ends.

    Args:
        strategies: what the node runs.
        client: fetches bars; its clock is the exchange's.
        policy: how history reaches the strategies.
        listener: the runner.
        fits_quotes: whether quotes get the precision of their instrument.
    """

    # From attach on:
    followed: FollowedStreams
    delivery: BarDelivery
    _requests: HistoryRequests
    _loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        strategies: Sequence[Strategy],
        client: BinanceClient,
        policy: DeliveryPolicy,
        listener: RunListener,
        *,
        fits_quotes: bool,
    ) -> None:
        self.streams: dict[BarType, BarStream] = {}
        self.is_live = False
        """Whether trading is on."""
        self.is_serving = False
        """Whether the histories are there; until then subscribers and bars wait."""
        self._strategies = strategies
        self._client = client
        self._policy = policy
        self._listener = listener
        self._fitter = QuoteFitter() if fits_quotes else None
        self._early: list[Bar] = []

    def take(self, histories: Iterable[History]) -> None:
        """Take what the streams start from."""
        for each in histories:
            self.streams[each.bar_type] = BarStream(each, self._client, self._listener)

    def attach(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
        """Put the gate in front of a node's engines; its strategies have not started yet."""
        self._loop = loop
        self.followed = FollowedStreams(
            node, self._strategies, self.streams, self._client, self._policy, self._listener
        )
        self.delivery = BarDelivery(self.followed, self._client, self._listener)
        self._requests = HistoryRequests(self.followed, self._client, self._listener)
        install(self, node)

    def serve_histories(self) -> None:
        """Give every follower its history, and begin to keep the streams contiguous."""
        self.followed.cache_histories()
        self.is_serving = True
        self._serve()
        early, self._early = self._early, []
        for bar in early:
            if not self.take_bar(bar):
                self.followed.node.kernel.data_engine.process(bar)

    def advance(self) -> None:
        """Deliver every bar that is due."""
        if self.is_serving:
            self.delivery.advance(live=self.is_live)

    def stop(self) -> None:
        """Fetch and deliver nothing more."""
        self.followed.is_stopped = True
        for keeper in self.followed.kept.values():
            keeper.cancel()

    def delivered(self) -> DeliveredBars:
        """Return how many bars all streams together have delivered."""
        counts = [stream.delivered for stream in self.streams.values()]
        return DeliveredBars(
            history=sum(each.history for each in counts),
            filled=sum(each.filled for each in counts),
            live=sum(each.live for each in counts),
            to_on_bar=sum(each.to_on_bar for each in counts),
        )

    # -- the gate ----------------------------------------------------------------------------------

    def take_bar(self, bar: Bar) -> bool:
        """Take a bar from the websocket; return False if no stream of ours is of its type."""
        if not self.is_serving:
            self._early.append(bar)
            return True
        stream = self.streams.get(bar.bar_type)
        if stream is None:
            return False
        if stream.arrived(bar):
            self._guarded(self.advance)
        return True

    def fit_quote(self, tick: QuoteTick) -> QuoteTick | None:
        """Return a quote as the engine takes it; None: it is dropped."""
        instrument = self._listener.instrument(tick.instrument_id)
        if instrument is None or self._fitter is None:
            return tick
        return self._fitter.fit(tick, instrument)

    def is_needed(self, source: BarType) -> bool:
        """Return whether a subscriber still needs these bars of the venue."""
        return self.followed.is_needed(source)

    def subscribed(self, bar_type: BarType) -> None:
        """Serve a new subscriber, soon."""
        self.followed.note_subscription(bar_type)
        self._soon(self._serve)

    def unsubscribed(self, bar_type: BarType) -> None:
        """Let a stream go that may have lost its last subscriber, soon."""
        self._soon(self.followed.let_go, bar_type)

    def take_request(self, request: RequestBars) -> bool:
        """Take a request for bars; return False if Nautilus has to answer it itself."""
        taken = self._requests.take(request)
        if taken:
            self._soon(self._serve)
        return taken

    def reason_to_deny(self, order: Order, position_id: PositionId | None) -> str:
        """Return why an order must not leave at this moment; empty: it may."""
        return self.followed.denial.reason(order, position_id)

    def _serve(self) -> None:
        if self.is_serving:
            self._requests.serve()

    def _soon[*Ts](self, work: Callable[[*Ts], object], *arguments: *Ts) -> None:
        """Do it on the loop: a strategy's timers call from a thread of Nautilus without one."""
        if not self.followed.is_stopped:
            self._loop.call_soon_threadsafe(self._guarded, lambda: work(*arguments))

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do it; its failure ends the run, as Nautilus and the loop would only log it."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a strategy raises
            self._listener.on_failure(error)
