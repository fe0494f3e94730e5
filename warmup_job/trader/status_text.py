"""A trader's report as text for a person."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from warmup_job.handoff.reporting.flatten_report import FlattenReport
from warmup_job.handoff.reporting.report import GridReport, Report
from warmup_job.market.times import duration_text, utc_text

_LIFT = "`warmup-job trader resume --after-drawdown` lifts this"


def status_lines(report: Report) -> Iterator[str]:
    """Yield the report, one line for each fact.

    Args:
        report: as the trader has just made it.
    """
    yield _state(report)
    yield _line("since", _ago(report.since_ms, report.at_ms))
    yield _line("mode", f"{report.mode}, started {_ago(report.started_ms, report.at_ms)}")
    yield _line("entries", _entries(report))
    yield _line("open", f"{report.orders_open} order(s), {report.positions_open} position(s)")
    if report.flatten is not None:
        yield from _flatten_lines(report, report.flatten)
    if report.unprotected_ms:
        yield _line("WARNING", f"no stop loss for {report.unprotected_ms / 1000:.1f} s")
    if report.uncancelled is not None:
        for_s = f"for {report.uncancelled.ms / 1000:.1f} s"
        yield _line("WARNING", f"{for_s}, {report.uncancelled.text}")
    if report.account is not None:
        age_ms = report.account.event_age_ms
        age = "" if age_ms is None else f"; last event {age_ms / 1000:.1f} s ago"
        problem = f": {report.account.why}" if report.account.why else ""
        yield _line("account", f"{report.account.state}{problem}{age}")
        for difference in report.account.differences:
            yield _line("", difference)
        for other in report.account.other_traders:
            if other.open_orders:
                theirs = f"{other.open_orders} open order(s) of another trader ({other.tag})"
                yield _line("WARNING", f"{theirs}: the next start needs --take-over")
    if report.rejections:
        counts = ", ".join(f"{each.count}× {each.kind} {each.code}" for each in report.rejections)
        yield _line("refused", counts)
    for grid in report.grids:
        yield from _grid_lines(grid, report.at_ms)
    for stream in report.streams:
        problem = f"; {stream.why_not}" if stream.why_not else ""
        yield f"{stream.bar_type}: {stream.phase} to {utc_text(stream.contiguous_to_ms)}{problem}"


def resume_lines(report: Report | None, lifted: int | None) -> Iterator[str]:
    """Yield what a resume has brought about: the trader's state, and what still holds entries back.

    Args:
        report: of the trader, after it; None: there is none.
        lifted: how many grids a drawdown had stopped, which trade again; None: this was not asked.
    """
    yield "resumed" if report is None else f"resumed; {_state(report)}"
    if lifted is not None:
        yield "the drawdown stop is lifted" if lifted else "no drawdown had stopped the entries"
    for grid in () if report is None or not report.trading else report.grids:
        if grid.block_reason:
            remedy = f": {_LIFT}" if grid.is_stopped else ""
            yield f"{grid.instrument_id}: no entries, {grid.block_reason}{remedy}"


def pause_line(report: Report | None) -> str:
    """Return what a pause has brought about so far.

    Args:
        report: of the trader, a few seconds after it; None: there is none.
    """
    if report is None or report.uncancelled is None:
        return "paused: entries are held back, exits stay"
    return (
        f"paused: no new entries, exits stay, but {report.uncancelled.text}. Each can be filled "
        "until then; the trader repeats the cancels, and `warmup-job trader status` shows the rest"
    )


def _state(report: Report) -> str:
    return f"{report.state}: {report.why}" if report.why else report.state


def _entries(report: Report) -> str:
    """Return whether entries may leave, by the trader and by what each grid says."""
    if not report.trading:
        return "are held back; exits may leave"
    blocked = [grid for grid in report.grids if grid.block_reason]
    if not blocked:
        return "may leave"
    if len(blocked) < len(report.grids):
        return f"may leave, but none of {', '.join(grid.instrument_id for grid in blocked)}"
    if all(grid.block_kind == "limited" for grid in blocked):
        return "are held back, and so is every other order"
    return f"are held back ({'; '.join(dict.fromkeys(grid.block_reason for grid in blocked))})"


def _flatten_lines(report: Report, flatten: FlattenReport) -> Iterator[str]:
    asked = _ago(flatten.since_ms, report.at_ms)
    if flatten.end is None:
        step = f": {flatten.step}" if flatten.step else ""
        yield _line("flatten", f"under way, asked for at {asked}{step}")
    else:
        yield _line("flatten", f"asked for at {asked}")
        for line in flatten.end.lines(is_past=report.operator == "trading"):
            yield _line("", line)


def _grid_lines(grid: GridReport, now_ms: int) -> Iterator[str]:
    quote, base = grid.quote_currency, grid.base_currency
    yield f"{grid.instrument_id}, {grid.regime}"
    if grid.block_reason:
        yield _line("no entries", grid.block_reason)
    equity = "unknown" if grid.equity is None else f"{_cents(grid.equity)} {quote}"
    stopped = f"; the drawdown limit has stopped all entries: {_LIFT}" if grid.is_stopped else ""
    yield _line("equity", f"{equity}, drawdown {_cents(grid.drawdown_pct)} %{stopped}")
    result = grid.realised - grid.fees + grid.funding + grid.unrealised
    parts = (
        f"realised {_signed(grid.realised)}, fees paid {_cents(grid.fees)}, "
        f"funding {_signed(grid.funding)}, unrealised {_signed(grid.unrealised)}"
    )
    yield _line("result", f"{_signed(result)} {quote}: {parts}")
    if grid.result_at_ms is not None:
        read = _ago(grid.result_at_ms, now_ms)
        yield _line("", f"equity, drawdown and result as of {read}")
    for name, book in grid.books.items():
        held = f"{book.quantity:f} {base}"
        if book.quantity:
            held += f" at {_price(book.entry_price)}, unrealised {_signed(book.unrealised)} {quote}"
        if book.unprotected:
            held += f"; {book.unprotected:f} {base} WITHOUT A STOP LOSS"
        yield _line(name, held)
    yield _line("orders", ", ".join(f"{count} {kind}" for kind, count in grid.open_orders.items()))


def _line(name: str, text: str) -> str:
    return f"  {name:<12}{text}"


def _ago(then_ms: int, now_ms: int) -> str:
    passed_ms = max(0, now_ms - then_ms) // 1000 * 1000
    return f"{utc_text(then_ms)} ({duration_text(passed_ms)} ago)"


def _price(average: Decimal) -> str:
    """Return an average price without the rounding errors of the float that it was."""
    return f"{round(average, 6).normalize():f}"


def _cents(amount: Decimal, sign: str = "") -> str:
    """Return an amount with two decimals, and never a negative zero."""
    return f"{round(amount, 2) + 0:{sign}.2f}"


def _signed(amount: Decimal) -> str:
    return _cents(amount, "+")
