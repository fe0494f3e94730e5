"""One bar stream of a running node: it fills its gaps, and says whether every bar is here."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal

import msgspec
from loguru import logger
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.instruments import Instrument

from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.nautilus_bars import instrument_bars, open_ms_of
from warmup_job.errors import TraderError, WarmupError
from warmup_job.handoff.live_bars.held_bars import CompleteRun, HeldBars, Span, next_due_ms
from warmup_job.handoff.live_bars.regime_proof import RegimeProof
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.live_bars.websocket_messages import kline_stream
from warmup_job.handoff.reporting.report import StreamReport
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.stream_id import StreamId
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import utc_text

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_GRACE_MS = 2_000  # how late a live kline may be before REST is asked for it
_RETRY_S, _MOST_RETRY_S = 1.0, 30.0
_FILL_DEADLINE_MS = 10_000
_LONGEST_WAIT_S = 600.0
_MOST_POLLED = 2  # bars in a row that only REST had, before the websocket stream counts as dead

Phase = Literal["waiting", "filling", "stuck", "contiguous"]
"""waiting: no subscriber yet; stuck: bars are missing and cannot be fetched at the moment."""


class DeliveredBars(msgspec.Struct):
    """How many bars a stream has delivered, by where they came from."""

    history: int = 0
    """From the history that the stream started with."""
    filled: int = 0
    """Fetched by REST while the node runs."""
    live: int = 0
    """Received by websocket."""
    to_on_bar: int = 0
    """How many of all these were the newest bar, and so went to on_bar."""

    @property
    def all(self) -> int:
        """All of them."""
        return self.history + self.filled + self.live


class BarStream:
    """Keeps one stream contiguous while the node runs.

    Args:
        history: the bars that the stream starts from.
        client: fetches missing bars; its clock is the exchange's.
        listener: learns of each change, and when every bar that has closed is here.
    """

    def __init__(self, history: History, client: BinanceClient, listener: RunListener) -> None:
        self.history = history
        self.phase: Phase = "waiting"
        self.from_listing = history.from_listing
        """Whether the stream begins with the symbol's first bar."""
        self.released = False
        """Whether bars were taken for delivery since the start."""
        self.held = self._held_at_start(client.now_ms())
        self.delivered = DeliveredBars(history=len(history.bars[:-1]))
        self._client = client
        self._listener = listener
        self._proof = RegimeProof(history)
        self._gap = ""  # why bars are missing
        self._wake = asyncio.Event()
        self._streamed_ms = -1  # open of the last bar that came by websocket
        self._absent = 0  # bars in a cold window that the venue itself lacks
        self._polled = 0  # bars in a row that were due and that the websocket did not bring
        self._requested_ms = -1  # open of the first bar of the last request
        self._clock_is_behind = False  # a bar came from the future: the machine has slept

    @property
    def bar_type(self) -> BarType:
        """The venue's bars, as Nautilus names them."""
        return self.history.bar_type

    @property
    def name(self) -> str:
        """The name in logs, such as ``BTCUSDT 1m``."""
        return f"{self.stream_id.symbol} {self.history.interval.name}"

    @property
    def stream_id(self) -> StreamId:
        """What REST is asked for."""
        return StreamId(venue_symbol(str(self.bar_type.instrument_id)), self.history.interval)

    @property
    def websocket_name(self) -> str:
        """Binance's name of the websocket stream."""
        return kline_stream(self.stream_id.symbol, self.history.interval)

    @property
    def contiguous_to_ms(self) -> int:
        """Close time of the last bar that was delivered, UTC ms."""
        return self.history.interval.close_ms(self.held.at_ms)

    @property
    def is_late(self) -> bool:
        """Whether bars are missing that `keep` has not noticed, as after the machine has slept."""
        return self.phase == "contiguous" and self.held.missing(self._due_ms()) is not None

    @property
    def is_complete(self) -> bool:
        """Whether every closed bar is here, except live ones within their grace of 2 s."""
        return (
            self.phase == "contiguous"
            and not self._clock_is_behind
            and self.held.missing(self._due_ms()) is None
        )

    def instrument(self) -> Instrument:
        """Return the instrument of the bars: the node's, or else the history's.

        Raises:
            TraderError: neither has it.
        """
        instrument_id = self.bar_type.instrument_id
        instrument = self._listener.instrument(instrument_id) or self.history.instrument
        if instrument is None:
            raise TraderError(
                f"the node has no instrument {instrument_id}: does the venue list the symbol?"
            )
        return instrument

    def arrived(self, bar: Bar) -> bool:
        """Hold a bar from the websocket; return whether the stream is complete with it."""
        open_ms = open_ms_of(bar, self.history.interval)
        if open_ms >= self.held.at_ms:  # also a bar that REST had first shows that it is alive
            self._polled = 0
            self.wake()
        if self.history.interval.close_ms(open_ms) > self._client.now_ms() + _GRACE_MS:
            self._clock_is_behind = True
        if not self.held.offer(open_ms, bar):
            return False
        self._streamed_ms = open_ms
        return self.is_complete

    def take_complete(self) -> CompleteRun[Bar]:
        """Take the bars that may be delivered now."""
        self.released = True
        return self.held.take_complete(self._client.now_ms())

    def count(self, bar: Bar, *, newest: bool = False) -> str:
        """Count a delivered bar; return its source: ``history``, ``filled`` or ``live``."""
        self._proof.add(bar)
        self.delivered.to_on_bar += newest
        if self.history.bars and bar is self.history.bars[-1]:
            self.delivered.history += 1
            return "history"
        if open_ms_of(bar, self.history.interval) == self._streamed_ms:
            self.delivered.live += 1
            return "live"
        self.delivered.filled += 1
        return "filled"

    def wake(self) -> None:
        """Make `keep` look for missing bars now."""
        self._wake.set()

    def why_not(self) -> str:
        """Return why this stream blocks trading; empty: it does not."""
        if self.phase != "contiguous":
            return self._gap or "its bars are not requested yet"
        if self._polled >= _MOST_POLLED:
            return f"the websocket did not bring the last {self._polled} bars that were due"
        count, wanted = self.delivered.all, self.history.wanted
        enough = self.from_listing or count >= wanted
        if not enough or (not count and wanted):
            return f"{count} of {wanted} bars so far"
        return self._proof.why_not()

    def report(self, silent_ms: int | None) -> StreamReport:
        """Return the stream's part of a report.

        Args:
            silent_ms: for how many ms its websocket stream is silent; None: it was never heard.
        """
        return StreamReport(
            bar_type=str(self.bar_type),
            phase=self.phase,
            contiguous_to_ms=self.contiguous_to_ms,
            history_bars=self.delivered.history,
            filled_bars=self.delivered.filled,
            live_bars=self.delivered.live,
            silent_ms=silent_ms,
            why_not=self.why_not(),
            snapshot=self.history.snapshot,
        )

    async def keep(self) -> None:
        """Fill gaps and report completeness to the listener, until cancelled."""
        failures = 0
        while True:
            self._wake.clear()
            if self._clock_is_behind and not await self._set_clock():
                self._enter(
                    "stuck", "a bar came from the future, and the exchange's time is not known"
                )
                await self._await_wake(_RETRY_S)
                continue
            self._move_cold_window()
            gap = self.held.missing(self._due_ms())
            if gap is not None:
                failures = 0 if await self._fill(gap) else failures + 1
                if failures:
                    await self._await_wake(min(_MOST_RETRY_S, _RETRY_S * 2 ** (failures - 1)))
                continue
            failures = 0
            await self._proof.learn_bounds(self._client, self.stream_id, self.name)
            self._enter("contiguous", "")
            self._listener.on_stream_complete()
            await self._await_wake(self._until_due_s())

    # -- filling -----------------------------------------------------------------------------------

    def _held_at_start(self, now_ms: int) -> HeldBars[Bar]:
        interval, bars = self.history.interval, self.history.bars
        if not bars:  # cold: the whole window is missing, and is requested until it comes
            newest_ms = interval.last_closed(now_ms)
            return HeldBars(interval, interval.shift(newest_ms, -self.history.wanted))
        newest_ms = open_ms_of(bars[-1], interval)
        before_ms = (
            open_ms_of(bars[-2], interval) if len(bars) > 1 else interval.shift(newest_ms, -1)
        )
        held = HeldBars[Bar](interval, before_ms)
        if interval.next(before_ms) != newest_ms:  # the venue's own gap, on record
            held.pass_over(Span(interval.next(before_ms), interval.shift(newest_ms, -1)))
        held.offer(newest_ms, bars[-1])
        return held

    async def _fill(self, gap: Span) -> bool:
        """Fetch missing bars; return False if they have to be requested again after a pause."""
        interval = self.history.interval
        bars, since = interval.count(*gap), utc_text(gap.first_ms)
        if self.released and gap.first_ms != self._requested_ms:
            logger.warning(
                "{stream}: the live stream has a gap from {since}",
                event="bars.gap",
                stream=self.name,
                since=since,
            )
            self._polled += 1
        self._requested_ms = gap.first_ms
        if self.phase != "stuck":
            self._enter("filling", f"{bars} bar(s) are missing from {since}")
        try:
            self._client.extend_deadline(_FILL_DEADLINE_MS)
            last_ms = max(gap.last_ms, interval.last_closed(self._client.now_ms()))
            klines = await fetch_range(self._client, self.stream_id, gap.first_ms, last_ms)
            opens_ms = [kline.open_ms for kline in klines]
            made = instrument_bars(klines, self.instrument(), interval, self.history.bars[-1:])
            answer = zip(opens_ms, made, strict=True)
            verdict, left = self.held.take_answer(gap, answer, self._due_ms())
            if klines:
                logger.info(
                    "{stream}: filled {bars} bar(s) from {since}",
                    event="bars.filled",
                    stream=self.name,
                    bars=len(klines),
                    since=since,
                )
            if verdict == "hole":
                await self._pass_over(left)
        except WarmupError as error:
            self._enter("stuck", f"a gap cannot be filled yet: {error}")
            return False
        return verdict != "again"

    async def _set_clock(self) -> bool:
        """Ask for the exchange's time, and drop bars that have not closed by it."""
        before_ms = self._client.now_ms()
        try:
            self._client.extend_deadline(_FILL_DEADLINE_MS)
            clock = await self._client.sync_clock()
        except WarmupError:
            return False
        if not clock.is_reliable:
            return False
        self._clock_is_behind = False
        now_ms = self._client.now_ms()
        if now_ms > before_ms + _GRACE_MS:
            logger.warning(
                "{stream}: our clock was {behind_ms} ms behind the exchange's; it is set again",
                event="clock.resynced",
                stream=self.name,
                behind_ms=now_ms - before_ms,
            )
        last_ms = self.history.interval.last_closed(now_ms + _GRACE_MS)
        for open_ms in self.held.drop_later(last_ms):
            logger.warning(
                "{stream}: dropped a bar of {open_time}, which has not closed yet by the "
                "exchange's clock",
                event="bar.too_early",
                stream=self.name,
                open_time=utc_text(open_ms),
            )
        return True

    @property
    def _is_cold(self) -> bool:
        """Whether there was no history, and no bar was delivered since."""
        return not (self.history.bars or self.delivered.all)

    def _move_cold_window(self) -> None:
        """Move a cold window on to the newest bar, so that a fault in it falls out in time."""
        if self._is_cold and self.history.wanted:
            interval = self.history.interval
            newest_ms = interval.last_closed(self._client.now_ms())
            self.held.move_to(interval.shift(newest_ms, -self.history.wanted - self._absent))

    async def _pass_over(self, hole: Span) -> None:
        """Go on after bars that the venue itself lacks, though it has later ones."""
        if self.delivered.all == 0:  # the beginning of the window: perhaps the symbol is new
            stream = self.stream_id
            first_ms = await self._client.first_open_ms(stream.symbol, stream.interval)
            self.from_listing = first_ms is not None and first_ms > hole.first_ms
            self._proof.note_listing(from_listing=self.from_listing)
        logger.warning(
            "{stream}: passed over {first} to {last}: the venue itself has no bars there",
            event="bars.missing_at_exchange",
            stream=self.name,
            first=utc_text(hole.first_ms),
            last=utc_text(hole.last_ms),
        )
        self.held.pass_over(hole)
        if self._is_cold and not self.from_listing:
            # As many bars are wanted all the same, so the cold window begins earlier.
            missing = self.history.interval.count(*hole)
            self._absent += missing
            self.held.begin_earlier(missing)

    def _due_ms(self) -> int:
        return self._client.now_ms() - (_GRACE_MS if self.released else 0)

    def _until_due_s(self) -> float:
        """Return how many seconds it takes until the next bar would count as missing."""
        now_ms = self._client.now_ms()
        due_ms = next_due_ms(self.history.interval, now_ms, _GRACE_MS)
        return min((due_ms - now_ms) / 1000 + 0.01, _LONGEST_WAIT_S)

    async def _await_wake(self, most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._wake.wait()

    def _enter(self, phase: Phase, gap: str) -> None:
        before, self._gap = self._gap, gap
        if phase != self.phase or (phase == "stuck" and gap != before):
            self.phase = phase
            self._listener.on_change()
