"""The trader's report on itself: as JSON for files and probes, as text for metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

State = Literal["starting", "verifying", "warming", "filling", "live", "degraded", "stopping"]
STATES: tuple[State, ...] = (
    "starting",
    "verifying",
    "warming",
    "filling",
    "live",
    "degraded",
    "stopping",
)


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stream in a report. Times are UTC ms."""

    bar_type: str
    phase: str
    contiguous_to_ms: int
    """Close time of the last bar that was delivered."""
    history_bars: int
    filled_bars: int
    live_bars: int
    silent_ms: int | None = None
    """For how many ms its websocket stream is silent; None: it was never heard."""
    why_not: str
    """Why it blocks trading; empty: it does not."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole trader. Times are UTC ms by this machine's clock."""

    state: State
    why: str
    mode: str
    at_ms: int
    """When the report was made; a new one follows every few seconds."""
    since_ms: int
    """Since when it is in this state."""
    started_ms: int
    live_after_s: float | None = None
    """Seconds from the process' start until it was live for the first time."""
    trading: bool = False
    """Whether orders may leave."""
    orders_open: int = 0
    positions_open: int = 0
    streams: tuple[StreamReport, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether the trader is live and its streams are contiguous."""
        return self.state == "live" and self.trading


class Reporter:
    """Passes reports on, and makes one on request, also before there is a runner.

    Args:
        mode: ``paper`` or ``live``.
        on_report: is called with every report, and at once with that of the start.
    """

    def __init__(self, mode: str, on_report: Callable[[Report], object]) -> None:
        self._on_report = on_report
        self.make: Callable[[], Report] | None = None
        """Makes the present report, once there is a runner."""
        at_ms = now_ms()
        self._starting = Report(
            state="starting",
            why="",
            mode=mode,
            at_ms=at_ms,
            since_ms=at_ms,
            started_ms=process_started_ms(),
        )
        on_report(self._starting)

    def publish(self, report: Report) -> None:
        """Pass a report on."""
        self._on_report(report)

    def now(self) -> Report:
        """Return the present report."""
        if self.make is not None:
            return self.make()
        return msgspec.structs.replace(self._starting, at_ms=now_ms())


def metrics(report: Report) -> str:
    """Return a report in Prometheus' text format 0.0.4.

    See https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    def family(name: str, kind: str, about: str) -> Iterator[str]:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"

    yield from family("warmup_trader_state", "gauge", "1 for the state that the trader is in.")
    for state in STATES:
        yield f'warmup_trader_state{{state="{state}"}} {int(state == report.state)}'
    singles = [
        ("ready", "Whether it is live and contiguous.", int(report.ready)),
        ("trading", "Whether orders may leave.", int(report.trading)),
        ("orders_open", "Open orders.", report.orders_open),
        ("positions_open", "Open positions.", report.positions_open),
        ("start_time_seconds", "When it was started, Unix time.", report.started_ms / 1000),
        ("reported_time_seconds", "When the report was made, Unix time.", report.at_ms / 1000),
    ]
    if report.live_after_s is not None:
        singles.append(("live_after_seconds", "From start to live.", report.live_after_s))
    for name, about, value in singles:
        yield from family(f"warmup_trader_{name}", "gauge", about)
        yield f"warmup_trader_{name} {value}"
    yield from family(
        "warmup_stream_contiguous", "gauge", "Whether the stream does not block trading."
    )
    for stream in report.streams:
        yield f"warmup_stream_contiguous{{{_label(stream)}}} {int(not stream.why_not)}"
    yield from family(
        "warmup_stream_silent_seconds", "gauge", "For how long its websocket stream is silent."
    )
    for stream in report.streams:
        if stream.silent_ms is not None:
            yield f"warmup_stream_silent_seconds{{{_label(stream)}}} {stream.silent_ms / 1000}"
    yield from family(
        "warmup_stream_last_close_seconds", "gauge", "Close time of its last bar, Unix time."
    )
    for stream in report.streams:
        value = stream.contiguous_to_ms / 1000
        yield f"warmup_stream_last_close_seconds{{{_label(stream)}}} {value}"
    yield from family(
        "warmup_stream_bars_total", "counter", "Delivered bars, by where they came from."
    )
    for stream in report.streams:
        sources = {
            "history": stream.history_bars,
            "filled": stream.filled_bars,
            "live": stream.live_bars,
        }
        for source, bars in sources.items():
            yield f'warmup_stream_bars_total{{{_label(stream)},source="{source}"}} {bars}'


def _label(stream: StreamReport) -> str:
    name = stream.bar_type.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'bar_type="{name}"'


def now_ms() -> int:
    """Return this machine's time, UTC ms."""
    return time.time_ns() // 1_000_000


def process_started_ms() -> int:
    """Return when this process started, UTC ms; now where /proc does not show it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        return now_ms() - round((up_s - ticks / os.sysconf("SC_CLK_TCK")) * 1000)
    except (OSError, ValueError, IndexError):
        return now_ms()
