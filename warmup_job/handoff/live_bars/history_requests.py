"""The history that each follower gets once, and the answers to the followers' own requests."""

from __future__ import annotations

from collections.abc import Sequence
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.model.data import Bar, BarType

from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.nautilus_bars import instrument_bars, open_ms_of
from warmup_job.errors import WarmupError
from warmup_job.handoff.live_bars.composite_bars import CompositeSeries, source_of
from warmup_job.handoff.live_bars.followed_streams import FollowedStreams
from warmup_job.handoff.live_bars.follower import Follower
from warmup_job.handoff.live_bars.gate import answer
from warmup_job.handoff.live_bars.held_bars import Span
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.times import utc_text

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_OLDER_DEADLINE_MS = 60_000
_CACHED = 10_000  # bars of each type that Nautilus' cache holds
_MOST_OLDER = 50_000  # bars that one request may fetch from before the window


class HistoryRequests:
    """Gives followers their history, from what is here and from what their requests ask for.

    Args:
        followed: the series and their followers.
        client: fetches bars that are older than the history.
        listener: the runner.
    """

    def __init__(
        self, followed: FollowedStreams, client: BinanceClient, listener: RunListener
    ) -> None:
        self._followed = followed
        self._client = client
        self._listener = listener
        self._waiting: list[RequestBars] = []

    def take(self, request: RequestBars) -> bool:
        """Take a request for bars; return False if Nautilus has to answer it itself.

        Whether its bars are ours is known only when the subscriptions are.
        """
        if _requester(request) is None:
            return False
        self._waiting.append(request)
        return True

    def serve(self) -> None:
        """Give newcomers their history, and answer the requests that have come."""
        if self._followed.is_stopped:
            return
        self._followed.add_subscribed()  # also after a history that made a strategy follow more
        for follower, requests in self._newcomers().items():
            self._introduce(follower, requests)
        self._followed.keep_subscribed()

    def _newcomers(self) -> dict[Follower, list[RequestBars]]:
        """Return who has not had a series' history, or has requested bars of it."""
        followed, found = self._followed, dict[Follower, list[RequestBars]]()
        for series in followed.all_series():
            for actor in followed.actors(series):
                follower = followed.follower(actor, series)
                if not (follower.has_history or follower.is_fetching):
                    found[follower] = []
        requests, self._waiting = self._waiting, []
        for request in requests:
            actor = _requester(request)
            named = [followed.follower(actor, each) for each in self._series_of(request)]
            if not named:
                followed.node.kernel.data_engine.request(request)
            elif any(follower.is_fetching for follower in named):
                self._waiting.append(request)  # answered when what is under way is done
            else:
                for follower in named:
                    found.setdefault(follower, [])
                found[named[-1]].append(request)
        return found

    def _series_of(self, request: RequestBars) -> list[BarType]:
        """Return the series of ours that it asks for; empty: at least one of them is not ours."""
        followed = self._followed
        named = (request.params or {}).get("bar_types") or (request.bar_type,)
        for each in named:
            if source_of(each) in followed.streams and each.standard() not in followed.composites:
                followed.compose(each)
        all_series = followed.all_series()
        series = [each.standard() for each in named]
        return series if all(each in all_series for each in series) else []

    def _introduce(self, follower: Follower, requests: list[RequestBars]) -> None:
        """Give a follower what it has not had, and answer its requests, once each."""
        series, whose = follower.series, follower.actor.id
        if follower.has_history:
            for request in requests:
                late = self._answer_late(follower, request)
                self._listener.start_task(late, f"older bars of {series} for {whose}")
            return
        older = self._older_span(series, requests)
        if older is None:
            self._give(follower, [], requests)
            return
        follower.is_fetching = True
        self._listener.on_change()
        fetching = self._introduce_with(follower, requests, older)
        self._listener.start_task(fetching, f"history of {series} for {whose}")

    def _older_span(self, series: BarType, requests: list[RequestBars]) -> Span | None:
        """Return the requested source bars that are older than the window; None: none are."""
        stream = self._followed.stream_of(series)
        interval, had = stream.history.interval, self._followed.bars(stream.bar_type)
        window_ms = open_ms_of(had[0], interval) if had else interval.next(stream.held.at_ms)
        last_ms = interval.shift(window_ms, -1)
        if len(had) >= _CACHED:  # the cache loses a bar with each new one, also meanwhile
            last_ms = interval.shift(last_ms, _CACHED // 2)
        first_ms = window_ms
        for request in requests:
            start_ms = interval.floor(int(request.start.timestamp() * 1000))
            if request.limit and series not in self._followed.composites:
                least_ms = interval.shift(window_ms, len(had) - request.limit)
                start_ms = max(start_ms, least_ms)
            first_ms = min(first_ms, start_ms)
        if first_ms == window_ms:
            return None
        least_ms = interval.shift(window_ms, -_MOST_OLDER)
        if first_ms < least_ms:
            logger.warning(
                "{stream}: a request reaches back to {since}; fetching the last {bars} bars "
                "before the window",
                event="request.shortened",
                stream=stream.name,
                since=utc_text(first_ms),
                bars=_MOST_OLDER,
            )
        return Span(max(first_ms, least_ms), last_ms)

    async def _introduce_with(
        self, follower: Follower, requests: list[RequestBars], older: Span
    ) -> None:
        try:
            bars = await self._fetch_older(follower, older)
        finally:
            follower.is_fetching = False
        self._give(follower, bars, requests)
        self.serve()
        self._listener.on_stream_complete()

    async def _answer_late(self, follower: Follower, request: RequestBars) -> None:
        """Answer a follower that has had its history: with what is older than the window."""
        interval = self._followed.stream_of(follower.series).history.interval
        older, bars = self._older_span(follower.series, [request]), list[Bar]()
        if older is not None:
            end_ms = interval.floor(int(request.end.timestamp() * 1000))
            older = Span(older.first_ms, min(older.last_ms, end_ms))
            if older.first_ms <= older.last_ms:
                bars = await self._fetch_older(follower, older)
        self._give(follower, bars, [request])

    async def _fetch_older(self, follower: Follower, older: Span) -> list[Bar]:
        stream, since = self._followed.stream_of(follower.series), utc_text(older.first_ms)
        try:
            self._client.extend_deadline(_OLDER_DEADLINE_MS)
            klines = await fetch_range(self._client, stream.stream_id, *older)
            bars: list[Bar] = instrument_bars(
                klines, stream.instrument(), stream.history.interval, stream.history.bars[-1:]
            )
        except WarmupError as error:
            logger.warning(
                "{stream}: cannot fetch the bars from {since} that {strategy} requested: {error}",
                event="request.failed",
                stream=stream.name,
                since=since,
                strategy=follower.actor.id,
                error=error,
            )
            return []
        logger.info(
            "{stream}: fetched {bars} older bars from {since} for {strategy}",
            event="request.filled",
            stream=stream.name,
            bars=len(bars),
            since=since,
            strategy=follower.actor.id,
        )
        return bars

    def _give(self, follower: Follower, older: list[Bar], requests: list[RequestBars]) -> None:
        """Hand over the history, older bars first, and answer the requests.

        Args:
            follower: gets what it has not had.
            older: bars of the venue from before the window, oldest first.
            requests: the follower's own, to be answered.
        """
        followed, series = self._followed, follower.series
        stream, known_ms = followed.stream_of(series), follower.last_ms
        bars = followed.bars(series)
        if older and series in followed.composites:
            composed_of = followed.composites[series].requested
            fresh = CompositeSeries(composed_of, stream.instrument(), stream.history.interval)
            if known_ms is None:
                bars, older = fresh.add_all(self._joined(older, stream.bar_type)), []
            else:
                older = fresh.add_all(older)
        if known_ms is None:
            bars = self._joined(older, series) if older else bars
        else:
            bars = [bar for bar in bars if followed.open_ms(bar) > known_ms]
            # Indicators have gone on, so they do not get the older bars.
            with follower.blamed_for("bars that it requested"):
                for bar in older:
                    follower.actor.on_historical_data(bar)
        if bars:
            follower.last_ms = followed.open_ms(bars[-1])
        if follower.actor in followed.actors(series):
            follower.has_history = follower.awaits_first_bar = True
        with follower.blamed_for(f"its history of {series}"):
            follower.take_history(bars)
        for request in requests:
            with follower.blamed_for(f"the answer to its request for {series}"):
                answer(followed.node, request, len(bars))

    def _joined(self, older: list[Bar], series: BarType) -> Sequence[Bar]:
        """Return older bars, then the delivered bars that follow them."""
        newest_ms = self._followed.open_ms(older[-1])
        delivered = self._followed.bars(series)
        return [*older, *(bar for bar in delivered if self._followed.open_ms(bar) > newest_ms)]


def _requester(request: RequestBars) -> Actor | None:
    """Return the actor that a request's callback belongs to."""
    callback = request.callback
    owner = callback.__self__ if isinstance(callback, MethodType | BuiltinMethodType) else None
    return owner if isinstance(owner, Actor) else None
