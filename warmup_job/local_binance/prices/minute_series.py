"""Klines of every interval from generated minutes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from warmup_job.market.interval import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.price_path import Ints
    from warmup_job.market.interval import Interval
    from warmup_job.market.kline import Kline

# A table holds one kline a column. The rows from VOLUME on are sums.
OPEN, HIGH, LOW, CLOSE, VOLUME, QUOTE, TRADES, TAKER_VOLUME, TAKER_QUOTE = range(9)

_HOURS_PER_BLOCK = 256


def _add_up(table: Ints, starts: Ints) -> Ints:
    """Aggregate the columns from each of ``starts`` up to the next one to a kline."""
    result = np.empty((9, len(starts)), dtype=np.int64)
    ends = np.append(starts[1:], table.shape[1]) - 1
    result[OPEN] = table[OPEN, starts]
    result[HIGH] = np.maximum.reduceat(table[HIGH], starts)
    result[LOW] = np.minimum.reduceat(table[LOW], starts)
    result[CLOSE] = table[CLOSE, ends]
    result[VOLUME:] = np.add.reduceat(table[VOLUME:], starts, axis=1)
    return result


class MinuteSeries(ABC):
    """Klines of every interval, aggregated from the minutes that a subclass computes."""

    def __init__(self, onboard_ms: int) -> None:
        self._onboard_ms = onboard_ms
        # Hours never change; the cache makes repeated requests for months cheap.
        self._block = lru_cache(maxsize=512)(self._compute_block)

    def offers(self, interval: Interval) -> bool:
        """Return whether the interval consists of minutes."""
        return interval.name != "1s"

    def earliest(
        self, interval: Interval, from_ms: int, until_ms: int, count: int, now_ms: int
    ) -> list[Kline]:
        """Implement `KlineSource`."""
        newest = interval.floor(min(until_ms, now_ms))
        if from_ms > newest or now_ms < self._onboard_ms or count < 1:
            return []
        first = interval.floor(from_ms)
        if first < from_ms:
            first = interval.next(first)
        first = max(first, interval.floor(self._onboard_ms))
        return self._klines(interval, first, min(newest, interval.shift(first, count - 1)), now_ms)

    def latest(self, interval: Interval, until_ms: int, count: int, now_ms: int) -> list[Kline]:
        """Implement `KlineSource`."""
        if now_ms < self._onboard_ms or count < 1:
            return []
        last = interval.floor(min(until_ms, now_ms))
        first = max(interval.shift(last, 1 - count), interval.floor(self._onboard_ms))
        return self._klines(interval, first, last, now_ms)

    def _klines(self, interval: Interval, first: int, last: int, now_ms: int) -> list[Kline]:
        if first > last:
            return []
        opens = [first]
        while opens[-1] < last:
            opens.append(interval.next(opens[-1]))
        table = self._table(interval, opens, now_ms)
        closes = [*opens[1:], interval.next(last)]
        return [
            self._kline(open_ms, next_ms - 1, column)
            for open_ms, next_ms, column in zip(opens, closes, table.T.tolist(), strict=True)
        ]

    def _table(self, interval: Interval, opens: list[int], now_ms: int) -> Ints:
        """Return one column for each of ``opens``; the last one has its values at ``now_ms``."""
        start = max(opens[0], self._onboard_ms)
        this_minute = now_ms // MINUTE_MS * MINUTE_MS
        end = min(interval.next(opens[-1]), this_minute)
        pieces, times = self._closed_pieces(start, end, hourly=interval.length_ms % HOUR_MS == 0)
        if interval.next(opens[-1]) > this_minute:
            pieces.append(self._partial(now_ms))
            times.append(np.array([this_minute], dtype=np.int64))
        starts = np.searchsorted(np.concatenate(times), np.array(opens, dtype=np.int64))
        return _add_up(np.concatenate(pieces, axis=1), starts.astype(np.int64))

    def _closed_pieces(
        self, start: int, end: int, *, hourly: bool
    ) -> tuple[list[Ints], list[Ints]]:
        """Return tables of the closed minutes from ``start`` to ``end``, and their open times."""
        pieces: list[Ints] = []
        times: list[Ints] = []
        if hourly:
            last_hour = end // HOUR_MS * HOUR_MS
            if start < last_hour:
                table, opens = self._hours(start // HOUR_MS, last_hour // HOUR_MS - 1)
                pieces.append(table)
                times.append(opens)
                start = last_hour
        if start < end:
            pieces.append(self._minutes(start // MINUTE_MS, end // MINUTE_MS - 1))
            times.append(np.arange(start, end, MINUTE_MS, dtype=np.int64))
        return pieces, times

    def _hours(self, first: int, last: int) -> tuple[Ints, Ints]:
        """Return a table of the hours ``first`` … ``last`` (from the epoch), and their opens."""
        tables = [
            self._block(block)
            for block in range(first // _HOURS_PER_BLOCK, last // _HOURS_PER_BLOCK + 1)
        ]
        table = np.concatenate(tables, axis=1)
        # The first block starts with the hour of the listing.
        begin = max(first // _HOURS_PER_BLOCK * _HOURS_PER_BLOCK, self._onboard_ms // HOUR_MS)
        table = table[:, first - begin : last - begin + 1]
        return table, np.arange(first, last + 1, dtype=np.int64) * HOUR_MS

    def _compute_block(self, block: int) -> Ints:
        first_hour = max(block * _HOURS_PER_BLOCK, self._onboard_ms // HOUR_MS)
        first_minute = max(first_hour * 60, self._onboard_ms // MINUTE_MS)
        end_hour = (block + 1) * _HOURS_PER_BLOCK
        starts = np.arange(first_hour, end_hour, dtype=np.int64) * 60 - first_minute
        return _add_up(self._minutes(first_minute, end_hour * 60 - 1), np.maximum(starts, 0))

    @abstractmethod
    def _minutes(self, first: int, last: int) -> Ints:
        """Return the closed minutes ``first`` … ``last`` (numbered from the epoch)."""

    @abstractmethod
    def _partial(self, now_ms: int) -> Ints:
        """Return the forming minute at ``now_ms`` as one column."""

    @abstractmethod
    def _kline(self, open_ms: int, close_ms: int, column: list[int]) -> Kline:
        """Format one column."""
