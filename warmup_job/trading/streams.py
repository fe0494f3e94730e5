"""All streams of a node: who follows them, what everybody has had, and the feeds that keep them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import RefusedError, TraderError
from warmup_job.market.moment import utc_text
from warmup_job.nautilus.bars import interval_of, open_ms_of
from warmup_job.trading.detector_bars import detector_bar
from warmup_job.trading.feed import Feed, History
from warmup_job.trading.gate import Gate, answer, install
from warmup_job.trading.handoff import Release

if TYPE_CHECKING:
    from warmup_job.exchange.client import BinanceClient

type Watch = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Streams:
    """Stands at the gate of one node, from before its histories are there until it stops.

    Args:
        changed: told when a stream may be contiguous, or no longer.
        on_newest: told after the newest bar of a stream went to on_bar.
        watch: makes a task whose failure ends the run.
        fail: ends the run.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        client: BinanceClient,
        *,
        changed: Callable[[], object],
        on_newest: Callable[[], object],
        watch: Watch,
        fail: Callable[[BaseException], object],
    ) -> None:
        self.feeds: dict[BarType, Feed] = {}
        self.kept: dict[Feed, asyncio.Task[None]] = {}
        """Those that somebody follows."""
        self.unwarmed: list[BarType] = []
        """Followed, though nobody has warmed them."""
        self.streaming = asyncio.Event()
        """Whether anything at all came by a websocket."""
        self.warmed = False
        """Whether histories were given; until then everything waits."""
        self.live = False
        self._strategies = strategies
        self._client = client
        self._changed = changed
        self._on_newest = on_newest
        self._watch = watch
        self._fail = fail
        self._node: TradingNode | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._subscribed: dict[BarType, None] = {}
        self._following: set[tuple[object, BarType]] = set()
        self._given_to_ms: dict[tuple[object, BarType], int] = {}
        self._early: list[Bar | RequestBars] = []

    def take(self, histories: Sequence[History]) -> None:
        """What there is to start from."""
        self.feeds = {history.bar_type: self._feed(history) for history in histories}

    def attach(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
        """Stand at the node's gate; its strategies have not started yet."""
        self._node, self._loop = node, loop
        gate = Gate(
            self._on_bar, self._on_other, self._on_subscribed, self._on_unsubscribed,
            self._on_request,
        )  # fmt: skip
        install(gate, node)

    def warm_up(self) -> None:
        """Give everybody the history of what he follows, and begin to keep it contiguous."""
        for feed in self.feeds.values():
            self._into_cache(feed.history)
        self.warmed = True
        for bar_type in list(self._subscribed):  # history can make somebody follow more
            self._follow(bar_type)
        early, self._early = self._early, []
        for each in early:
            if isinstance(each, Bar):
                self._on_bar(each)
            elif not self._on_request(each) and self._node is not None:
                self._node.kernel.data_engine.request(each)

    def stop(self) -> None:
        """Ask for nothing more, and hand nothing on."""
        self._stopped = True
        for keeper in self.kept.values():
            keeper.cancel()

    # -- who follows what --------------------------------------------------------------------------

    def _into_cache(self, history: History) -> None:
        if self._node is not None:
            cache = self._node.kernel.cache
            if history.instrument is not None and cache.instrument(history.instrument.id) is None:
                cache.add_instrument(history.instrument)
            cache.add_bars(list(history.bars[:-1]))

    def _on_subscribed(self, bar_type: BarType) -> None:
        source = _source_of(bar_type)
        if source is None:
            return
        if bar_type.is_composite():
            logger.warning(
                "{} is added up by Nautilus from what arrives: it has no history, and nothing that "
                "is missed; follow the venue's own bars where there are any", bar_type,
            )  # fmt: skip
        self._subscribed[source] = None
        if self.warmed:
            self._soon(self._follow, source)

    def _on_unsubscribed(self, bar_type: BarType) -> None:
        source = _source_of(bar_type)
        if source is not None:
            self._soon(self._let_go, source)

    def _follow(self, bar_type: BarType) -> None:
        """Keep a stream that somebody has subscribed to; whoever is new to it gets its history."""
        feed = self.feeds.get(bar_type) or self._unplanned(bar_type)
        if feed is None or self._stopped:
            return
        for actor in self._followers(bar_type):
            self._give_history(feed, actor)
        if feed not in self.kept:
            self.kept[feed] = self._watch(feed.keep(), feed.name)

    def _let_go(self, bar_type: BarType) -> None:
        """A stream that nobody follows any more brings nothing, and is not waited for."""
        feed = self.feeds.get(bar_type)
        if feed is None or self._node is None or self._stopped:
            return
        keys = {(actor.id, bar_type) for actor in self._followers(bar_type)}
        for key in [each for each in self._following if each[1] == bar_type and each not in keys]:
            self._following.discard(key)
            self._given_to_ms[key] = feed.handoff.cursor_ms
        if not self._node.kernel.msgbus.has_subscribers(f"data.bars.{bar_type}"):
            self._subscribed.pop(bar_type, None)
            keeper = self.kept.pop(feed, None)
            if keeper is not None:
                keeper.cancel()
                feed.phase = "waiting"
                logger.info("{}: nobody follows it any more", feed.name)
                self._changed()

    def _unplanned(self, bar_type: BarType) -> Feed | None:
        """A stream that the configuration does not know: kept contiguous from now on."""
        try:
            interval = interval_of(bar_type)
        except RefusedError:
            return None  # not klines
        self.unwarmed.append(bar_type)
        logger.warning(
            "{} is followed, but nobody has warmed it: name it in warmup.streams", bar_type
        )
        feed = self.feeds[bar_type] = self._feed(History(bar_type, interval, [], wanted=0))
        return feed

    def _followers(self, bar_type: BarType) -> list[Actor]:
        if self._node is None:
            return []
        msgbus, topic = self._node.kernel.msgbus, f"data.bars.{bar_type}"
        actors = [*self._strategies, *self._node.trader.actors()]
        return [actor for actor in actors if msgbus.is_subscribed(topic, actor.handle_bar)]

    def _give_history(self, feed: Feed, actor: Actor) -> int:
        """All that the stream had so far and the actor has not; returns how many bars that were.

        Who follows the stream has had all of it, and gets the rest as it comes.
        """
        if self._node is None or (actor.id, feed.bar_type) in self._following:
            return 0
        key, interval = (actor.id, feed.bar_type), feed.history.interval
        bars: Sequence[Bar] = feed.history.bars[:-1]
        if feed.counts.all > feed.counts.history:  # it has moved on
            bars = self._node.kernel.cache.bars(feed.bar_type)[::-1]
        if key in self._given_to_ms:
            known_ms = self._given_to_ms[key]
            bars = [bar for bar in bars if open_ms_of(bar, interval) > known_ms]
        if bars:
            self._given_to_ms[key] = open_ms_of(bars[-1], interval)
        if actor in self._followers(feed.bar_type):
            self._following.add(key)
        warmup = getattr(actor, "warmup_regime_detector", None)
        its_own = getattr(actor.config, "bar_type", feed.bar_type)
        with self._blaming(actor, "its history"):
            if warmup is not None and str(its_own) == str(feed.bar_type):
                if bars:
                    warmup([detector_bar(bar) for bar in bars])
            else:
                for bar in bars:
                    actor.handle_historical_bar(bar)
        return len(bars)

    def _on_request(self, request: RequestBars) -> bool:
        """A strategy's own request for bars that are here, verified: Nautilus' could wait for ever,
        and would bring them a second time.
        """
        if not self.warmed:
            self._early.append(request)
            return True
        feed = self.feeds.get(request.bar_type)
        actor = getattr(request.callback, "__self__", None)
        if feed is None or not isinstance(actor, Actor):
            return False
        key = (actor.id, feed.bar_type)
        if key in self._following or key in self._given_to_ms:
            return False
        self._soon(self._answer, actor, request)
        return True

    def _answer(self, actor: Actor, request: RequestBars) -> None:
        feed = self.feeds[request.bar_type]
        bars = self._give_history(feed, actor)
        if self._node is not None:
            with self._blaming(actor, f"the answer to its request for {feed.name}"):
                answer(self._node, request, bars)

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

    # -- the gate ----------------------------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> bool:
        if not self.warmed:
            self._early.append(bar)
            return True
        feed = self.feeds.get(bar.bar_type)
        if feed is None:
            return False
        self._on_other()
        if feed.arrived(bar) and self.live and self._queue_is_empty():
            try:
                self._hand_on_now(feed, feed.release())
            except TraderError as error:  # Nautilus' client would only log it
                self._fail(error)
        return True

    def _on_other(self) -> None:
        if not self.streaming.is_set():
            self.streaming.set()
            for feed in self.feeds.values():
                feed.wake()

    def _queue_is_empty(self) -> bool:
        return self._node is None or not self._node.kernel.data_engine.data_qsize()

    async def _hand_on(self, feed: Feed) -> None:
        while not self._queue_is_empty():  # what is on its way must arrive before history does
            await asyncio.sleep(0)
        self._hand_on_now(feed, feed.release())

    def _hand_on_now(self, feed: Feed, release: Release[Bar]) -> None:
        if self._node is None:
            return
        for bar in release.history:
            self._node.kernel.cache.add_bar(bar)
            for actor in self._followers(feed.bar_type):
                with self._blaming(actor, bar):
                    actor.handle_historical_bar(bar)
            feed.count(bar)
        newest = release.newest
        if newest is not None:
            source = feed.count(newest, newest=True)
            self._changed()  # before the bar, so that strategies may act on it
            open_ms = open_ms_of(newest, feed.history.interval)
            logger.info("{} bar {} closed at {} ({})", feed.name, utc_text(open_ms), newest.close,
                        source)  # fmt: skip
            self._node.kernel.data_engine.process(newest)
            self._on_newest()
        else:
            self._changed()

    @contextlib.contextmanager
    def _blaming(self, actor: Actor, what: object) -> Iterator[None]:
        """What is raised within is a strategy's own error."""
        try:
            yield
        except Exception as error:
            raise TraderError(
                f"{actor.id} failed on {what}: {error!r}; its log above says where"
            ) from error

    def _feed(self, history: History) -> Feed:
        return Feed(
            history,
            self._client,
            self._hand_on,
            self._changed,
            self.streaming,
            self._instrument,
        )

    def _instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        return None if self._node is None else self._node.cache.instrument(instrument_id)


def _source_of(bar_type: BarType) -> BarType | None:
    """The bars that come from the venue for it; None: it is made of ticks, without a history."""
    if bar_type.is_composite():
        return bar_type.composite()
    return None if bar_type.is_internally_aggregated() else bar_type.standard()
