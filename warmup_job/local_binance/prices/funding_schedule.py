"""When each perpetual pays funding, and at which rate.

Binance pays every 8, 4 or 1 hours, by symbol, on the hour of UTC
(https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-Info).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR_MS = 3_600_000
USUAL_HOURS = 8
CAP = Decimal("0.02")
"""The largest rate, of either sign."""
_INTERVALS = (1, 4, 8)
_SPEC = re.compile(r"([A-Z0-9_]{1,20})=(-?\d{1,2}(?:\.\d{1,8})?)(?:/(\d{1,2}))?")


class FundingTerms(NamedTuple):
    """What a symbol pays."""

    rate: Decimal
    """Share of the notional that longs pay to shorts; < 0: shorts pay."""
    hours: int
    """Time between two payments: 1, 4 or 8."""


class FundingSpec(NamedTuple):
    """A parsed ``SYMBOL=RATE[/HOURS]``."""

    symbol: str
    rate: Decimal
    hours: int | None
    """None: not given."""


_USUAL = FundingTerms(Decimal("0.0001"), USUAL_HOURS)


def parse_funding(spec: str) -> FundingSpec:
    """Parse ``SYMBOL=RATE[/HOURS]``, e.g. ``BTCUSDT=-0.0003/4``.

    Raises:
        ConfigError: It is malformed, or a number is out of range.
    """
    match = _SPEC.fullmatch(spec.strip())
    if match is None:
        raise ConfigError(f"funding is {spec!r}; write SYMBOL=RATE/HOURS, e.g. BTCUSDT=-0.0003/4.")
    symbol, rate, hours = match.groups()
    if abs(Decimal(rate)) > CAP:
        raise ConfigError(f"the funding rate of {symbol} is {rate}; it must be -{CAP} to {CAP}.")
    if hours is not None and int(hours) not in _INTERVALS:
        raise ConfigError(f"funding of {symbol} is every {hours} h; it must be 1, 4 or 8.")
    return FundingSpec(symbol, Decimal(rate), None if hours is None else int(hours))


class FundingSchedule:
    """Funding rates and times by symbol. Times are the exchange's UTC ms.

    Args:
        specs: ``SYMBOL=RATE[/HOURS]`` for symbols that do not pay 0.0001 every 8 hours.

    Raises:
        ConfigError: A spec is malformed.
    """

    def __init__(self, specs: Iterable[str] = ()) -> None:
        self._changes: dict[str, list[tuple[int, FundingTerms]]] = {}
        for spec in specs:
            self.change(parse_funding(spec), 0)

    def change(self, spec: FundingSpec, at_ms: int) -> FundingTerms:
        """Change a symbol's terms from ``at_ms`` on, and return them."""
        hours = spec.hours if spec.hours is not None else self.terms(spec.symbol, at_ms).hours
        terms = FundingTerms(spec.rate, hours)
        self._changes.setdefault(spec.symbol, []).append((at_ms, terms))
        return terms

    def terms(self, symbol: str, at_ms: int) -> FundingTerms:
        """Return a symbol's terms at a time."""
        changes = self._changes.get(symbol, [])
        before = bisect_right(changes, at_ms, key=lambda change: change[0])
        return changes[before - 1][1] if before else _USUAL

    def next_ms(self, symbol: str, now_ms: int) -> int:
        """Return the next funding time after ``now_ms``."""
        span_ms = self.terms(symbol, now_ms).hours * HOUR_MS
        return (now_ms // span_ms + 1) * span_ms

    def times(self, symbol: str, after_ms: int, until_ms: int) -> list[int]:
        """Return the funding times with ``after_ms`` < time ≤ ``until_ms``, oldest first."""
        times: list[int] = []
        hour_ms = (after_ms // HOUR_MS + 1) * HOUR_MS
        while hour_ms <= until_ms:
            if hour_ms % (self.terms(symbol, hour_ms).hours * HOUR_MS) == 0:
                times.append(hour_ms)
            hour_ms += HOUR_MS
        return times
