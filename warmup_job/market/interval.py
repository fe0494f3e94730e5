"""Binance's kline intervals as arithmetic on open times (UTC, ms since the epoch).

Fixed lengths are counted from the epoch, weeks from Monday, months are real months.
Source: Binance API documentation, "Kline/Candlestick chart intervals".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime

from warmup_job.errors import ConfigError

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
_FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05; the epoch was a Thursday

_LENGTHS_MS: dict[str, int] = {
    "1s": SECOND_MS,
    **{f"{n}m": n * MINUTE_MS for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR_MS for n in (1, 2, 4, 6, 8, 12)},
    **{f"{n}d": n * DAY_MS for n in (1, 3)},
    "1w": WEEK_MS,
    "1M": 0,  # months have no one length
}

INTERVAL_NAMES: tuple[str, ...] = tuple(_LENGTHS_MS)
"""Every interval that Binance offers, shortest first; ``1s`` on the spot market only."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One kline interval.

    ``name`` is Binance's own (``1m`` … ``1M``); ``length_ms`` is 0 for months. All methods take and
    return UTC ms; an *open* is the first ms of a kline.
    """

    name: str
    length_ms: int

    @staticmethod
    def parse(name: str) -> Interval:
        """Return the interval called ``name``.

        Raises:
            ConfigError: Binance has no such interval; never another one in its place.
        """
        if name not in _LENGTHS_MS:
            near = difflib.get_close_matches(name, INTERVAL_NAMES, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            offered = ", ".join(INTERVAL_NAMES)
            raise ConfigError(f"Binance has no kline interval {name!r}{hint} (it has {offered})")
        return Interval(name, _LENGTHS_MS[name])

    def floor(self, at_ms: int) -> int:
        """The open of the kline that ``at_ms`` falls into."""
        if self.name == "1M":
            at = datetime.fromtimestamp(at_ms // 1000, UTC)
            return _month_open_ms(at.year * 12 + at.month - 1)
        offset = _FIRST_MONDAY_MS if self.name == "1w" else 0
        return (at_ms - offset) // self.length_ms * self.length_ms + offset

    def shift(self, open_ms: int, steps: int) -> int:
        """The open of the kline ``steps`` after the one that opens at ``open_ms`` (may be < 0)."""
        if self.name == "1M":
            at = datetime.fromtimestamp(open_ms // 1000, UTC)
            return _month_open_ms(at.year * 12 + at.month - 1 + steps)
        return open_ms + steps * self.length_ms

    def next(self, open_ms: int) -> int:
        """The open of the following kline."""
        return self.shift(open_ms, 1)

    def close_ms(self, open_ms: int) -> int:
        """The last ms of the kline that opens at ``open_ms``: what Binance calls its close time."""
        return self.shift(open_ms, 1) - 1

    def last_closed(self, now_ms: int) -> int:
        """The open of the newest kline that is closed at ``now_ms``."""
        return self.shift(self.floor(now_ms), -1)

    def count(self, first_open_ms: int, last_open_ms: int) -> int:
        """How many klines open from the first to the last of these, both included; 0 if none."""
        if last_open_ms < first_open_ms:
            return 0
        if self.name == "1M":
            first = datetime.fromtimestamp(first_open_ms // 1000, UTC)
            last = datetime.fromtimestamp(last_open_ms // 1000, UTC)
            return (last.year - first.year) * 12 + last.month - first.month + 1
        return (last_open_ms - first_open_ms) // self.length_ms + 1


def _month_open_ms(months_since_year_0: int) -> int:
    year, month = divmod(months_since_year_0, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
