"""Compare the declared indicators with those that the strategies have registered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from nautilus_trader.indicators import Indicator

from warmup_job.regime.indicator_names import BOUNDED_KINDS, kind_of


def differences(
    declared: Iterable[tuple[str, int]],
    registered: Iterable[Indicator],
    verb: Literal["registered", "made"] = "registered",
) -> list[str]:
    """Return what is only declared, and what is only registered, one line each.

    Args:
        declared: (kind, period) of each; the kind in any spelling that `kind_of` knows, the period
            any of those that the indicator has.
        registered: Nautilus' indicators; one without a period is compared by its kind alone.
        verb: what the strategy has done with them, for the text.
    """
    wanted = [(kind_of(kind), period) for kind, period in declared]
    there = sorted(registered, key=str)
    lines = [
        f"warmup.indicators declares {kind} {period}, which the strategy has not {verb}: "
        "does it update the indicator itself?"
        for kind, period in sorted(set(wanted))
        if not any(_is(indicator, kind, period) for indicator in there)
    ]
    lines += [
        f"the strategy has {verb} {indicator}, which warmup.indicators does not declare: add "
        f"{_as_declared(indicator)} there, so that the bars it needs are counted"
        for indicator in there
        if not any(_is(indicator, kind, period) for kind, period in wanted)
    ]
    return lines


def _is(indicator: Indicator, kind: str, period: int) -> bool:
    periods = _periods(indicator)
    return _kind(indicator) == kind and (period in periods or not periods)


def _kind(indicator: Indicator) -> str:
    return kind_of(type(indicator).__name__)


def _periods(indicator: Indicator) -> list[int]:
    """Return its periods, the longest first: MACD and others have several."""
    values = (getattr(indicator, name, None) for name in dir(indicator) if "period" in name)
    return sorted({value for value in values if type(value) is int and value > 0}, reverse=True)


def _as_declared(indicator: Indicator) -> str:
    kind, periods = _kind(indicator), _periods(indicator)
    period = periods[0] if periods else "N"
    bars = "" if kind in BOUNDED_KINDS else ", bars: N"
    return f"{{kind: {kind}, period: {period}{bars}}}"
