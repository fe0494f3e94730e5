"""The delivery of complete streams: every bar that is due, to the cache and to its followers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import is_matching_py
from nautilus_trader.model.data import Bar

from warmup_job.catalog.nautilus_bars import open_ms_of
from warmup_job.errors import TraderError
from warmup_job.handoff.live_bars.bar_stream import BarStream
from warmup_job.handoff.live_bars.bars_in_order import DueBar, grouped, in_order, plan_delivery
from warmup_job.handoff.live_bars.followed_streams import FollowedStreams
from warmup_job.handoff.live_bars.follower import Follower
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.times import utc_text

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


class BarDelivery:
    """Delivers the bars of all streams in order of their close time.

    Args:
        followed: the series and their followers.
        client: its clock is the exchange's.
        listener: the runner.
    """

    def __init__(
        self, followed: FollowedStreams, client: BinanceClient, listener: RunListener
    ) -> None:
        self.has_begun = False
        """Whether held bars were delivered for the first time."""
        self._followed = followed
        self._client = client
        self._listener = listener

    def is_under_way(self) -> bool:
        """Return whether bars are held or being fetched that were not delivered."""
        held = any(each.held.newest_held_ms() is not None for each in self._followed.kept)
        return held or self._followed.is_fetching()

    def advance(self, *, live: bool) -> None:
        """Deliver every bar that is due, of all streams that belong together.

        Nothing is delivered before the websocket is heard: strategies act on the newest bars, once
        orders may leave.

        Args:
            live: whether trading is on. Before, all streams belong together, except those that are
                stuck, so that every follower has had all but its last bar when trading begins.
                Afterwards those streams belong together that share a follower.
        """
        followed = self._followed
        if followed.is_stopped or followed.is_fetching():
            return
        if not self.has_begun and not self._listener.is_heard():
            return
        groups = grouped({stream: self._follower_ids(stream) for stream in followed.kept})
        if not live:
            moving = [group for group in groups if all(each.phase != "stuck" for each in group)]
            groups = [[stream for group in moving for stream in group]]
        for group in groups:
            if _is_due(group):
                self._deliver(group)

    def _follower_ids(self, stream: BarStream) -> set[Hashable]:
        series = self._followed.series_of(stream)
        return {actor.id for each in series for actor in self._followed.actors(each)}

    def _deliver(self, group: list[BarStream]) -> None:
        """Deliver all but each follower's last bar, decide on trading, then deliver those."""
        followed = self._followed
        actors = {series: followed.actors(series) for series in followed.all_series()}
        opening = [
            follower
            for stream in group
            for series in followed.series_of(stream)
            for actor in actors[series]
            if (follower := followed.follower(actor, series)).awaits_first_bar
        ]
        due = self._due(group)
        plan = plan_delivery(due, actors)
        for each in due:
            self._count(each)
        for each, subscribers in plan.before:
            self._publish(each)
            self._hand_over(each, subscribers, opening)
        self._listener.on_change()  # before the last bars, so that strategies may act on them
        for each, subscribers in plan.after:
            self._hand_over(each, subscribers, opening)
        for follower in opening:
            follower.awaits_first_bar = False
        self.has_begun = True
        self._listener.on_change()  # an indicator may be initialized with the last bar
        if any(each.newest for each in due):
            self._listener.on_newest_bar()

    def _due(self, group: list[BarStream]) -> list[DueBar[Bar]]:
        """Return everything that is complete, composed bars included, in order."""
        taken: list[DueBar[Bar]] = []
        for stream in group:
            interval = stream.history.interval
            superseded, newest = stream.take_complete()
            for bar in (*superseded, *([] if newest is None else [newest])):
                open_ms = open_ms_of(bar, interval)
                close_ms = interval.close_ms(open_ms)
                taken.append(DueBar(close_ms, open_ms, stream.bar_type, bar, bar is newest))
        due: list[DueBar[Bar]] = []
        for each in in_order(taken):
            due.append(each)
            for composite in self._followed.composites.values():
                if composite.source == each.stream:
                    due += [
                        each._replace(
                            close_ms=self._followed.open_ms(bar), stream=composite.bar_type, bar=bar
                        )
                        for bar in composite.add(each.bar)
                    ]
        return in_order(due)

    def _count(self, due: DueBar[Bar]) -> None:
        stream = self._followed.streams.get(due.bar.bar_type)
        if stream is None:
            return
        source = stream.count(due.bar, newest=due.newest)
        if due.newest:
            opened = utc_text(due.open_ms)
            logger.info(
                "{stream} bar {open_time} closed at {close} ({source})",
                event="bar.delivered",
                stream=stream.name,
                open_time=opened,
                close=due.bar.close,
                source=source,
            )

    def _publish(self, due: DueBar[Bar]) -> None:
        """Put a bar into the cache, and hand it to the topic's subscribers that do not follow it.

        Raises:
            TraderError: one of them failed.
        """
        kernel, topic = self._followed.node.kernel, f"data.bars.{due.stream}"
        kernel.cache.add_bar(due.bar)
        followers = [actor.handle_bar for actor in self._followed.actors(due.bar.bar_type)]
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

    def _hand_over(
        self, due: DueBar[Bar], subscribers: list[Actor], opening: list[Follower]
    ) -> None:
        open_ms, now_ms = self._followed.open_ms(due.bar), self._client.now_ms()
        for actor in subscribers:
            follower = self._followed.follower(actor, due.bar.bar_type)
            follower.take(due, open_ms, now_ms, first=follower in opening)


def _is_due(group: list[BarStream]) -> bool:
    """Return whether bars are held, and none that closed before them is still to come."""
    held = [ms for stream in group if (ms := stream.held.newest_held_ms()) is not None]
    return bool(held) and all(
        stream.is_complete and stream.held.covers(max(held)) for stream in group
    )
