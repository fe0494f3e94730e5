"""One stream of a running node: what it starts from, its cursor, and how it stays contiguous."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from loguru import logger
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument

from warmup_job.binance.fetch import fetch_extremes, fetch_range
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.catalog.nautilus_bars import instrument_bars, open_ms_of
from warmup_job.errors import TraderError, WarmupError
from warmup_job.handoff.cursor import Handoff, Release, Span, next_due_ms
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import utc_text
from warmup_job.proof.certificate import Certificate
from warmup_job.proof.rolling_certificate import RollingCertificate
from warmup_job.proof.window import Bounds

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_GRACE_MS = 2_000  # how late a live kline may be before it is asked for
_RETRY_S, _MOST_RETRY_S = 1.0, 30.0
_FILL_DEADLINE_MS = 10_000
_LONGEST_WAIT_S = 600.0
_MOST_POLLED = 2  # times in a row that bars may be asked for before the stream counts as dead

Phase = Literal["waiting", "filling", "stuck", "contiguous"]


@dataclass(frozen=True, slots=True)
class History:
    """What strategies are warmed with, of one stream.

    ``bars`` ascend without a hole but the venue's own; ``wanted`` is how many the policy demands
    before an order may leave; ``from_listing`` says that older ones do not exist. ``proof``, empty
    yet, is carried on bar by bar, and must close before an order may leave; None: a count will do.
    """

    bar_type: BarType
    interval: Interval
    bars: Sequence[Bar]
    wanted: int
    from_listing: bool = False
    instrument: Instrument | None = None
    proof: RollingCertificate | None = None
    certificate: Certificate | None = None
    """Of ``bars``, as far as their regime is anybody's."""
    declared: Sequence[tuple[str, int]] = ()
    """Indicators of the strategies' own, by kind and period."""


@dataclass(slots=True)
class Counts:
    """What a feed has handed on, in bars."""

    history: int = 0
    """From the history that it started with."""
    filled: int = 0
    """Fetched by REST while the node runs."""
    live: int = 0
    """By the websocket."""
    to_on_bar: int = 0
    """How many of all these went to on_bar: the newest ones."""

    @property
    def all(self) -> int:
        """Together."""
        return self.history + self.filled + self.live


@dataclass(slots=True, eq=False)
class BarStream:
    """Keeps one stream contiguous, for as long as the node runs.

    Args:
        ready: called when nothing is missing, so that held bars may be delivered.
        changed: called when `phase` is another one.
        instrument_of: the node's own, for a history that brings none.
    """

    history: History
    client: BinanceClient
    ready: Callable[[], object]
    changed: Callable[[], object]
    instrument_of: Callable[[InstrumentId], Instrument | None]
    counts: Counts = field(default_factory=Counts)
    phase: Phase = "waiting"
    """waiting: nobody has subscribed to it yet. stuck: bars are missing and cannot be had."""
    gap: str = ""
    """Why bars are missing; empty: none is."""
    from_listing: bool = False
    handoff: Handoff[Bar] = field(init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _streamed_ms: int = -1  # open of the last bar that came by a websocket
    released: bool = False
    """Whether bars were delivered since the start."""
    _settled: bool = False  # was contiguous once: a kline has a moment to come by itself
    _absent: int = 0  # bars in a cold window that the venue itself lacks
    _polled: int = 0  # times in a row that the stream did not bring what was due
    _asked_ms: int = -1  # open of the first bar that was asked for last
    _clock_is_behind: bool = False  # a bar came from its future: the machine has slept

    def __post_init__(self) -> None:
        self.from_listing = self.history.from_listing
        self.handoff = self._begin()
        bars, proof = self.history.bars[:-1], self.history.proof
        for bar in bars[-proof.max_bars :] if proof is not None else ():
            self._carry(bar)  # older ones are neither in its window nor beyond its bounds
        self.counts.history = len(bars)

    @property
    def bar_type(self) -> BarType:
        """What it is a stream of."""
        return self.history.bar_type

    @property
    def name(self) -> str:
        """For people: BTCUSDT 1m."""
        return f"{self.stream.symbol} {self.history.interval.name}"

    def arrived(self, bar: Bar) -> bool:
        """Take in a bar from the websocket; True: it continues the stream."""
        open_ms = open_ms_of(bar, self.history.interval)
        if open_ms >= self.handoff.cursor_ms:  # also one that REST had first: the stream lives
            self._polled = 0
            self._wake.set()
        if self.history.interval.close_ms(open_ms) > self.client.now_ms() + _GRACE_MS:
            self._clock_is_behind = True
        if not self.handoff.offer(open_ms, bar):
            return False
        self._streamed_ms = open_ms
        return self.is_complete()

    def is_complete(self) -> bool:
        """Whether every bar that has closed is here, but for those that have a moment to come."""
        return (
            self.phase == "contiguous"
            and not self._clock_is_behind
            and self.handoff.missing(self._due_ms()) is None
        )

    def release(self) -> Release[Bar]:
        """What may be handed on now, as nothing is missing."""
        self._settled = self.released = True
        return self.handoff.release(self.client.now_ms())

    def count(self, bar: Bar, *, newest: bool = False) -> str:
        """Note that a bar was handed on, and return where it came from."""
        self._carry(bar)
        self.counts.to_on_bar += newest
        if self.history.bars and bar is self.history.bars[-1]:
            self.counts.history += 1
            return "history"
        if open_ms_of(bar, self.history.interval) == self._streamed_ms:
            self.counts.live += 1
            return "live"
        self.counts.filled += 1
        return "filled"

    def wake(self) -> None:
        """Let `keep` look again, now."""
        self._wake.set()

    def is_late(self) -> bool:
        """Whether bars are missing that nobody asks for yet: the machine has slept."""
        return self.phase == "contiguous" and self.handoff.missing(self._due_ms()) is not None

    async def keep(self) -> None:
        """Fill what is missing and say when all is there, until cancelled."""
        failures = 0
        while True:
            self._wake.clear()
            if self._clock_is_behind and not await self._set_clock():
                self._enter("stuck", "a bar came from the future, and the clock is not told")
                await self._await_wake(_RETRY_S)
                continue
            self._move_window()
            span = self.handoff.missing(self._due_ms())
            if span is not None:
                failures = 0 if await self._fill(span) else failures + 1
                if failures:
                    await self._await_wake(min(_MOST_RETRY_S, _RETRY_S * 2 ** (failures - 1)))
                continue
            failures = 0
            await self._learn_bounds()
            self._enter("contiguous", "")
            self.ready()
            await self._await_wake(self._until_due_s())

    def why_not(self) -> str:
        """Why what it gave cannot be vouched for yet; empty: it can be."""
        if self.phase != "contiguous":
            return self.gap or "its bars are not asked for yet"
        if self._polled >= _MOST_POLLED:
            return f"the last {self._polled} times, what was due did not come by the websocket"
        enough = self.from_listing or self.counts.all >= self.history.wanted
        if not enough or (not self.counts.all and self.history.wanted):
            return f"{self.counts.all} of {self.history.wanted} bars so far"
        return self._unproven()

    # -- filling -----------------------------------------------------------------------------------

    def _begin(self) -> Handoff[Bar]:
        interval, bars = self.history.interval, self.history.bars
        if not bars:
            # Cold: the whole window is missing, and is asked for until it comes.
            newest_ms = interval.last_closed(self.client.now_ms())
            return Handoff(interval, interval.shift(newest_ms, -self.history.wanted))
        newest_ms = open_ms_of(bars[-1], interval)
        before_ms = (
            open_ms_of(bars[-2], interval) if len(bars) > 1 else interval.shift(newest_ms, -1)
        )
        handoff = Handoff[Bar](interval, before_ms)
        if interval.next(before_ms) != newest_ms:  # the venue's own gap, on record
            handoff.pass_over(Span(interval.next(before_ms), interval.shift(newest_ms, -1)))
        handoff.offer(newest_ms, bars[-1])
        return handoff

    async def _fill(self, span: Span) -> bool:
        """Fetch what is missing; True when it came or the venue was found not to have it."""
        interval = self.history.interval
        bars = interval.count(*span)
        if self._settled and span.first_ms != self._asked_ms:
            logger.warning("{}: a gap in the live stream from {}", self.name, utc_text(span[0]))
            self._polled += 1
        self._asked_ms = span.first_ms
        if self.phase != "stuck":
            self._enter("filling", f"{bars} bar(s) are missing from {utc_text(span.first_ms)}")
        try:
            self.client.extend_deadline(_FILL_DEADLINE_MS)
            last_ms = max(span.last_ms, interval.last_closed(self.client.now_ms()))
            klines = await fetch_range(self.client, self.stream, span.first_ms, last_ms)
            opens_ms = [kline.open_ms for kline in klines]
            made = instrument_bars(klines, self.instrument(), interval, self.history.bars[-1:])
            answer = zip(opens_ms, made, strict=True)
            verdict, left = self.handoff.take_answer(span, answer, self._due_ms())
            if klines:
                logger.info("{}: filled {} bar(s) from {}", self.name, len(klines),
                            utc_text(span.first_ms))  # fmt: skip
            if verdict == "hole":
                await self._pass_over(left)
        except WarmupError as error:
            self._enter("stuck", f"a gap cannot be filled yet: {error}")
            return False
        return verdict != "again"

    async def _set_clock(self) -> bool:
        """Ask for the exchange's time: a bar came from the future, or this machine has slept."""
        before_ms = self.client.now_ms()
        try:
            self.client.extend_deadline(_FILL_DEADLINE_MS)
            clock = await self.client.sync_clock()
        except WarmupError:
            return False
        if not clock.is_reliable:
            return False
        self._clock_is_behind = False
        now_ms = self.client.now_ms()
        if now_ms > before_ms + _GRACE_MS:
            logger.warning("{}: the clock was behind the exchange's; it is set again", self.name)
        for open_ms in self.handoff.drop_later(
            self.history.interval.last_closed(now_ms + _GRACE_MS)
        ):
            logger.warning(
                "{}: dropped a bar of {}, which has not closed yet by the exchange's clock",
                self.name, utc_text(open_ms),
            )  # fmt: skip
        return True

    def _move_window(self) -> None:
        """A cold window ends now, and not when the trader started: a fault in it gets too old."""
        if self.history.bars or self.counts.all or not self.history.wanted:
            return
        interval = self.history.interval
        newest_ms = interval.last_closed(self.client.now_ms())
        self.handoff.move_to(interval.shift(newest_ms, -self.history.wanted - self._absent))

    async def _pass_over(self, hole: Span) -> None:
        """The venue itself has no bars there, though it has later ones."""
        if self.counts.all == 0:  # the window's very beginning: perhaps nothing was before it
            stream = self.stream
            first_ms = await self.client.first_open_ms(stream.symbol, stream.interval)
            self.from_listing = first_ms is not None and first_ms > hole.first_ms
            if self.history.proof is not None:
                self.history.proof.from_listing = self.from_listing
        logger.warning(
            "{}: the venue itself has no bars from {} to {}: passed over",
            self.name, utc_text(hole.first_ms), utc_text(hole.last_ms),
        )  # fmt: skip
        self.handoff.pass_over(hole)
        if not (self.history.bars or self.counts.all or self.from_listing):
            # As many bars are wanted all the same: the cold window begins earlier.
            missing = self.history.interval.count(*hole)
            self._absent += missing
            self.handoff.begin_earlier(missing)

    @property
    def stream(self) -> StreamId:
        """What is asked for by REST."""
        return StreamId(venue_symbol(str(self.bar_type.instrument_id)), self.history.interval)

    def instrument(self) -> Instrument:
        """What the bars are of.

        Raises:
            TraderError: the node does not have it.
        """
        instrument_id = self.bar_type.instrument_id
        instrument = self.instrument_of(instrument_id) or self.history.instrument
        if instrument is None:
            raise TraderError(f"the node has no instrument {instrument_id}: is it listed?")
        return instrument

    def _due_ms(self) -> int:
        return self.client.now_ms() - (_GRACE_MS if self._settled else 0)

    def _until_due_s(self) -> float:
        """Until the next bar that does not come would be missing: never a moment too early."""
        now_ms = self.client.now_ms()
        due_ms = next_due_ms(self.history.interval, now_ms, _GRACE_MS)
        return min((due_ms - now_ms) / 1000 + 0.01, _LONGEST_WAIT_S)

    async def _await_wake(self, most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._wake.wait()

    def _enter(self, phase: Phase, gap: str) -> None:
        said, self.gap = self.gap, gap
        if phase != self.phase or (phase == "stuck" and gap != said):
            self.phase = phase
            self.changed()

    # -- proof -------------------------------------------------------------------------------------

    def _carry(self, bar: Bar) -> None:
        if self.history.proof is not None:
            exact = detector_bar(bar)
            self.history.proof.update(exact.high, exact.low, exact.close)

    def _unproven(self) -> str:
        """Why strategies cannot be shown to be warm; empty: they can, or need not be."""
        if self.history.proof is None:
            return ""
        certificate = self.history.proof.certificate()
        if certificate is None:
            return "nothing is proven: the lowest and highest price ever are not known yet"
        if certificate.proven:
            return ""
        regimes = " or ".join(regime.value for regime in certificate.possible)
        return f"after {certificate.bars} bars the regime may be {regimes}: not proven"

    async def _learn_bounds(self) -> None:
        """After a cold start: what nothing can be proven without."""
        proof = self.history.proof
        if proof is None or proof.bounds is not None or self.from_listing:
            return
        try:
            low, high = await fetch_extremes(self.client, self.stream)
        except WarmupError as error:
            logger.warning(
                "{}: the lowest and highest price ever could not be had yet: {}", self.name, error
            )
        else:
            proof.bounds = Bounds(float(low), float(high))
