"""All bar streams of a node: subscribers, the history that each got, and what is due next.

A `BarStream` keeps one stream complete. This module delivers the bars of all streams in order of
their close time, gives each subscriber its history exactly once, and answers a subscriber's own
requests for bars from the same bars.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import is_matching_py
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderStatus, TradingState
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.catalog.nautilus_bars import instrument_bars, interval_of, open_ms_of
from warmup_job.errors import ConfigError, TraderError, WarmupError
from warmup_job.handoff.bar_stream import BarStream, History
from warmup_job.handoff.composite_bars import Composite, source_of
from warmup_job.handoff.delivery_order import Due, grouped, in_order, plan_delivery
from warmup_job.handoff.gate import Gate, answer, install
from warmup_job.handoff.quotes import fitted
from warmup_job.handoff.receivers import receives_history, uninitialized
from warmup_job.market.times import NS_PER_MS, duration_text, utc_text
from warmup_job.modes import FirstBar, Replay

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_NEWS_MS = 60_000  # a first bar that closed longer ago than this is history
_OLDER_DEADLINE_MS = 60_000
_CACHED = 10_000  # bars of each type that Nautilus' cache holds
_MOST_OLDER = 50_000  # bars that one request may fetch from before the window

type Watch = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
type _Key = tuple[Hashable, BarType]
"""An actor's id and what it follows."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How bars are given to strategies other than HedgeGridV1, see docs/trading.md."""

    first_bar: FirstBar = "history"
    replay: Replay = "none"


class BarStreams:
    """Stands at the gate of one node, from before its histories are there until it stops.

    Args:
        changed: called when a stream may be contiguous, or no longer.
        on_newest: called after the newest bar of a stream went to on_bar.
        is_heard: whether the websocket has spoken for every stream; nothing is delivered before.
        watch: makes a task whose failure ends the run.
        fail: ends the run.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        client: BinanceClient,
        delivery: Delivery,
        *,
        changed: Callable[[], object],
        on_newest: Callable[[], object],
        is_heard: Callable[[], bool],
        watch: Watch,
        fail: Callable[[BaseException], object],
    ) -> None:
        self.feeds: dict[BarType, BarStream] = {}
        self.kept: dict[BarStream, asyncio.Task[None]] = {}
        """Those that somebody follows."""
        self.composites: dict[BarType, Composite] = {}
        """By the type of the bars that they build."""
        self.unwarmed: list[BarType] = []
        """Followed, though no stream of the configuration names them."""
        self.tick_built: list[BarType] = []
        """Followed, built by Nautilus from ticks: they have no history."""
        self.warmed = False
        """Whether histories were given; until then everything waits."""
        self.opened = False
        """Whether held bars were delivered for the first time."""
        self.live = False
        self.fits_quotes = False
        """Whether quotes get the instrument's precision: Nautilus' sandbox ends over any other."""
        self._strategies = strategies
        self._client = client
        self._delivery = delivery
        self._changed = changed
        self._on_newest = on_newest
        self._is_heard = is_heard
        self._watch = watch
        self._fail = fail
        self._node: TradingNode | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._subscribed: dict[BarType, None] = {}
        self._requests: list[RequestBars] = []
        self._early: list[Bar] = []
        self._introduced: set[_Key] = set()
        self._fresh: set[_Key] = set()
        """Introduced, and given no bar since: the next one may be old news."""
        self._pending: set[_Key] = set()
        self._given_ms: dict[_Key, int] = {}
        """Open of the last bar that a follower has had, UTC ms."""
        self._by_hand: dict[_Key, bool] = {}
        """Whether a follower can receive bars of that type by on_bar alone."""
        self._cold: dict[_Key, tuple[int, int]] = {}
        """How many bars a follower has had of those that it needs and could not receive."""
        self._replaying = False
        self._misfit: InstrumentId | None = None

    def take(self, histories: Sequence[History]) -> None:
        """What there is to start from."""
        self.feeds = {history.bar_type: self._feed(history) for history in histories}

    def attach(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
        """Stand at the node's gate; its strategies have not started yet."""
        self._node, self._loop = node, loop
        gate = Gate(
            on_bar=self._on_bar,
            on_quote=self._on_quote,
            source_of=lambda bar_type: source_of(bar_type) or bar_type,
            is_needed=self._is_needed,
            on_subscribed=self._on_subscribed,
            on_unsubscribed=self._on_unsubscribed,
            on_request=self._on_request,
            deny=self._deny,
        )
        install(gate, node)

    def warm_up(self) -> None:
        """Give everybody the history of what he follows, and begin to keep it contiguous."""
        for feed in self.feeds.values():
            self._into_cache(feed.history)
        self.warmed = True
        self._serve()
        early, self._early = self._early, []
        for bar in early:
            if not self._on_bar(bar) and self._node is not None:
                self._node.kernel.data_engine.process(bar)

    def stop(self) -> None:
        """Ask for nothing more, and hand nothing on."""
        self._stopped = True
        for keeper in self.kept.values():
            keeper.cancel()

    def is_introducing(self) -> bool:
        """Whether somebody follows a stream whose history is still being fetched for him."""
        return any(
            (actor.id, stream) in self._pending
            for stream in {key[1] for key in self._pending}
            for actor in self._followers(stream)
        )

    def is_delivering(self) -> bool:
        """Whether bars are there, or on their way, that have not been delivered."""
        held = any(feed.handoff.newest_held_ms() is not None for feed in self.kept)
        return held or self.is_introducing()

    def cold(self) -> list[str]:
        """Why strategies are not warm although their history is there, one line each."""
        lines = [
            f"{actor_id} updates itself in on_bar and has had {had} of {wanted} bars of {bar_type} "
            "(trade.replay: on_bar replays them, with orders denied)"
            for (actor_id, bar_type), (had, wanted) in self._cold.items()
            if had < wanted
        ]
        followers = {
            actor.id: actor for stream in self._streams() for actor in self._followers(stream)
        }
        return lines + uninitialized(followers.values())

    # -- who follows what --------------------------------------------------------------------------

    def _into_cache(self, history: History) -> None:
        if self._node is not None:
            cache = self._node.kernel.cache
            if history.instrument is not None and cache.instrument(history.instrument.id) is None:
                cache.add_instrument(history.instrument)
            cache.add_bars(list(history.bars[:-1]))

    def _on_subscribed(self, bar_type: BarType) -> None:
        if bar_type.is_internally_aggregated() and source_of(bar_type) is None:
            self.tick_built.append(bar_type)
            logger.warning(
                "{} is built by Nautilus as it arrives: it has no history and starts cold; "
                "subscribe to the venue's own bars, or to bars composed of them by time", bar_type,
            )  # fmt: skip
            if not (bar_type.is_composite() and bar_type.composite().is_externally_aggregated()):
                return
            bar_type = bar_type.composite()  # Nautilus' aggregator follows these
        self._subscribed[bar_type] = None
        self._soon(self._serve)

    def _on_unsubscribed(self, bar_type: BarType) -> None:
        self._soon(self._let_go, bar_type)

    def _serve(self) -> None:
        """Keep what is subscribed to; give newcomers their history and answer requests."""
        if not self.warmed or self._stopped:
            return
        for bar_type in list(self._subscribed):  # history can make somebody follow more
            self._ensure(bar_type)
        for (_, stream), (actor, requests) in self._newcomers().items():
            self._introduce(actor, stream, requests)
        for stream in self._streams():
            feed = self._feed_of(stream)
            if feed not in self.kept and self._subscribers(stream):
                self.kept[feed] = self._watch(feed.keep(), feed.name)

    def _newcomers(self) -> dict[_Key, tuple[Actor, list[RequestBars]]]:
        """Who follows a stream and has not had its history, or has asked for bars of it."""
        found: dict[_Key, tuple[Actor, list[RequestBars]]] = {}
        for stream in self._streams():
            for actor in self._followers(stream):
                key = (actor.id, stream)
                if key not in self._introduced and key not in self._pending:
                    found[key] = actor, []
        requests, self._requests = self._requests, []
        for request in requests:
            actor, streams = request.callback.__self__, self._named_by(request)
            if not streams:
                if self._node is not None:
                    self._node.kernel.data_engine.request(request)
            elif any((actor.id, stream) in self._pending for stream in streams):
                self._requests.append(request)  # served again when what is under way is done
            else:
                for stream in streams:
                    found.setdefault((actor.id, stream), (actor, []))
                found[actor.id, streams[-1]][1].append(request)
        return found

    def _let_go(self, bar_type: BarType) -> None:
        """A stream that nobody follows any more brings nothing, and is not waited for."""
        stream = bar_type.standard()
        if self._node is None or self._stopped or stream not in self._streams():
            return
        there = {(actor.id, stream) for actor in self._followers(stream)}
        self._introduced -= {key for key in self._introduced if key[1] == stream} - there
        for key in [key for key in self._cold if key[1] == stream and key not in there]:
            del self._cold[key]
        feed = self._feed_of(stream)
        if not self._subscribers(stream):
            self._subscribed.pop(bar_type, None)
        if any(self._subscribers(each) for each in self._of_feed(feed)):
            return
        keeper = self.kept.pop(feed, None)
        if keeper is not None:
            keeper.cancel()
            feed.phase = "waiting"
            logger.info("{}: unsubscribed, no longer kept", feed.name)
            self._changed()

    def _ensure(self, bar_type: BarType) -> None:
        """Have a feed for a bar type, and a composite series if it is one."""
        source = source_of(bar_type)
        plain = bar_type.standard() if source is None else source
        if plain not in self.feeds:
            try:
                interval = interval_of(plain)
            except ConfigError:
                self._subscribed.pop(bar_type, None)
                return  # not klines
            self.unwarmed.append(plain)
            logger.warning(
                "{} is followed, but warmup.streams does not name it: it has no history", plain
            )
            self.feeds[plain] = self._feed(History(plain, interval, [], wanted=0))
        if source is not None and bar_type.standard() not in self.composites:
            self._compose(bar_type, self.feeds[plain])

    def _compose(self, bar_type: BarType, feed: BarStream) -> None:
        instrument = feed.history.instrument or self._instrument(bar_type.instrument_id)
        if instrument is None:
            raise TraderError(f"the node has no instrument {bar_type.instrument_id}: is it listed?")
        composite = Composite(bar_type, instrument, feed.history.interval)
        built = composite.add_all(self._had(feed.bar_type))
        self.composites[composite.bar_type] = composite
        if self._node is not None:
            self._node.kernel.cache.add_bars(built)
        logger.info("{}: {} bars built from {}", composite.bar_type, len(built), feed.name)

    def _streams(self) -> list[BarType]:
        return [*self.feeds, *self.composites]

    def _feed_of(self, stream: BarType) -> BarStream:
        composite = self.composites.get(stream)
        return self.feeds[stream if composite is None else composite.source]

    def _of_feed(self, feed: BarStream) -> list[BarType]:
        built = [each.bar_type for each in self.composites.values() if each.source == feed.bar_type]
        return [feed.bar_type, *built]

    def _followers(self, stream: BarType) -> list[Actor]:
        """Actors that get the stream's bars by their own handler."""
        if self._node is None:
            return []
        msgbus, topic = self._node.kernel.msgbus, f"data.bars.{stream}"
        actors = [*self._strategies, *self._node.trader.actors()]
        return [actor for actor in actors if msgbus.is_subscribed(topic, actor.handle_bar)]

    def _is_needed(self, source: BarType) -> bool:
        """Whether anybody follows these bars, or others that are built from them."""
        built = {each.standard() for each in self._subscribed if source_of(each) == source}
        return any(self._subscribers(each) for each in (source, *built))

    def _subscribers(self, stream: BarType) -> bool:
        topic = f"data.bars.{stream}"
        return self._node is not None and self._node.kernel.msgbus.has_subscribers(topic)

    # -- history and requests ----------------------------------------------------------------------

    def _on_request(self, request: RequestBars) -> bool:
        """Take every request; whether its bars are ours is known when subscriptions are."""
        if not isinstance(getattr(request.callback, "__self__", None), Actor):
            return False
        self._requests.append(request)
        self._soon(self._serve)
        return True

    def _named_by(self, request: RequestBars) -> list[BarType]:
        """The streams of ours that it asks for; empty: at least one of them is not."""
        named = (request.params or {}).get("bar_types") or (request.bar_type,)
        streams = [each.standard() for each in named]
        for each, stream in zip(named, streams, strict=True):
            source = source_of(each)
            if source in self.feeds and stream not in self.composites:
                self._compose(each, self.feeds[source])
        return streams if all(each in self._streams() for each in streams) else []

    def _introduce(self, actor: Actor, stream: BarType, requests: list[RequestBars]) -> None:
        """Give a follower what it has not had, and answer its requests, once each."""
        if (actor.id, stream) in self._introduced:
            for request in requests:
                name = f"older bars of {stream} for {actor.id}"
                self._watch(self._answer_late(actor, stream, request), name)
            return
        first_ms, last_ms = self._older_range(stream, requests)
        if first_ms > last_ms:
            self._give(actor, stream, [], requests)
            return
        self._pending.add((actor.id, stream))
        self._changed()
        name = f"history of {stream} for {actor.id}"
        self._watch(self._introduce_with(actor, stream, requests, first_ms, last_ms), name)

    def _older_range(self, stream: BarType, requests: list[RequestBars]) -> tuple[int, int]:
        """Opens of the first and last source bar that are asked for and lie before the window."""
        feed = self._feed_of(stream)
        interval, had = feed.history.interval, self._had(feed.bar_type)
        window_ms = open_ms_of(had[0], interval) if had else interval.next(feed.handoff.cursor_ms)
        last_ms = interval.shift(window_ms, -1)
        if len(had) >= _CACHED:  # the cache loses a bar with each new one, also meanwhile
            last_ms = interval.shift(last_ms, _CACHED // 2)
        first_ms = window_ms
        for request in requests:
            start_ms = interval.floor(int(request.start.timestamp() * 1000))
            if request.limit and stream not in self.composites:
                least_ms = interval.shift(window_ms, len(had) - request.limit)
                start_ms = max(start_ms, least_ms)
            first_ms = min(first_ms, start_ms)
        if first_ms == window_ms:
            return window_ms, interval.shift(window_ms, -1)
        least_ms = interval.shift(window_ms, -_MOST_OLDER)
        if first_ms < least_ms:
            logger.warning(
                "{}: a request reaches back to {}; {} older bars are fetched at most",
                feed.name, utc_text(first_ms), _MOST_OLDER,
            )  # fmt: skip
        return max(first_ms, least_ms), last_ms

    async def _introduce_with(
        self,
        actor: Actor,
        stream: BarType,
        requests: list[RequestBars],
        first_ms: int,
        last_ms: int,
    ) -> None:
        try:
            older = await self._fetch_older(actor, stream, first_ms, last_ms)
        finally:
            self._pending.discard((actor.id, stream))
        self._give(actor, stream, older, requests)
        self._serve()
        self.advance()

    async def _answer_late(self, actor: Actor, stream: BarType, request: RequestBars) -> None:
        """What lies before the window and in the request's own range, to whom has gone on."""
        interval = self._feed_of(stream).history.interval
        first_ms, last_ms = self._older_range(stream, [request])
        last_ms = min(last_ms, interval.floor(int(request.end.timestamp() * 1000)))
        older = []
        if first_ms <= last_ms:
            older = await self._fetch_older(actor, stream, first_ms, last_ms)
        self._give(actor, stream, older, [request])

    async def _fetch_older(
        self, actor: Actor, stream: BarType, first_ms: int, last_ms: int
    ) -> list[Bar]:
        feed, older = self._feed_of(stream), []
        try:
            self._client.extend_deadline(_OLDER_DEADLINE_MS)
            klines = await fetch_range(self._client, feed.stream, first_ms, last_ms)
            older = instrument_bars(
                klines, feed.instrument(), feed.history.interval, feed.history.bars[-1:]
            )
            logger.info(
                "{}: fetched {} older bars from {} for {}",
                feed.name, len(older), utc_text(first_ms), actor.id,
            )  # fmt: skip
        except WarmupError as error:
            logger.warning(
                "{}: {} asked for bars from {}, which cannot be fetched: {}",
                feed.name, actor.id, utc_text(first_ms), error,
            )  # fmt: skip
        return older

    def _had(self, stream: BarType) -> Sequence[Bar]:
        """What the stream has had so far, oldest first; the cache holds the last 10,000."""
        feed = self.feeds.get(stream)
        if feed is not None and not feed.released:
            return feed.history.bars[:-1]
        return [] if self._node is None else self._node.kernel.cache.bars(stream)[::-1]

    def _give(
        self, actor: Actor, stream: BarType, older: list[Bar], requests: list[RequestBars]
    ) -> None:
        key, feed = (actor.id, stream), self._feed_of(stream)
        interval = feed.history.interval
        known_ms = self._given_ms.get(key)
        bars = self._had(stream)
        if older and stream in self.composites:
            fresh = Composite(self.composites[stream].requested, feed.instrument(), interval)
            if known_ms is None:
                bars, older = fresh.add_all(self._joined(older, feed.bar_type)), []
            else:
                older = fresh.add_all(older)
        if known_ms is None:
            bars = self._joined(older, stream) if older else bars
        else:
            bars = [bar for bar in bars if self._open_ms(bar) > known_ms]
            self._give_older(actor, older)
        if bars:
            self._given_ms[key] = self._open_ms(bars[-1])
        if actor in self._followers(stream):
            self._introduced.add(key)
            self._fresh.add(key)
        with self._blaming(actor, f"its history of {stream}"):
            self._hand_history(actor, stream, bars)
        for request in requests:
            if self._node is not None:
                with self._blaming(actor, f"the answer to its request for {stream}"):
                    answer(self._node, request, len(bars))

    def _joined(self, older: list[Bar], stream: BarType) -> list[Bar]:
        """Older bars, then what the stream has had after them."""
        newest_ms = self._open_ms(older[-1])
        return [*older, *(bar for bar in self._had(stream) if self._open_ms(bar) > newest_ms)]

    def _give_older(self, actor: Actor, older: list[Bar]) -> None:
        """A late request for what lies before the window: indicators have gone on and get none."""
        with self._blaming(actor, "bars that it asked for"):
            for bar in older:
                actor.on_historical_data(bar)

    def _hand_history(self, actor: Actor, stream: BarType, bars: Sequence[Bar]) -> None:
        warmup = getattr(actor, "warmup_regime_detector", None)
        its_own = getattr(actor.config, "bar_type", stream)
        if not bars:
            return
        if warmup is not None and str(its_own) == str(stream):
            warmup([detector_bar(bar) for bar in bars])
        elif not self._is_by_hand(actor, bars[0]):
            for bar in bars:
                actor.handle_historical_bar(bar)
        elif self._delivery.replay == "on_bar":
            for bar in bars:
                self._replay(actor, bar)
            logger.info("{}: replayed {} bars of {} through on_bar", actor.id, len(bars), stream)
        else:
            self._note_cold(actor, stream, len(bars))

    def _note_cold(self, actor: Actor, stream: BarType, bars: int) -> None:
        """So many bars could not be received; as many have to come by on_bar."""
        key = (actor.id, stream)
        if key not in self._cold:
            logger.warning(
                "COLD START of {} on {}: nothing in it receives historical bars (no indicator is "
                "registered for them, on_historical_data is not overridden). Orders stay denied "
                "until on_bar has had as many. To start warm, set trade.replay: on_bar, or "
                "register its indicators in on_start", actor.id, stream,
            )  # fmt: skip
        had, wanted = self._cold.get(key, (0, 0))
        self._cold[key] = had, wanted + bars

    def _is_by_hand(self, actor: Actor, bar: Bar) -> bool:
        key = (actor.id, bar.bar_type)
        if key not in self._by_hand:
            self._by_hand[key] = not receives_history(actor, bar)
        return self._by_hand[key]

    def _replay(self, actor: Actor, bar: Bar) -> None:
        """An old bar through on_bar; orders that it leads to are denied."""
        self._replaying = True
        try:
            actor.handle_bar(bar)
        finally:
            self._replaying = False

    def _deny(self, order: Order) -> str:
        """Why an order that is submitted or released at this moment must not leave."""
        if self._replaying:
            return "history is being replayed"
        if self._node is None:
            return ""
        state = self._node.kernel.risk_engine.trading_state
        if state == TradingState.HALTED:
            return "TradingState is HALTED"
        entry = order.status == OrderStatus.RELEASED and not order.is_reduce_only
        return "TradingState is REDUCING" if entry and state == TradingState.REDUCING else ""

    def _soon(self, work: Callable[..., object], *arguments: object) -> None:
        """Do it on the loop, where its failure ends the run.

        A strategy's timers call from a thread of Nautilus' own, where no loop runs.
        """

        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - a callback's error would only be logged
                self._fail(error)

        if self._loop is not None and not self._stopped:
            self._loop.call_soon_threadsafe(guarded)

    # -- delivery ----------------------------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> bool:
        """A bar from the websocket; False: nobody keeps that stream."""
        if not self.warmed:
            self._early.append(bar)
            return True
        feed = self.feeds.get(bar.bar_type)
        if feed is None:
            return False
        if feed.arrived(bar):
            try:
                self.advance()
            except Exception as error:  # noqa: BLE001 - Nautilus' client would only log it
                self._fail(error)
        return True

    def _on_quote(self, tick: QuoteTick) -> QuoteTick | None:
        """What the engine gets of a quote; None: nothing."""
        instrument = self._instrument(tick.instrument_id)
        if instrument is None or not self.fits_quotes:
            return tick
        made = fitted(tick, instrument)
        if made is None and self._misfit != tick.instrument_id:
            self._misfit = tick.instrument_id
            logger.warning(
                "{}: dropping quotes that have more decimals than the instrument ({} and {}): has "
                "the venue changed its tick size? Nautilus loads instruments again every hour; a "
                "restart does it now", tick.instrument_id, instrument.price_precision,
                instrument.size_precision,
            )  # fmt: skip
        return made

    def advance(self) -> None:
        """Deliver what is complete: every bar that is due, of all streams that belong together.

        Before trading is on, all streams belong together, so that everybody has had all but his
        last bar when it begins; streams whose bars cannot be fetched are left out. Afterwards those
        that share a follower do.
        """
        if self._stopped or not self.warmed or self.is_introducing():
            return
        if not self.opened and not self._is_heard():
            return  # the newest bars are kept, for strategies to act on once orders may leave
        groups = grouped({feed: self._ids_of(feed) for feed in self.kept})
        if not self.live:
            moving = [group for group in groups if all(feed.phase != "stuck" for feed in group)]
            groups = [[feed for group in moving for feed in group]]
        for group in groups:
            if self._is_due(group):
                self._deliver(group)

    def _ids_of(self, feed: BarStream) -> set[Hashable]:
        return {actor.id for stream in self._of_feed(feed) for actor in self._followers(stream)}

    def _is_due(self, group: list[BarStream]) -> bool:
        """Whether something is held, and nothing that closed before it is still to come."""
        held = [ms for feed in group if (ms := feed.handoff.newest_held_ms()) is not None]
        return bool(held) and all(
            feed.is_complete() and feed.handoff.covers(max(held)) for feed in group
        )

    def _deliver(self, group: list[BarStream]) -> None:
        """Everybody's bars but his last, then trading if nothing speaks against it, then those."""
        streams = {stream for feed in group for stream in self._of_feed(feed)}
        opening = {key for key in self._fresh if key[1] in streams}
        due = self._due(group)
        plan = plan_delivery(due, {stream: self._followers(stream) for stream in self._streams()})
        for each in due:
            self._count(each)
        for each, actors in plan.before:
            self._publish(each)
            for actor in actors:
                self._hand(actor, each, opening)
        self._changed()  # before the last bars, so that strategies may act on them
        for each, actors in plan.after:
            for actor in actors:
                self._hand(actor, each, opening)
        self._fresh -= opening
        self.opened = True
        self._changed()  # a strategy's indicators may have become ready by them
        if any(each.newest for each in due):
            self._on_newest()

    def _due(self, group: list[BarStream]) -> list[Due[Bar]]:
        """All that is complete, composite bars included, in order."""
        released: list[Due[Bar]] = []
        for feed in group:
            interval = feed.history.interval
            release = feed.release()
            newest = [] if release.newest is None else [release.newest]
            for bar in (*release.history, *newest):
                open_ms = open_ms_of(bar, interval)
                close_ms = interval.close_ms(open_ms)
                released.append(Due(close_ms, open_ms, feed.bar_type, bar, bar in newest))
        due: list[Due[Bar]] = []
        for each in in_order(released):
            due.append(each)
            for composite in self.composites.values():
                if composite.source == each.stream:
                    due += [
                        Due(self._open_ms(bar), each.open_ms, composite.bar_type, bar, each.newest)
                        for bar in composite.add(each.bar)
                    ]
        return in_order(due)

    def _count(self, due: Due[Bar]) -> None:
        feed = self.feeds.get(due.bar.bar_type)
        if feed is not None:
            source = feed.count(due.bar, newest=due.newest)
            if due.newest:
                logger.info(
                    "{} bar {} closed at {} ({})",
                    feed.name, utc_text(due.open_ms), due.bar.close, source,
                )  # fmt: skip

    def _publish(self, due: Due[Bar]) -> None:
        """Into the cache, and to whoever listens to the topic and is not a follower."""
        if self._node is None:
            return
        kernel, topic = self._node.kernel, f"data.bars.{due.stream}"
        kernel.cache.add_bar(due.bar)
        followers = [actor.handle_bar for actor in self._followers(due.bar.bar_type)]
        others = [
            each
            for each in kernel.msgbus.subscriptions()
            if is_matching_py(topic, each.topic) and each.handler not in followers
        ]
        for each in sorted(others, key=lambda other: -other.priority):
            try:
                each.handler(due.bar)
            except Exception as error:
                raise TraderError(f"a subscriber of {topic} failed: {error!r}") from error

    def _hand(self, actor: Actor, due: Due[Bar], opening: set[_Key]) -> None:
        """One bar to one follower: as history if it is superseded or no news, else to on_bar."""
        key, at_ms = (actor.id, due.bar.bar_type), self._open_ms(due.bar)
        if key not in self._introduced or at_ms <= self._given_ms.get(key, -1):
            return  # it comes with its history, or has come
        self._given_ms[key] = at_ms
        first = key in opening
        old = not due.newest or (first and not self._is_news(actor, due))
        with self._blaming(actor, due.bar):
            if not old:
                actor.handle_bar(due.bar)
            elif not self._is_by_hand(actor, due.bar):
                actor.handle_historical_bar(due.bar)
            elif self._delivery.replay == "on_bar" or not first:
                self._replay(actor, due.bar)  # it would not have had it otherwise
            else:
                self._note_cold(actor, due.bar.bar_type, 1)
                return
        if key in self._cold:
            had, wanted = self._cold[key]
            self._cold[key] = had + 1, wanted

    def _is_news(self, actor: Actor, due: Due[Bar]) -> bool:
        """Whether a stream's first bar goes to on_bar."""
        age_ms = self._client.now_ms() - due.close_ms
        if age_ms <= _NEWS_MS or self._delivery.first_bar == "on_bar":
            return True
        if getattr(actor, "acts_on_first_bar", False):
            return True
        logger.info(
            "{}: the newest bar of {} closed {} ago, so it is history (trade.first_bar)",
            actor.id, due.stream, duration_text(age_ms),
        )  # fmt: skip
        return False

    def _open_ms(self, bar: Bar) -> int:
        """What tells bars of one stream apart; a composite bar's close will do."""
        feed = self.feeds.get(bar.bar_type)
        if feed is None:
            return int(bar.ts_event // NS_PER_MS)
        return open_ms_of(bar, feed.history.interval)

    @contextlib.contextmanager
    def _blaming(self, actor: Actor, what: object) -> Iterator[None]:
        """What is raised within is a strategy's own error."""
        try:
            yield
        except Exception as error:
            raise TraderError(
                f"{actor.id} failed on {what}: {error!r}; its log above says where"
            ) from error

    def _feed(self, history: History) -> BarStream:
        return BarStream(history, self._client, self.advance, self._changed, self._instrument)

    def _instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        return None if self._node is None else self._node.cache.instrument(instrument_id)
