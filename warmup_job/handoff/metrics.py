"""A trader's report as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator

from warmup_job.handoff.report import STATES, Report, StreamReport


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
