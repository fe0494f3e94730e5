"""What a trader says of itself: a report, as JSON for files and probes, as text for metrics."""

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
    """One stream. Times are UTC ms."""

    bar_type: str
    phase: str
    contiguous_to_ms: int
    """Close of the last bar that was handed on."""
    history_bars: int
    filled_bars: int
    live_bars: int
    silent_ms: int | None = None
    """How long its websocket stream has said nothing; None: it was never heard."""
    why_not: str
    """Why it cannot be vouched for; empty: it can be."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole trader. Times are UTC ms by this machine's clock."""

    state: State
    why: str
    mode: str
    at_ms: int
    """When this was said; it is said again every few seconds."""
    since_ms: int
    """Since when it is in this state."""
    started_ms: int
    live_after_s: float | None = None
    """How long after the process' start it was live for the first time."""
    trading: bool = False
    """Whether orders may leave."""
    orders_open: int = 0
    positions_open: int = 0
    streams: tuple[StreamReport, ...] = ()

    @property
    def ready(self) -> bool:
        """Live and contiguous."""
        return self.state == "live" and self.trading


class Teller:
    """Keeps the last report, and passes it on; before there is a runner, that it is starting."""

    def __init__(self, mode: str, on_report: Callable[[Report], object]) -> None:
        self._on_report = on_report
        self.ask: Callable[[], Report] | None = None
        """How things are now, once there is somebody to ask."""
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

    def tell(self, report: Report) -> None:
        """Pass a report on."""
        self._on_report(report)

    def now(self) -> Report:
        """How it is at this moment."""
        if self.ask is not None:
            return self.ask()
        return msgspec.structs.replace(self._starting, at_ms=now_ms())


def metrics(report: Report) -> str:
    """The report in Prometheus' text format, version 0.0.4."""
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
        ("reported_time_seconds", "When this was said, Unix time.", report.at_ms / 1000),
    ]
    if report.live_after_s is not None:
        singles.append(("live_after_seconds", "From start to live.", report.live_after_s))
    for name, about, value in singles:
        yield from family(f"warmup_trader_{name}", "gauge", about)
        yield f"warmup_trader_{name} {value}"
    yield from family("warmup_stream_contiguous", "gauge", "Whether the stream can be vouched for.")
    for stream in report.streams:
        yield f"warmup_stream_contiguous{{{_label(stream)}}} {int(not stream.why_not)}"
    yield from family(
        "warmup_stream_silent_seconds", "gauge", "How long its websocket stream has said nothing."
    )
    for stream in report.streams:
        if stream.silent_ms is not None:
            yield f"warmup_stream_silent_seconds{{{_label(stream)}}} {stream.silent_ms / 1000}"
    yield from family(
        "warmup_stream_last_close_seconds", "gauge", "Close of its last bar, Unix time."
    )
    for stream in report.streams:
        value = stream.contiguous_to_ms / 1000
        yield f"warmup_stream_last_close_seconds{{{_label(stream)}}} {value}"
    yield from family(
        "warmup_stream_bars_total", "counter", "Bars handed on, by where they came from."
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
    """This machine's time, UTC ms."""
    return time.time_ns() // 1_000_000


def process_started_ms() -> int:
    """When this process was started, UTC ms; where that is not told, now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        return now_ms() - round((up_s - ticks / os.sysconf("SC_CLK_TCK")) * 1000)
    except (OSError, ValueError, IndexError):
        return now_ms()
