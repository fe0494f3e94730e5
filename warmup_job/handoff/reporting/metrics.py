"""A trader's report as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import get_args

from warmup_job.handoff.reporting.report import STATES, GridReport, Report, StreamReport
from warmup_job.hedge_grid.entry_guard import BlockKind
from warmup_job.modes import OperatorState


def metrics(report: Report) -> str:
    """Return a report in Prometheus' text format 0.0.4.

    See https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    return "\n".join((*_lines(report), *_order_lines(report), *_grid_lines(report))) + "\n"


def _family(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _lines(report: Report) -> Iterator[str]:
    yield from _family("warmup_trader_state", "gauge", "1 for the state that the trader is in.")
    for state in STATES:
        yield f'warmup_trader_state{{state="{state}"}} {int(state == report.state)}'
    yield from _family("warmup_trader_operator", "gauge", "1 for what the operator wants.")
    for wish in get_args(OperatorState):
        yield f'warmup_trader_operator{{wish="{wish}"}} {int(wish == report.operator)}'
    singles = [
        ("ready", "Whether it is live and contiguous.", int(report.ready)),
        ("trading", "Whether orders may leave.", int(report.trading)),
        ("orders_open", "Open orders.", report.orders_open),
        ("positions_open", "Open positions.", report.positions_open),
        ("uncancelled_entries", "Open entries that should be cancelled.", _uncancelled(report)),
        ("start_time_seconds", "When it was started, Unix time.", report.started_ms / 1000),
        ("reported_time_seconds", "When the report was made, Unix time.", report.at_ms / 1000),
    ]
    if report.live_after_s is not None:
        singles.append(("live_after_seconds", "From start to live.", report.live_after_s))
    for name, about, value in singles:
        yield from _family(f"warmup_trader_{name}", "gauge", about)
        yield f"warmup_trader_{name} {value}"
    yield from _family(
        "warmup_stream_contiguous", "gauge", "Whether the stream does not block trading."
    )
    for stream in report.streams:
        yield f"warmup_stream_contiguous{{{_label(stream)}}} {int(not stream.why_not)}"
    yield from _family(
        "warmup_stream_silent_seconds", "gauge", "For how long its websocket stream is silent."
    )
    for stream in report.streams:
        if stream.silent_ms is not None:
            yield f"warmup_stream_silent_seconds{{{_label(stream)}}} {stream.silent_ms / 1000}"
    yield from _family(
        "warmup_stream_last_close_seconds", "gauge", "Close time of its last bar, Unix time."
    )
    for stream in report.streams:
        value = stream.contiguous_to_ms / 1000
        yield f"warmup_stream_last_close_seconds{{{_label(stream)}}} {value}"
    yield from _family(
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


def _uncancelled(report: Report) -> int:
    return 0 if report.uncancelled is None else len(report.uncancelled.ids)


def _order_lines(report: Report) -> Iterator[str]:
    name = "warmup_trader_order_rejections_total"
    yield from _family(name, "counter", "Orders and cancels that were refused, by Binance's code.")
    for each in report.rejections:
        yield f'{name}{{kind="{each.kind}",code="{each.code}"}} {each.count}'
    name = "warmup_trader_unprotected_seconds"
    yield from _family(name, "gauge", "For how long a part of a position has had no stop loss.")
    yield f"{name} {report.unprotected_ms / 1000}"
    if report.account is None:
        return
    name = "warmup_trader_account_state"
    yield from _family(name, "gauge", "1 for how the account compares with the trader's records.")
    for state in ("ok", "differs", "unknown"):
        yield f'{name}{{state="{state}"}} {int(state == report.account.state)}'
    if report.account.event_age_ms is not None:
        name = "warmup_trader_account_event_age_seconds"
        yield from _family(name, "gauge", "For how long the user data stream has sent nothing.")
        yield f"{name} {report.account.event_age_ms / 1000}"


def _grid_lines(report: Report) -> Iterator[str]:
    """Yield the figures of the grids; amounts are in the label's currency."""

    def amounts(name: str, about: str, values: Iterable[tuple[str, Decimal | None]]) -> list[str]:
        given = [(label, value + 0) for label, value in values if value is not None]  # no -0
        lines = [f"{name}{{{label}}} {value:f}" for label, value in given]
        return [*_family(name, "gauge", about), *lines]

    grids = report.grids
    for field, name, about in (
        ("equity", "equity", "The account's balance plus its unrealised result."),
        (
            "realised",
            "realised_profit",
            "The result of closed quantities, before fees.",
        ),
        ("unrealised", "unrealised_profit", "The result of open positions."),
        ("fees", "fees", "Fees paid; a rebate is negative."),
        ("funding", "funding", "Funding received; paid funding is negative."),
    ):
        values = [(_quote(grid), getattr(grid, field)) for grid in grids]
        yield from amounts(f"warmup_grid_{name}", about, values)
    read = [
        (_grid(grid), Decimal(grid.result_at_ms) / 1000)
        for grid in grids
        if grid.result_at_ms is not None
    ]
    about = "When the account was read for the equity and the result, Unix time."
    yield from amounts("warmup_grid_result_time_seconds", about, read)
    drawdowns = [(_grid(grid), grid.drawdown_pct / 100) for grid in grids]
    yield from amounts("warmup_grid_drawdown_ratio", "Loss from the highest equity.", drawdowns)
    for field, name, about in (
        ("quantity", "inventory", "The position, base currency."),
        ("unprotected", "unprotected", "The part of it without a stop loss, base currency."),
    ):
        books = [
            (f'{_grid(grid)},book="{book}"', getattr(figures, field))
            for grid in grids
            for book, figures in grid.books.items()
        ]
        yield from amounts(f"warmup_grid_{name}", about, books)
    yield from _family("warmup_grid_open_orders", "gauge", "Orders that are open, by their kind.")
    for grid in grids:
        for kind, count in grid.open_orders.items():
            yield f'warmup_grid_open_orders{{{_grid(grid)},kind="{kind}"}} {count}'
    yield from _family("warmup_grid_regime", "gauge", "1 for the regime that the grid is in.")
    for grid in grids:
        for regime in ("UP", "DOWN", "SIDEWAYS"):
            value = int(regime == grid.regime)
            yield f'warmup_grid_regime{{{_grid(grid)},regime="{regime}"}} {value}'
    yield from _family("warmup_grid_blocked", "gauge", "1 for what holds its entries back.")
    for grid in grids:
        for kind in get_args(BlockKind):
            value = int(kind == grid.block_kind)
            yield f'warmup_grid_blocked{{{_grid(grid)},reason="{kind}"}} {value}'
    yield from _family("warmup_grid_stopped", "gauge", "Whether the drawdown limit has stopped it.")
    for grid in grids:
        yield f"warmup_grid_stopped{{{_grid(grid)}}} {int(grid.is_stopped)}"


def _grid(grid: GridReport) -> str:
    return f'instrument="{grid.instrument_id}"'


def _quote(grid: GridReport) -> str:
    return f'{_grid(grid)},currency="{grid.quote_currency}"'


def _label(stream: StreamReport) -> str:
    name = stream.bar_type.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'bar_type="{name}"'
