"""Who follows which bars: the streams of a node, the bars composed of them, and their followers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.trading.strategy import Strategy

from warmup_job.catalog.nautilus_bars import interval_of, open_ms_of
from warmup_job.errors import ConfigError, TraderError
from warmup_job.handoff.live_bars.bar_stream import BarStream
from warmup_job.handoff.live_bars.composite_bars import CompositeSeries, source_of
from warmup_job.handoff.live_bars.follower import Follower
from warmup_job.handoff.live_bars.receivers import uninitialized
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.outgoing_orders.order_denial import OrderDenial
from warmup_job.handoff.run_listener import RunListener
from warmup_job.handoff.trading_policy import DeliveryPolicy
from warmup_job.market.times import NS_PER_MS

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


class FollowedStreams:
    """Knows every series of bars, a stream of the venue or composed of one, and its followers.

    Args:
        node: built, its strategies not started.
        strategies: what the node runs.
        streams: those that have a history, by bar type; a stream that is followed and has none is
            added.
        client: fetches the streams' bars.
        policy: how history reaches the strategies.
        listener: the runner.
    """

    def __init__(
        self,
        node: TradingNode,
        strategies: Sequence[Strategy],
        streams: dict[BarType, BarStream],
        client: BinanceClient,
        policy: DeliveryPolicy,
        listener: RunListener,
    ) -> None:
        self.node = node
        self.denial = OrderDenial(node.kernel.cache)
        self.streams = streams
        self.kept: dict[BarStream, asyncio.Task[None]] = {}
        """Streams with a subscriber, and the task that keeps each contiguous."""
        self.composites: dict[BarType, CompositeSeries] = {}
        """By the type of the bars that they build."""
        self.unlisted: list[BarType] = []
        """Followed, though `warmup.streams` does not list them, so that they have no history."""
        self.tick_built: list[BarType] = []
        """Followed, and built by Nautilus from ticks: they have no history."""
        self.is_stopped = False
        """Whether the run has ended, so that nothing more is fetched or delivered."""
        self._strategies = strategies
        self._client = client
        self._policy = policy
        self._listener = listener
        self._subscribed: dict[BarType, None] = {}
        self._followers: dict[tuple[object, BarType], Follower] = {}

    def cache_histories(self) -> None:
        """Put each stream's instrument and history, except the newest bar, into the cache."""
        cache = self.node.kernel.cache
        for stream in self.streams.values():
            history, instrument = stream.history, stream.history.instrument
            if instrument is not None and cache.instrument(instrument.id) is None:
                cache.add_instrument(instrument)
            cache.add_bars(list(history.bars[:-1]))

    # -- who follows -------------------------------------------------------------------------------

    def all_series(self) -> list[BarType]:
        """Return every series: the streams, then what is composed of them."""
        return [*self.streams, *self.composites]

    def stream_of(self, series: BarType) -> BarStream:
        """Return the stream that a series is, or is composed of."""
        composite = self.composites.get(series)
        return self.streams[series if composite is None else composite.source]

    def series_of(self, stream: BarStream) -> list[BarType]:
        """Return a stream's own bars, then the series that are composed of them."""
        composed = [
            each.bar_type for each in self.composites.values() if each.source == stream.bar_type
        ]
        return [stream.bar_type, *composed]

    def actors(self, series: BarType) -> list[Actor]:
        """Return the strategies and actors whose own handler is subscribed to the series."""
        msgbus, topic = self.node.kernel.msgbus, f"data.bars.{series}"
        actors = [*self._strategies, *self.node.trader.actors()]
        return [actor for actor in actors if msgbus.is_subscribed(topic, actor.handle_bar)]

    def follower(self, actor: Actor, series: BarType) -> Follower:
        """Return what is known of one actor on one series."""
        key = (actor.id, series)
        if key not in self._followers:
            self._followers[key] = Follower(actor, series, self._policy, self.denial)
        return self._followers[key]

    def has_subscribers(self, series: BarType) -> bool:
        """Return whether anything is subscribed to the series, an actor or not."""
        return bool(self.node.kernel.msgbus.has_subscribers(f"data.bars.{series}"))

    def is_needed(self, source: BarType) -> bool:
        """Return whether a subscriber needs these bars, or others that are composed of them."""
        composed = {each.standard() for each in self._subscribed if source_of(each) == source}
        return any(self.has_subscribers(each) for each in (source, *composed))

    def is_fetching(self) -> bool:
        """Return whether a follower's history is still being fetched."""
        return any(
            each.is_fetching and each.actor in self.actors(each.series)
            for each in self._followers.values()
        )

    def cold(self) -> list[str]:
        """Return why followers are cold although their history was there, one line each."""
        lines = [line for each in self._followers.values() if (line := each.why_cold())]
        actors = {each.id: each for series in self.all_series() for each in self.actors(series)}
        return lines + uninitialized(actors.values())

    # -- subscriptions -----------------------------------------------------------------------------

    def note_subscription(self, bar_type: BarType) -> None:
        """Note that something has subscribed to bars, before its history is looked for."""
        if bar_type.is_internally_aggregated() and source_of(bar_type) is None:
            self.tick_built.append(bar_type)
            logger.warning(
                "{stream} is built by Nautilus from what arrives, so it has no history and starts "
                "cold: subscribe to the venue's own bars, or to bars composed of them by time",
                event="stream.built_by_nautilus",
                stream=bar_type,
            )
            if not (bar_type.is_composite() and bar_type.composite().is_externally_aggregated()):
                return
            bar_type = bar_type.composite()  # Nautilus' aggregator follows these
        self._subscribed[bar_type] = None

    def add_subscribed(self) -> None:
        """Have a stream, and a composed series where it is one, for everything subscribed to."""
        for bar_type in list(self._subscribed):
            source = source_of(bar_type)
            plain = bar_type.standard() if source is None else source
            if plain not in self.streams and not self._add_unlisted(plain):
                del self._subscribed[bar_type]  # not klines
                continue
            if source is not None and bar_type.standard() not in self.composites:
                self.compose(bar_type)

    def _add_unlisted(self, bar_type: BarType) -> bool:
        try:
            interval = interval_of(bar_type)
        except ConfigError:
            return False
        self.unlisted.append(bar_type)
        logger.warning(
            "a strategy follows {stream}, but warmup.streams does not list it: it has no history",
            event="stream.not_configured",
            stream=bar_type,
        )
        history = History(bar_type, interval, [], wanted=0)
        self.streams[bar_type] = BarStream(history, self._client, self._listener)
        return True

    def compose(self, bar_type: BarType) -> None:
        """Add a series that is composed of a stream, with the history that the stream has.

        Raises:
            TraderError: the node does not have the instrument.
        """
        source = bar_type.composite()
        stream, cache = self.streams[source], self.node.kernel.cache
        instrument = stream.history.instrument or cache.instrument(bar_type.instrument_id)
        if instrument is None:
            raise TraderError(f"the node has no instrument {bar_type.instrument_id}: is it listed?")
        composite = CompositeSeries(bar_type, instrument, stream.history.interval)
        built = composite.add_all(self.bars(source))
        self.composites[composite.bar_type] = composite
        cache.add_bars(built)
        logger.info(
            "{stream}: built {bars} bars from {source}",
            event="bars.composed",
            stream=composite.bar_type,
            bars=len(built),
            source=stream.name,
        )

    def keep_subscribed(self) -> None:
        """Start to keep every stream contiguous that has a subscriber."""
        for series in self.all_series():
            stream = self.stream_of(series)
            if stream not in self.kept and self.has_subscribers(series):
                self.kept[stream] = self._listener.start_task(stream.keep(), stream.name)

    def let_go(self, bar_type: BarType) -> None:
        """Note that something has unsubscribed; a stream without subscribers is no longer kept."""
        series = bar_type.standard()
        if self.is_stopped or series not in self.all_series():
            return
        there = self.actors(series)
        for follower in self._followers.values():
            if follower.series == series and follower.actor not in there:
                follower.leave()
        stream = self.stream_of(series)
        if not self.has_subscribers(series):
            self._subscribed.pop(bar_type, None)
        if any(self.has_subscribers(each) for each in self.series_of(stream)):
            return
        keeper = self.kept.pop(stream, None)
        if keeper is not None:
            keeper.cancel()
            stream.phase = "waiting"
            logger.info(
                "{stream}: no subscribers, no longer kept contiguous",
                event="stream.dropped",
                stream=stream.name,
            )
            self._listener.on_change()

    # -- bars --------------------------------------------------------------------------------------

    def bars(self, series: BarType) -> Sequence[Bar]:
        """Return the bars delivered so far, oldest first; the cache holds the last 10,000."""
        stream = self.streams.get(series)
        if stream is not None and not stream.released:
            return stream.history.bars[:-1]
        cached: list[Bar] = self.node.kernel.cache.bars(series)
        return cached[::-1]

    def open_ms(self, bar: Bar) -> int:
        """Return a time (UTC ms) that tells the bars of one series apart.

        It is the open time for a stream's bar, and the close time for a composed one.
        """
        stream = self.streams.get(bar.bar_type)
        if stream is None:
            return int(bar.ts_event // NS_PER_MS)
        return open_ms_of(bar, stream.history.interval)
