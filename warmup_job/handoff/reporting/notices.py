"""What the operator is notified of, found by comparing a trader's reports. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from warmup_job.handoff.reporting.flatten_report import FlattenReport
from warmup_job.handoff.reporting.report import GridReport, Report
from warmup_job.market.times import utc_text

NoticeEvent = Literal[
    "live", "paused", "degraded", "stopped", "refused", "drawdown", "unprotected", "protected",
    "flat", "not_flat", "circuit_breaker", "other_trader", "not_cancelled", "cancelled",
]  # fmt: skip
NOT_FLAT_AFTER_MS = 30_000
"""A flatten that takes longer than this is worth a notice."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    event: NoticeEvent
    text: str
    at_ms: int
    """UTC ms."""


class NoticeRules(msgspec.Struct, frozen=True):
    """When to notify.

    Args:
        unprotected_after_ms: a part of a position has had no stop loss for longer than this, or an
            entry that should be cancelled has been open for longer, ms.
        drawdown_pct: the drawdown has grown by another so many percent.
    """

    unprotected_after_ms: int = 10_000
    drawdown_pct: Decimal = Decimal(5)


class Notices:
    """Turns reports into notices: one for each change, none for what stays as it is.

    Args:
        rules: when to notify.
    """

    def __init__(self, rules: NoticeRules) -> None:
        self._rules = rules
        self._state = ""
        self._bare: set[tuple[str, str]] = set()  # instrument and book of what had no stop
        self._levels: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._flatten: FlattenReport | None = None
        self._is_slow = False
        self._others: set[str] = set()  # tags of the other traders that were told
        self._is_uncancelled = False
        self._breaker_until_ms: dict[str, int] = {}  # of the opening that was told last

    def of(self, report: Report) -> list[Notice]:
        """Return the notices that follow from a new report."""
        found = [*self._flattening(report), *self._state_change(report), *self._protection(report)]
        found += self._other_traders(report)
        found += self._cancelling(report)
        for grid in report.grids:
            found += self._drawdown(grid, report.at_ms)
            found += self._breaker(grid, report.at_ms)
        return found

    def _state_change(self, report: Report) -> Iterator[Notice]:
        before, self._state = self._state, report.state
        if report.state == before:
            return
        if report.state in {"live", "paused", "degraded"}:
            yield Notice(
                event=report.state, text=f"{report.state}: {report.why}", at_ms=report.at_ms
            )

    def _other_traders(self, report: Report) -> Iterator[Notice]:
        for other in () if report.account is None else report.account.other_traders:
            if other.tag not in self._others:
                self._others.add(other.tag)
                yield Notice(event="other_trader", text=other.text, at_ms=report.at_ms)

    def _flattening(self, report: Report) -> Iterator[Notice]:
        flatten, before = report.flatten, self._flatten
        self._flatten = flatten
        if flatten is None:
            return
        is_new = before is None or before.since_ms != flatten.since_ms
        self._is_slow = self._is_slow and not is_new
        taken_ms = report.at_ms - flatten.since_ms
        if flatten.end is not None:
            if is_new or (before is not None and before.end is None):
                text = "; ".join(flatten.end.lines())
                event: NoticeEvent = "flat" if flatten.end.flat else "not_flat"
                yield Notice(event=event, text=text, at_ms=report.at_ms)
        elif taken_ms > NOT_FLAT_AFTER_MS and not self._is_slow:
            self._is_slow = True
            step = flatten.step or report.why
            text = f"not flat {taken_ms / 1000:.0f} s after the request: {step}"
            yield Notice(event="not_flat", text=text, at_ms=report.at_ms)

    def _protection(self, report: Report) -> Iterator[Notice]:
        if self._bare and not report.unprotected_ms:
            held = {
                (grid.instrument_id, name): book.quantity
                for grid in report.grids
                for name, book in grid.books.items()
            }
            text = "; ".join(
                f"the {book} position of {instrument} "
                + ("has a stop loss again" if held.get((instrument, book)) else "is closed")
                for instrument, book in sorted(self._bare)
            )
            self._bare.clear()
            yield Notice(event="protected", text=text, at_ms=report.at_ms)
            return
        is_told = bool(self._bare)
        if not is_told and report.unprotected_ms <= self._rules.unprotected_after_ms:
            return
        bare = [
            (grid, name, book)
            for grid in report.grids
            for name, book in grid.books.items()
            if book.unprotected
        ]
        self._bare |= {(grid.instrument_id, name) for grid, name, _ in bare}
        if bare and not is_told:
            parts = (
                f"{book.unprotected} {grid.base_currency} of the {name} position of "
                f"{grid.instrument_id}{': ' if book.unprotected_why else ''}{book.unprotected_why}"
                for grid, name, book in bare
            )
            text = f"without a stop loss for {report.unprotected_ms / 1000:.0f} s: "
            yield Notice(event="unprotected", text=text + "; ".join(parts), at_ms=report.at_ms)

    def _cancelling(self, report: Report) -> Iterator[Notice]:
        uncancelled, at_ms = report.uncancelled, report.at_ms
        if report.state == "stopping":
            return  # the last notice tells
        if uncancelled is None:
            if self._is_uncancelled:
                text = "no entry is open any more that should be cancelled"
                yield Notice(event="cancelled", text=text, at_ms=at_ms)
            self._is_uncancelled = False
        elif not self._is_uncancelled and uncancelled.ms > self._rules.unprotected_after_ms:
            self._is_uncancelled = True
            text = f"{uncancelled.text}; still open: {', '.join(uncancelled.ids)}"
            yield Notice(event="not_cancelled", text=text, at_ms=at_ms)

    def _drawdown(self, grid: GridReport, at_ms: int) -> Iterator[Notice]:
        name, drawdown = grid.instrument_id, grid.drawdown_pct
        level, before = int(drawdown // self._rules.drawdown_pct), self._levels.get(name, 0)
        self._levels[name] = max(level, before) if level else 0
        if grid.is_stopped and name not in self._stopped:
            text = f"{name}: the drawdown of {drawdown:.2f} % has stopped all entries"
            yield Notice(event="drawdown", text=text, at_ms=at_ms)
        elif level > before:
            text = f"{name}: the drawdown is {drawdown:.2f} %"
            yield Notice(event="drawdown", text=text, at_ms=at_ms)
        if grid.is_stopped:
            self._stopped.add(name)
        else:  # the operator may have lifted it
            self._stopped.discard(name)

    def _breaker(self, grid: GridReport, at_ms: int) -> Iterator[Notice]:
        name = grid.instrument_id
        if at_ms < grid.breaker_until_ms != self._breaker_until_ms.get(name):
            self._breaker_until_ms[name] = grid.breaker_until_ms
            until = utc_text(grid.breaker_until_ms)
            text = f"{name}: too many order errors: the circuit breaker holds entries until {until}"
            yield Notice(event="circuit_breaker", text=text, at_ms=at_ms)
