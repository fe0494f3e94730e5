"""The first lines of the page: does it trade, if not why, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from warmup_job.handoff.reporting.report import GridReport, Report

Level = Literal["good", "wait", "held", "bad", "ended"]
"""good: it trades; wait: it will trade by itself; held: somebody or a limit holds entries back;
bad: a person must look at it; ended: it stops."""

_RESUME = "`warmup-job trader resume` lets entries leave again."
_BY_ITSELF = "Nothing needs to be done: it goes live by itself."
_GOES_ON = "The trader tries again by itself, and exits may leave. If this lasts:"
_DOCTOR = f"{_GOES_ON} `warmup-job doctor` checks network, clock and exchange."
_BLOCKS: Mapping[str, str] = {
    "operator": _RESUME,
    "not_warm": "Nothing needs to be done: it is warm after more bars.",
    "drawdown": "Look at the losses first. `warmup-job trader resume --after-drawdown` lifts this.",
    "limited": "Wait: the trader sends nothing until then. Other programs at this IP count too.",
    "circuit_breaker": "It closes by itself at that time. See the refused orders below.",
    "stale_bars": f"See the streams below. {_DOCTOR}",
}
"""What to do, by `warmup_job.hedge_grid.entry_guard.BlockKind`."""


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """What the page says first. Commands stand between backticks."""

    level: Level
    text: str
    """In few words, such as ``Trading`` or ``Paused``."""
    why: str
    remedy: str
    """What to do; empty: nothing."""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person must know, whatever the state is."""

    text: str
    remedy: str


def headline(report: Report) -> Headline:
    """Return whether the trader trades, why not, and what to do.

    Args:
        report: as the trader has just made it.
    """
    if report.operator == "flattening":
        step = "" if report.flatten is None else report.flatten.step
        return Headline(
            level="held",
            text="Flattening",
            why=step or report.why,
            remedy="Wait until it says flat; `warmup-job trader status` shows the last step.",
        )
    match report.state:
        case "live" if report.trading:
            return _live(report)
        case "paused":
            return Headline(level="held", text="Paused", why=report.why, remedy=_RESUME)
        case "stopping":
            failed = report.why.startswith("cannot go on")
            log = "The last lines of its log say what has failed; then start it again."
            return Headline(
                level="bad" if failed else "ended",
                text="Stopping",
                why=report.why,
                remedy=log if failed else "Start it again if it should trade.",
            )
        case "degraded" | "live":
            return Headline(
                level="bad", text="Not trading", why=report.why, remedy=_degraded_remedy(report)
            )
        case state:
            why = f"{state}: {report.why}" if report.why else state
            return Headline(level="wait", text="Not trading yet", why=why, remedy=_BY_ITSELF)


def alarms(report: Report) -> tuple[Alarm, ...]:
    """Return what a person must know, the most urgent first."""
    return (*_bare_positions(report), *_orders(report), *_others(report))


def _live(report: Report) -> Headline:
    blocked = [grid for grid in report.grids if grid.block_reason]
    if not blocked:
        why = f"Orders may leave: every bar is here, {report.why}"
        return Headline(level="good", text="Trading", why=why, remedy="")
    which = "" if len(blocked) == len(report.grids) else f" in {_names(blocked)}"
    reasons = "; ".join(dict.fromkeys(grid.block_reason for grid in blocked))
    remedies = dict.fromkeys(_BLOCKS.get(grid.block_kind, "") for grid in blocked)
    return Headline(
        level="held",
        text=f"Live, but no entries{which}",
        why=reasons,
        remedy=" ".join(each for each in remedies if each),
    )


def _names(grids: Iterable[GridReport]) -> str:
    return ", ".join(grid.instrument_id for grid in grids)


def _degraded_remedy(report: Report) -> str:
    account = report.account
    if account is not None and account.why and account.why == report.why:
        compare = "compare positions and orders with those on the exchange's own page."
        return f"{_GOES_ON} {compare}" if account.state == "differs" else _DOCTOR
    if any(stream.phase == "stuck" for stream in report.streams) or "websocket" in report.why:
        return _DOCTOR
    if "bars so far" in report.why or "cold" in report.why or "has no history" in report.why:
        return (
            "More bars make it warm. A new snapshot is faster: `warmup-job run`, then start the "
            "trader again."
        )
    return f"{_GOES_ON} see the log."


def _bare_positions(report: Report) -> Iterator[Alarm]:
    if not report.unprotected_ms:
        return
    for grid in report.grids:
        for name, book in grid.books.items():
            if book.unprotected:
                why = f": {book.unprotected_why}" if book.unprotected_why else ""
                yield Alarm(
                    text=f"{book.unprotected:f} {grid.base_currency} of {grid.instrument_id} {name}"
                    f" has no stop loss{why} (for {report.unprotected_ms / 1000:.1f} s)",
                    remedy="The trader sends the stop again by itself. If this lasts: "
                    "`warmup-job trader flatten` closes every position at market.",
                )


def _orders(report: Report) -> Iterator[Alarm]:
    if report.uncancelled is not None:
        yield Alarm(
            text=f"{report.uncancelled.text} (for {report.uncancelled.ms / 1000:.1f} s)",
            remedy="Each can still be filled. The trader cancels again by itself. If this lasts: "
            "cancel them on the exchange.",
        )
    end = None if report.flatten is None else report.flatten.end
    if end is not None and not end.flat and report.operator != "trading":
        yield Alarm(
            text=f"The last flatten did not end flat: {end.why_not}",
            remedy="`warmup-job trader flatten` tries again.",
        )


def _others(report: Report) -> Iterator[Alarm]:
    for other in () if report.account is None else report.account.other_traders:
        if other.open_orders:
            yield Alarm(
                text=f"Another trader ({other.tag}) has {other.open_orders} open order(s) on this "
                "account and symbol",
                remedy="The next start needs `--take-over`, or cancel them on the exchange.",
            )
