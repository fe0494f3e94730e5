"""A strategy or actor that follows one series of bars: what it has had, and how it takes a bar."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import Bar, BarType

from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.errors import TraderError
from warmup_job.handoff.live_bars.bars_in_order import DueBar
from warmup_job.handoff.live_bars.receivers import receives_history
from warmup_job.handoff.outgoing_orders.order_denial import OrderDenial
from warmup_job.handoff.strategy_features import (
    ChoosesFirstBar,
    FollowsOneBarType,
    TakesDetectorBars,
)
from warmup_job.handoff.trading_policy import DeliveryPolicy
from warmup_job.market.times import duration_text

_NEWS_MS = 60_000  # a first bar that closed longer ago than this is history


class Follower:
    """One actor on one series: a stream of the venue, or bars that are composed of it.

    Args:
        actor: the strategy or actor.
        series: the type of the bars.
        policy: how history reaches the actor.
        denial: denies orders while a bar is replayed.
    """

    def __init__(
        self, actor: Actor, series: BarType, policy: DeliveryPolicy, denial: OrderDenial
    ) -> None:
        self.actor = actor
        self.series = series
        self.has_history = False
        """Whether its history was given, so that bars may follow."""
        self.is_fetching = False
        """Whether its history is being fetched."""
        self.awaits_first_bar = False
        """Whether it was given no bar since its history: the next one may be old news."""
        self.last_ms: int | None = None
        """Open time of the last bar that it was given, UTC ms; None: none."""
        self._policy = policy
        self._denial = denial
        self._takes_history: bool | None = None  # None: not found out yet
        self._lacking: tuple[int, int] | None = None
        # How many bars it has had of those that it needs and could not take as history.

    def why_cold(self) -> str:
        """Return why the actor is cold although its history was there; empty: it is not."""
        if self._lacking is None or self._lacking[0] >= self._lacking[1]:
            return ""
        had, wanted = self._lacking
        return (
            f"{self.actor.id} updates itself in on_bar and has had {had} of {wanted} bars of "
            f"{self.series} (trade.replay: on_bar replays them, with orders denied)"
        )

    def leave(self) -> None:
        """Forget the history: the actor has unsubscribed, and gets it again when it returns."""
        self.has_history = False
        self._lacking = None

    @contextlib.contextmanager
    def blamed_for(self, what: object) -> Iterator[None]:
        """Raise what fails within as an error of the strategy.

        Raises:
            TraderError: the actor failed on ``what``.
        """
        try:
            yield
        except Exception as error:
            raise TraderError(
                f"{self.actor.id} failed on {what}: {error!r}; the log above says where"
            ) from error

    def take_history(self, bars: Sequence[Bar]) -> None:
        """Hand over the history, in the way that the actor can take it.

        Args:
            bars: of this series, oldest first.
        """
        if not bars:
            return
        config = self.actor.config
        other = isinstance(config, FollowsOneBarType) and str(config.bar_type) != str(self.series)
        if isinstance(self.actor, TakesDetectorBars) and not other:
            self.actor.warmup_regime_detector([detector_bar(bar) for bar in bars])
        elif self._can_take_history(bars[0]):
            for bar in bars:
                self.actor.handle_historical_bar(bar)
        elif self._policy.replay == "on_bar":
            for bar in bars:
                self._replay(bar)
            logger.info(
                "{strategy}: replayed {bars} bars of {stream} through on_bar",
                event="bars.replayed",
                strategy=self.actor.id,
                bars=len(bars),
                stream=self.series,
            )
        else:
            self._note_lacking(len(bars))

    def take(self, due: DueBar[Bar], open_ms: int, now_ms: int, *, first: bool) -> None:
        """Hand over one bar: as history if it is superseded or old news, else to on_bar.

        Args:
            due: the bar; one that the actor has had, or gets with its history, is left out.
            open_ms: the bar's open time, UTC ms.
            now_ms: the exchange's time, UTC ms.
            first: whether the bar belongs to the first delivery after the history.
        """
        if not self.has_history or (self.last_ms is not None and open_ms <= self.last_ms):
            return
        self.last_ms = open_ms
        old = not due.newest or (first and not self._is_news(due, now_ms))
        with self.blamed_for(due.bar):
            if not old:
                self.actor.handle_bar(due.bar)
            elif self._can_take_history(due.bar):
                self.actor.handle_historical_bar(due.bar)
            elif self._policy.replay == "on_bar" or not first:
                self._replay(due.bar)  # the actor would not get it otherwise
            else:
                self._note_lacking(1)
                return
        if self._lacking is not None:
            had, wanted = self._lacking
            self._lacking = had + 1, wanted

    def _is_news(self, due: DueBar[Bar], now_ms: int) -> bool:
        """Return whether on_bar gets the newest bar of the first delivery."""
        age_ms = now_ms - due.close_ms
        if age_ms <= _NEWS_MS or self._policy.first_bar == "on_bar":
            return True
        if isinstance(self.actor, ChoosesFirstBar) and self.actor.acts_on_first_bar:
            return True
        logger.info(
            "{strategy}: the newest bar of {stream} closed {age} ago, so it is history "
            "(trade.first_bar)",
            event="bar.is_history",
            strategy=self.actor.id,
            stream=due.stream,
            age=duration_text(age_ms),
        )
        return False

    def _can_take_history(self, bar: Bar) -> bool:
        if self._takes_history is None:
            self._takes_history = receives_history(self.actor, bar)
        return self._takes_history

    def _replay(self, bar: Bar) -> None:
        """Hand an old bar to on_bar; orders that it leads to are denied."""
        with self._denial.replaying():
            self.actor.handle_bar(bar)

    def _note_lacking(self, bars: int) -> None:
        """Note bars that the actor could not take; it needs as many by on_bar instead."""
        if self._lacking is None:
            logger.warning(
                "COLD START of {strategy} on {stream}: the strategy cannot take historical bars "
                "(it registers no indicator for them and does not override on_historical_data). "
                "Orders stay denied until on_bar has had as many. To start warm, set "
                "trade.replay: on_bar, or register its indicators in on_start",
                event="strategy.cold_start",
                strategy=self.actor.id,
                stream=self.series,
            )
        had, wanted = self._lacking or (0, 0)
        self._lacking = had, wanted + bars
