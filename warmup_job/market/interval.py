"""Compute open and close times of Binance's kline intervals (UTC ms).

Fixed lengths count from the epoch, weeks start on Monday, months are calendar months. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.market.interval_meaning import interval_meant_by, neighbours

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
    "1M": 0,  # the length of a month varies
}

INTERVAL_NAMES: tuple[str, ...] = tuple(_LENGTHS_MS)
"""Every interval that Binance offers, shortest first; ``1s`` exists on spot only."""


class Interval(msgspec.Struct, frozen=True):
    """One kline interval.

    All methods take and return UTC ms. An *open* is the first ms of a kline.

    Attributes:
        name: Binance's name, ``1s`` to ``1M``.
        length_ms: The length in ms; 0 for months.
    """

    name: str
    length_ms: int

    @staticmethod
    def parse(name: str) -> Interval:
        """Return the interval called ``name``.

        Raises:
            ConfigError: Binance has no interval of exactly this name.
        """
        if name not in _LENGTHS_MS:
            offered = ", ".join(INTERVAL_NAMES)
            raise ConfigError(
                f"Binance has no kline interval {name!r}{_hint(name)} (it has {offered})"
            )
        return Interval(name, _LENGTHS_MS[name])

    def floor(self, at_ms: int) -> int:
        """Return the open of the kline that contains ``at_ms``."""
        if self.name == "1M":
            at = datetime.fromtimestamp(at_ms // 1000, UTC)
            return _month_open_ms(at.year * 12 + at.month - 1)
        offset = _FIRST_MONDAY_MS if self.name == "1w" else 0
        return (at_ms - offset) // self.length_ms * self.length_ms + offset

    def shift(self, open_ms: int, steps: int) -> int:
        """Return the open of the kline ``steps`` after ``open_ms``; ``steps`` may be negative."""
        if self.name == "1M":
            at = datetime.fromtimestamp(open_ms // 1000, UTC)
            return _month_open_ms(at.year * 12 + at.month - 1 + steps)
        return open_ms + steps * self.length_ms

    def next(self, open_ms: int) -> int:
        """Return the open of the next kline."""
        return self.shift(open_ms, 1)

    def close_ms(self, open_ms: int) -> int:
        """Return the last ms of the kline that opens at ``open_ms``: Binance's close time."""
        return self.shift(open_ms, 1) - 1

    def last_closed(self, now_ms: int) -> int:
        """Return the open of the newest kline that is closed at ``now_ms``."""
        return self.shift(self.floor(now_ms), -1)

    def count(self, first_open_ms: int, last_open_ms: int) -> int:
        """Return how many klines open in [first_open_ms, last_open_ms]."""
        if last_open_ms < first_open_ms:
            return 0
        if self.name == "1M":
            first = datetime.fromtimestamp(first_open_ms // 1000, UTC)
            last = datetime.fromtimestamp(last_open_ms // 1000, UTC)
            return (last.year - first.year) * 12 + last.month - first.month + 1
        return (last_open_ms - first_open_ms) // self.length_ms + 1


def meant_interval(text: str) -> str | None:
    """Return the name of Binance's interval that ``text`` means; None: there is none.

    ``1H``, ``60``, ``1hour`` and ``1-HOUR-LAST`` all mean ``1h``.
    """
    return interval_meant_by(text, _LENGTHS_MS)


def _hint(name: str) -> str:
    meant = meant_interval(name)
    if meant is not None:
        return f"; did you mean {meant}?"
    near = neighbours(name, _LENGTHS_MS)
    return f"; the next ones are {' and '.join(near)}" if near else ""


def _month_open_ms(months_since_year_0: int) -> int:
    year, month = divmod(months_since_year_0, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
