"""One bar stream against a local exchange: gaps, holes, revisions, cold windows and clocks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument

from tests.support.exchange import Exchange, running_exchange
from tests.support.relay import Relay, Rows, relaying
from tests.support.waiting import until_async
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.nautilus_bars import bar_type_of, instrument_bars, open_ms_of
from warmup_job.handoff.live_bars.bar_stream import BarStream
from warmup_job.handoff.live_bars.held_bars import Span
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId

MINUTE = Interval.parse("1m")
M = 60_000
NOON_MS = 1_750_075_200_000
"""2025-06-16T12:00:00Z."""
LISTED_MS = 1_569_398_400_000
"""When the local exchange lists BTCUSDT's futures."""
BTC = StreamId("BTCUSDT", MINUTE)
BTC_TYPE: BarType = bar_type_of(instrument_id_of("um", "BTCUSDT"), MINUTE)


@dataclass
class Listener:
    """Records what one stream reports to its runner."""

    instruments: dict[InstrumentId, Instrument]
    stream: BarStream | None = None
    phases: list[str] = field(default_factory=list)
    completions: int = 0

    def on_change(self) -> None:
        if self.stream is not None:
            self.phases.append(self.stream.phase)

    def on_connection_change(self) -> None:
        self.on_change()

    def on_stream_complete(self) -> None:
        self.completions += 1

    def on_newest_bar(self) -> None:
        self.on_change()

    def on_failure(self, error: BaseException) -> None:
        raise error

    def start_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    def is_heard(self) -> bool:
        return True

    def instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        return self.instruments.get(instrument_id)


@dataclass
class Lab:
    """A local exchange at 12:00:20, a relay in front of it, and a client of the relay."""

    running: Exchange
    relay: Relay
    client: BinanceClient
    listener: Listener
    ahead_ms: int = 0

    def leap(self, ms: int) -> None:
        """Set the exchange's clock ahead; the client does not know it yet."""
        self.ahead_ms += ms
        self.running.clear_faults()
        self.running.fault(f"skew=+{self.ahead_ms}ms")

    async def pass_time(self, ms: int) -> None:
        """Set the exchange's clock and the client's ahead."""
        self.leap(ms)
        self.client.extend_deadline(10_000)
        await self.client.sync_clock()

    async def bars(self, first_ms: int, last_ms: int) -> list[Bar]:
        """Return the exchange's bars, regardless of the relay."""
        self.client.extend_deadline(10_000)
        change, self.relay.change = self.relay.change, lambda rows: rows
        klines = await fetch_range(self.client, BTC, first_ms, last_ms)
        self.relay.change = change
        (instrument,) = self.listener.instruments.values()
        return instrument_bars(klines, instrument, MINUTE)

    async def history(self, bars: int, *, lacking: int = 0) -> History:
        """Return ``count`` bars, the last of which closed ``lacking`` minutes before noon."""
        last_ms = NOON_MS - (1 + lacking) * M
        made = await self.bars(last_ms - (bars - 1) * M, last_ms)
        return History(BTC_TYPE, MINUTE, made, wanted=bars)

    @contextlib.asynccontextmanager
    async def kept(self, history: History) -> AsyncIterator[BarStream]:
        """Keep a stream contiguous in the background."""
        stream = self.listener.stream = BarStream(history, self.client, self.listener)
        keeper = asyncio.create_task(stream.keep())
        try:
            yield stream
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    async def until_complete(self) -> None:
        """Wait until the stream reports again that it has every bar."""
        seen = self.listener.completions
        await until_async(lambda: self.listener.completions > seen)

    def has_asked(self, times: int) -> bool:
        return len(self.running.klines()) >= times

    async def until_phase(self, phase: str) -> None:
        await until_async(lambda: self.listener.phases[-1:] == [phase])


type Scenario = Callable[[Lab], Coroutine[Any, Any, None]]


@pytest.fixture
def clock_ms() -> int:
    """The time at which the exchange starts, UTC ms."""
    return NOON_MS + 20_000


@pytest.fixture
def in_lab(clock_ms: int) -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario in a separate lab."""

    async def run(scenario: Scenario, running: Exchange, relay: Relay) -> None:
        async with BinanceClient("um", relay.url, weight_per_minute=2400) as client:
            await client.sync_clock()
            entries = await client.exchange_info(["BTCUSDT"])
            instrument = parse_instrument("um", entries["BTCUSDT"], 0)
            await scenario(Lab(running, relay, client, Listener({instrument.id: instrument})))

    with running_exchange(now_ms=clock_ms) as running, relaying(running) as relay:
        yield lambda scenario: asyncio.run(run(scenario, running, relay))


def minutes(bars: list[Bar]) -> list[int]:
    """Return the open times of the bars, in minutes from noon."""
    return [(open_ms_of(bar, MINUTE) - NOON_MS) // M for bar in bars]


def deliver(stream: BarStream) -> list[int]:
    """Take and count the complete bars; the last one is the newest closed bar."""
    superseded, newest = stream.take_complete()
    assert newest is not None
    for bar in superseded:
        stream.count(bar)
    stream.count(newest, newest=True)
    return minutes([*superseded, newest])


def without(*gone: int) -> Callable[[Rows], Rows]:
    """Drop the rows that open at these minutes from noon."""
    opens_ms = {NOON_MS + minute * M for minute in gone}
    return lambda rows: [row for row in rows if row[0] not in opens_ms]


def test_a_fresh_history_needs_no_request(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5)
        requests = len(lab.running.klines())
        async with lab.kept(history) as stream:
            assert stream.why_not() == "its bars are not requested yet"
            await lab.until_complete()
            assert deliver(stream) == [-1]
            assert stream.why_not() == ""
            assert (stream.delivered.history, stream.delivered.all) == (5, 5)
        assert lab.listener.phases == ["contiguous"]
        assert len(lab.running.klines()) == requests

    in_lab(scenario)


def test_a_gap_after_the_history_is_filled_by_one_request(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5, lacking=3)
        requests = len(lab.running.klines())
        async with lab.kept(history) as stream:
            await lab.until_complete()
            assert deliver(stream) == [-4, -3, -2, -1]
        assert lab.listener.phases == ["filling", "contiguous"]
        counts = stream.delivered
        assert (counts.history, counts.filled, counts.live, counts.to_on_bar) == (5, 3, 0, 1)
        assert len(lab.running.klines()) == requests + 1

    in_lab(scenario)


def test_a_gap_that_cannot_be_filled_is_stuck_until_it_can(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5, lacking=2)
        lab.running.fault("400@klines")
        async with lab.kept(history) as stream:
            await lab.until_phase("stuck")
            assert not stream.is_complete
            assert stream.why_not().startswith("a gap cannot be filled yet: ")
            asked = len(lab.running.klines())
            for _ in range(3):  # the stream pauses before its next request
                await lab.client.sync_clock()
            assert len(lab.running.klines()) == asked
            lab.running.clear_faults()
            stream.wake()
            await lab.until_complete()
            assert deliver(stream) == [-3, -2, -1]
        assert lab.listener.phases == ["filling", "stuck", "contiguous"]

    in_lab(scenario)


def test_a_hole_of_the_venue_is_passed_over_after_two_answers(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5, lacking=5)
        lab.relay.change = without(-4, -3)
        requests = len(lab.running.klines())
        async with lab.kept(history) as stream:
            await lab.until_complete()
            assert deliver(stream) == [-6, -5, -2, -1]
        assert not stream.from_listing
        # The first response has the bars before the hole; two more show that the hole stays.
        assert len(lab.running.klines()) == requests + 3

    in_lab(scenario)


def test_missing_newest_bars_are_no_hole_but_late(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5, lacking=3)
        lab.relay.change = without(-2, -1)
        async with lab.kept(history) as stream:
            await until_async(lambda: stream.held.missing(NOON_MS) == Span(
                NOON_MS - 2 * M, NOON_MS - M
            ))  # fmt: skip
            asked = len(lab.running.klines())
            for more in range(1, 4):
                stream.wake()
                await until_async(partial(lab.has_asked, asked + more))
            for _ in range(3):  # a pause comes before the next request
                await lab.client.sync_clock()
            assert len(lab.running.klines()) == asked + more
            assert not stream.is_complete
            lab.relay.change = lambda rows: rows
            stream.wake()
            await lab.until_complete()
            assert deliver(stream) == [-4, -3, -2, -1]

    in_lab(scenario)


def test_a_cold_window_is_fetched_whole(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with lab.kept(History(BTC_TYPE, MINUTE, [], wanted=4)) as stream:
            await lab.until_complete()
            assert stream.why_not() == "0 of 4 bars so far"
            assert deliver(stream) == [-4, -3, -2, -1]
            assert stream.why_not() == ""

    in_lab(scenario)


def test_a_cold_window_with_a_hole_begins_earlier(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        lab.relay.change = without(-3, -2)
        async with lab.kept(History(BTC_TYPE, MINUTE, [], wanted=4)) as stream:
            await lab.until_complete()
            assert deliver(stream) == [-6, -5, -4, -1]
            assert stream.why_not() == ""

    in_lab(scenario)


@pytest.mark.parametrize("clock_ms", [LISTED_MS + 3 * M + 20_000])
def test_a_new_symbol_needs_no_more_bars_than_it_has(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with lab.kept(History(BTC_TYPE, MINUTE, [], wanted=10)) as stream:
            await lab.until_complete()
            assert stream.from_listing
            assert stream.why_not() == "0 of 10 bars so far"
            superseded, newest = stream.take_complete()
            opens_ms = [open_ms_of(bar, MINUTE) for bar in (*superseded, newest)]
            assert opens_ms == [LISTED_MS, LISTED_MS + M, LISTED_MS + 2 * M]
            for bar in (*superseded, newest):
                stream.count(bar)
            assert stream.why_not() == ""

    in_lab(scenario)


def test_a_cold_window_moves_on_with_the_clock(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        lab.running.fault("400@klines")
        async with lab.kept(History(BTC_TYPE, MINUTE, [], wanted=4)) as stream:
            await lab.until_phase("stuck")
            assert stream.held.at_ms == NOON_MS - 5 * M
            await lab.pass_time(3 * M)
            stream.wake()
            await lab.until_complete()
            assert deliver(stream) == [-1, 0, 1, 2]

    in_lab(scenario)


def test_a_window_that_has_begun_does_not_move_on(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with lab.kept(History(BTC_TYPE, MINUTE, [], wanted=4)) as stream:
            await lab.until_complete()
            deliver(stream)
            await lab.pass_time(6 * M)
            stream.wake()
            await lab.until_complete()
            assert deliver(stream) == [0, 1, 2, 3, 4, 5]

    in_lab(scenario)


def test_a_live_bar_continues_the_stream(in_lab: Callable[[Scenario], None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with lab.kept(await lab.history(5)) as stream:
            await lab.until_complete()
            deliver(stream)
            await lab.pass_time(M - 20_000)  # noon's bar has just closed: no REST request yet
            (noon,) = await lab.bars(NOON_MS, NOON_MS)
            assert stream.arrived(noon)
            assert deliver(stream) == [0]
            assert stream.contiguous_to_ms == NOON_MS + M - 1
            assert (stream.delivered.live, stream.delivered.filled) == (1, 0)

    in_lab(scenario)


def test_a_revision_and_a_repetition_of_a_delivered_bar_are_dropped(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        history = await lab.history(5)
        async with lab.kept(history) as stream:
            await lab.until_complete()
            deliver(stream)
            delivered, older = history.bars[-1], history.bars[-2]
            revised = Bar(
                BTC_TYPE, older.open, older.high, older.low, older.close, older.volume,
                delivered.ts_event, delivered.ts_init,
            )  # fmt: skip
            assert not stream.arrived(revised)
            assert not stream.arrived(delivered)
            assert stream.take_complete() == ([], None)

    in_lab(scenario)


def test_a_stream_counts_as_dead_when_only_rest_has_two_bars_in_a_row(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        async with lab.kept(await lab.history(5)) as stream:
            await lab.until_complete()
            deliver(stream)
            for minute in (0, 1):
                await lab.pass_time(M)
                stream.wake()
                await lab.until_complete()
                assert deliver(stream) == [minute]
                assert bool(stream.why_not()) == (minute == 1)
            assert stream.why_not() == "the websocket did not bring the last 2 bars that were due"
            (repeated,) = await lab.bars(NOON_MS + M, NOON_MS + M)
            assert not stream.arrived(repeated)  # REST had it first, but the stream is alive
            assert stream.why_not() == ""

    in_lab(scenario)


@pytest.mark.parametrize("minute", [0, 2], ids=["the next one", "a later one"])
def test_a_bar_from_the_future_waits_until_the_clock_is_asked_for(
    in_lab: Callable[[Scenario], None], minute: int
) -> None:
    """The machine slept for three minutes, so its estimate of the exchange's clock is behind."""

    async def scenario(lab: Lab) -> None:
        async with lab.kept(await lab.history(5)) as stream:
            await lab.until_complete()
            deliver(stream)
            await lab.pass_time(3 * M)
            (later,) = await lab.bars(NOON_MS + minute * M, NOON_MS + minute * M)
            await lab.pass_time(-3 * M)
            lab.leap(3 * M)  # the client does not know it
            assert not stream.arrived(later)
            assert not stream.is_complete
            await lab.until_complete()
            assert deliver(stream) == [0, 1, 2]

    in_lab(scenario)


def test_a_bar_that_has_not_closed_by_the_exchanges_clock_is_dropped(
    in_lab: Callable[[Scenario], None],
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.pass_time(3 * M)
        (later,) = await lab.bars(NOON_MS + 2 * M, NOON_MS + 2 * M)
        await lab.pass_time(-3 * M)
        async with lab.kept(await lab.history(5)) as stream:
            await lab.until_complete()
            deliver(stream)
            assert not stream.arrived(later)
            assert not stream.is_complete
            await lab.until_complete()
            assert stream.held.newest_held_ms() is None
            assert stream.take_complete() == ([], None)

    in_lab(scenario)
