"""A trader's report as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from warmup_job.exposition.families import Metric, counter, gauge
from warmup_job.handoff.reporting.report import STATES, GridReport, Report
from warmup_job.hedge_grid.entry_guard import BlockKind
from warmup_job.modes import OperatorState


def report_metrics(report: Report) -> Iterator[Metric]:
    """Yield the metrics of a report; docs/reference/metrics.md explains them."""
    yield from _state_metrics(report)
    yield from _stream_metrics(report)
    yield from _order_metrics(report)
    yield from _grid_metrics(report.grids)


def _state_metrics(report: Report) -> Iterator[Metric]:
    yield gauge(
        "warmup_trader_state", "1 for the state that the trader is in.", ("state",),
        [((state,), state == report.state) for state in STATES],
    )  # fmt: skip
    yield gauge(
        "warmup_trader_operator", "1 for what the operator wants.", ("wish",),
        [((wish,), wish == report.operator) for wish in get_args(OperatorState)],
    )  # fmt: skip
    uncancelled = 0 if report.uncancelled is None else len(report.uncancelled.ids)
    singles: list[tuple[str, str, float | None]] = [
        ("ready", "Whether it is live and contiguous.", report.ready),
        ("trading", "Whether orders may leave.", report.trading),
        ("orders_open", "Open orders.", report.orders_open),
        ("positions_open", "Open positions.", report.positions_open),
        ("uncancelled_entries", "Open entries that should be cancelled.", uncancelled),
        ("start_time_seconds", "When it was started, Unix time.", report.started_ms / 1000),
        ("reported_time_seconds", "When the report was made, Unix time.", report.at_ms / 1000),
        ("live_after_seconds", "From start to live.", report.live_after_s),
        (
            "clock_offset_seconds",
            "This machine's time minus the exchange's.",
            None if report.clock_offset_ms is None else report.clock_offset_ms / 1000,
        ),
    ]
    for name, about, value in singles:
        if value is not None:
            yield gauge(f"warmup_trader_{name}", about, (), [((), value)])


def _stream_metrics(report: Report) -> Iterator[Metric]:
    streams = report.streams
    yield gauge(
        "warmup_stream_contiguous", "Whether the stream does not block trading.", ("bar_type",),
        [((each.bar_type,), not each.why_not) for each in streams],
    )  # fmt: skip
    yield gauge(
        "warmup_stream_silent_seconds", "For how long its websocket stream is silent.",
        ("bar_type",),
        [((each.bar_type,), each.silent_ms / 1000)
         for each in streams if each.silent_ms is not None],
    )  # fmt: skip
    yield gauge(
        "warmup_stream_last_close_seconds", "Close time of its last bar, Unix time.",
        ("bar_type",), [((each.bar_type,), each.contiguous_to_ms / 1000) for each in streams],
    )  # fmt: skip
    bars: list[tuple[tuple[str, str], int]] = []
    for each in streams:
        bars += [
            ((each.bar_type, "history"), each.history_bars),
            ((each.bar_type, "filled"), each.filled_bars),
            ((each.bar_type, "live"), each.live_bars),
        ]
    yield counter(
        "warmup_stream_bars_total", "Delivered bars, by where they came from.",
        ("bar_type", "source"), bars,
    )  # fmt: skip


def _order_metrics(report: Report) -> Iterator[Metric]:
    yield counter(
        "warmup_trader_order_rejections_total",
        "Orders and cancels that were refused, by Binance's code.", ("kind", "code"),
        [((each.kind, each.code), each.count) for each in report.rejections],
    )  # fmt: skip
    yield gauge(
        "warmup_trader_unprotected_seconds",
        "For how long a part of a position has had no stop loss.", (),
        [((), report.unprotected_ms / 1000)],
    )  # fmt: skip
    account = report.account
    if account is None:
        return
    yield gauge(
        "warmup_trader_account_state", "1 for how the account compares with the trader's records.",
        ("state",),
        [((state,), state == account.state) for state in ("ok", "differs", "unknown")],
    )  # fmt: skip
    if account.event_age_ms is not None:
        yield gauge(
            "warmup_trader_account_event_age_seconds",
            "For how long the user data stream has sent nothing.", (),
            [((), account.event_age_ms / 1000)],
        )  # fmt: skip


def _grid_metrics(grids: tuple[GridReport, ...]) -> Iterator[Metric]:
    """Yield the figures of the grids; amounts are in the label's currency."""
    for field, name, about in (
        ("equity", "equity", "The account's balance plus its unrealised result."),
        ("realised", "realised_profit", "The result of closed quantities, before fees."),
        ("unrealised", "unrealised_profit", "The result of open positions."),
        ("fees", "fees", "Fees paid; a rebate is negative."),
        ("funding", "funding", "Funding received; paid funding is negative."),
    ):
        amounts = [
            ((grid.instrument_id, grid.quote_currency), value)
            for grid in grids
            if (value := getattr(grid, field)) is not None
        ]
        yield gauge(f"warmup_grid_{name}", about, ("instrument", "currency"), amounts)
    yield gauge(
        "warmup_grid_result_time_seconds",
        "When the account was read for the equity and the result, Unix time.", ("instrument",),
        [((grid.instrument_id,), grid.result_at_ms / 1000)
         for grid in grids if grid.result_at_ms is not None],
    )  # fmt: skip
    yield gauge(
        "warmup_grid_drawdown_ratio", "Loss from the highest equity.", ("instrument",),
        [((grid.instrument_id,), grid.drawdown_pct / 100) for grid in grids],
    )  # fmt: skip
    for field, name, about in (
        ("quantity", "inventory", "The position, base currency."),
        ("unprotected", "unprotected", "The part of it without a stop loss, base currency."),
    ):
        books = [
            ((grid.instrument_id, book), getattr(figures, field))
            for grid in grids
            for book, figures in grid.books.items()
        ]
        yield gauge(f"warmup_grid_{name}", about, ("instrument", "book"), books)
    yield gauge(
        "warmup_grid_open_orders", "Orders that are open, by their kind.", ("instrument", "kind"),
        [((grid.instrument_id, kind), count)
         for grid in grids for kind, count in grid.open_orders.items()],
    )  # fmt: skip
    yield gauge(
        "warmup_grid_regime", "1 for the regime that the grid is in.", ("instrument", "regime"),
        [((grid.instrument_id, regime), regime == grid.regime)
         for grid in grids for regime in ("UP", "DOWN", "SIDEWAYS")],
    )  # fmt: skip
    yield gauge(
        "warmup_grid_blocked", "1 for what holds its entries back.", ("instrument", "reason"),
        [((grid.instrument_id, kind), kind == grid.block_kind)
         for grid in grids for kind in get_args(BlockKind)],
    )  # fmt: skip
    yield gauge(
        "warmup_grid_stopped", "Whether the drawdown limit has stopped it.", ("instrument",),
        [((grid.instrument_id,), grid.is_stopped) for grid in grids],
    )  # fmt: skip
