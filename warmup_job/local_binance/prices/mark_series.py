"""Generated klines of the mark price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from warmup_job.local_binance.prices.minute_series import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    TRADES,
    MinuteSeries,
)
from warmup_job.local_binance.prices.price_feed import MARK_DECIMALS, fixed
from warmup_job.market.interval import MINUTE_MS, SECOND_MS
from warmup_job.market.kline import Kline

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.price_path import Ints, PricePath
    from warmup_job.local_binance.prices.symbols import ListedSymbol


class MarkSeries(MinuteSeries):
    """Klines of the mark price: straight lines between smoothed prices at minute boundaries.

    Volumes are 0. The count is the number of seconds covered.
    """

    def __init__(self, path: PricePath, symbol: ListedSymbol) -> None:
        super().__init__(symbol.onboard_ms)
        self._path = path
        self._tick_units = int(Decimal(symbol.tick).scaleb(MARK_DECIMALS))
        self._newest = (-1, 0, 0)  # a minute, and its first and last price

    def _boundaries(self, first: int, last: int) -> Ints:
        price, _ = self._path.boundaries(first - 2, last)
        return (3 * price[2:] + 2 * price[1:-1] + price[:-2]) * self._tick_units // 6

    def _minutes(self, first: int, last: int) -> Ints:
        mark = self._boundaries(first, last + 1)
        return self._as_table(mark[:-1], mark[1:], 60)

    def _partial(self, now_ms: int) -> Ints:
        begin, now = self._now(now_ms)
        return self._as_table(
            np.array([begin]), np.array([now]), now_ms % MINUTE_MS // SECOND_MS + 1
        )

    def _now(self, now_ms: int) -> tuple[int, int]:
        minute, begin, end = self._newest
        if minute != now_ms // MINUTE_MS:
            minute = now_ms // MINUTE_MS
            begin, end = self._boundaries(minute, minute + 1).tolist()
            # One assignment, because klines are also made in another thread.
            self._newest = (minute, begin, end)
        return begin, begin + (end - begin) * (now_ms % MINUTE_MS) // MINUTE_MS

    @staticmethod
    def _as_table(opens: Ints, closes: Ints, count: int) -> Ints:
        table = np.zeros((9, len(opens)), dtype=np.int64)
        table[OPEN], table[CLOSE] = opens, closes
        table[HIGH], table[LOW] = np.maximum(opens, closes), np.minimum(opens, closes)
        table[TRADES] = count
        return table

    def price(self, now_ms: int) -> str:
        """Return the mark price at ``now_ms``."""
        return fixed(self._now(now_ms)[1], MARK_DECIMALS)

    def _kline(self, open_ms: int, close_ms: int, column: list[int]) -> Kline:
        o, h, low, c = (fixed(column[row], MARK_DECIMALS) for row in (OPEN, HIGH, LOW, CLOSE))
        return Kline(open_ms, o, h, low, c, "0", close_ms, "0", column[TRADES], "0", "0")
