"""Generated klines of the traded price, and the path of each minute.

A minute is a path through four prices, open → one extreme → the other → close, in three legs. On a
leg from A to B every price p has a mirror A + B − p at the mirrored time, traded in the same
quantity. Two mirrored trades of quantity w are therefore worth exactly w·(A + B) for any path. So a
minute's totals follow from its four prices and three volumes without computing the path, and the
path (four slots per second) adds up to them to the last digit. This makes years of minutes cheap
and their seconds exact.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from warmup_job.local_binance.prices.hashed_numbers import four_draws, stream_key
from warmup_job.local_binance.prices.minute_series import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    QUOTE,
    TAKER_QUOTE,
    TAKER_VOLUME,
    TRADES,
    VOLUME,
    MinuteSeries,
)
from warmup_job.local_binance.prices.price_feed import SLOT_MS, fixed
from warmup_job.local_binance.prices.price_path import PricePath
from warmup_job.market.interval import MINUTE_MS, SECOND_MS
from warmup_job.market.kline import Kline

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.price_path import Ints
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.market.interval import Interval

SLOTS_PER_MINUTE = MINUTE_MS // SLOT_MS
_SLOTS_PER_SECOND = SECOND_MS // SLOT_MS


class _Minutes(NamedTuple):
    """The parts of consecutive minutes: four prices, three legs, and possibly one odd trade."""

    prices: tuple[Ints, Ints, Ints, Ints]  # open, first extreme, second extreme, close
    volumes: tuple[Ints, Ints, Ints]  # of one half of each leg's mirrored pairs, in steps
    trades: tuple[Ints, Ints, Ints]
    taker: tuple[Ints, Ints, Ints]
    odd: Ints  # 1: another trade of one step at the close, so that totals can be odd
    turns: tuple[Ints, Ints]  # the slots at which the second and the third leg begin


class TradeSeries(MinuteSeries):
    """Klines of the traded price, and the path of each minute."""

    def __init__(self, seed: int, symbol: ListedSymbol, volatility: float) -> None:
        super().__init__(symbol.onboard_ms)
        self._symbol = symbol
        self._volatility = volatility
        self.path = PricePath(seed, symbol, volatility)
        self._shape_key = stream_key(seed, symbol.market, symbol.name, "shape")
        self._size_key = stream_key(seed, symbol.market, symbol.name, "size")
        self._walk_key = stream_key(seed, symbol.market, symbol.name, "walk")
        # Half of an average minute's volume, in steps times ticks.
        self._half_volume = float(
            Decimal(symbol.minute_notional) / (Decimal(symbol.tick) * Decimal(symbol.step)) / 2
        )
        self._print = (
            symbol.tick_units,
            symbol.step_units,
            symbol.quote_units,
            symbol.price_decimals,
            symbol.volume_decimals,
            symbol.quote_decimals,
        )
        self.walk = lru_cache(maxsize=64)(self._compute_walk)

    def walk_until(self, now_ms: int) -> Ints:
        """Return the path of the minute of ``now_ms`` up to its slot."""
        return self.walk(now_ms // MINUTE_MS)[:, : now_ms % MINUTE_MS // SLOT_MS + 1]

    def offers(self, interval: Interval) -> bool:
        """Return whether the market has the interval; only spot has 1s, as on Binance."""
        return interval.name != "1s" or self._symbol.market == "spot"

    def _anatomy(self, first: int, last: int) -> _Minutes:
        price, busy = self.path.boundaries(first, last + 1)
        busy = busy[:-1]
        shape = four_draws(self._shape_key, first, last)
        size = four_draws(self._size_key, first, last)
        bits = shape[3].astype(np.int64)

        opens, closes = price[:-1], price[1:]
        swing = self._volatility * opens * busy
        if self._volatility > 0:  # sometimes open one tick away from the previous close
            opens = opens + ((bits & 7) == 1) - ((bits & 7) == 2)
        up, down = shape[0] / 65536.0, shape[1] / 65536.0
        high = np.maximum(opens, closes) + (swing * 1.1 * up * up).astype(np.int64)
        low = np.minimum(opens, closes) - (swing * 1.1 * down * down).astype(np.int64)
        low = np.maximum(low, 1)
        high_first = (bits & 8) == 8
        first_turn, second_turn = np.where(high_first, high, low), np.where(high_first, low, high)

        draw = shape[2] / 65536.0
        stretch = 1.0 + (high - low) / (2.0 * swing + 2.0)
        half = self._half_volume / opens * busy * (0.2 + 1.2 * draw * draw) * stretch
        half_volume = np.maximum(half.astype(np.int64), 3)
        calls = self._symbol.minute_trades / 2 * busy * (0.4 + 0.8 * draw * stretch)
        half_trades = np.clip(calls.astype(np.int64), 3, half_volume)

        split = size[0] / 65536.0
        share = (0.15 + 0.3 * split, 0.2 + 0.3 * (size[1] / 65536.0))

        def in_legs(total: Ints) -> tuple[Ints, Ints, Ints]:
            one, two = ((total * part).astype(np.int64) for part in share)
            return one, two, total - one - two

        trades = tuple(1 + part for part in in_legs(half_trades - 3))
        # Every trade has a quantity of at least one step.
        volumes = tuple(
            count + part
            for count, part in zip(trades, in_legs(half_volume - half_trades), strict=True)
        )
        buying = 0.2 + 0.6 * (size[2] / 65536.0)
        taker = tuple((volume * buying).astype(np.int64) for volume in volumes)
        turns = size[3].astype(np.int64)
        return _Minutes(
            prices=(opens, first_turn, second_turn, closes),
            volumes=(volumes[0], volumes[1], volumes[2]),
            trades=(trades[0], trades[1], trades[2]),
            taker=(taker[0], taker[1], taker[2]),
            odd=(bits >> 4) & 1,
            turns=(48 + (turns & 63), 144 + ((turns >> 6) & 63)),
        )

    def _minutes(self, first: int, last: int) -> Ints:
        m = self._anatomy(first, last)
        pairs = [a + b for a, b in zip(m.prices, m.prices[1:], strict=False)]
        table = np.empty((9, last - first + 1), dtype=np.int64)
        table[OPEN] = m.prices[0]
        table[HIGH] = np.maximum(m.prices[1], m.prices[2])
        table[LOW] = np.minimum(m.prices[1], m.prices[2])
        table[CLOSE] = m.prices[3]
        table[VOLUME] = 2 * sum(m.volumes) + m.odd
        table[QUOTE] = (
            sum(w * pair for w, pair in zip(m.volumes, pairs, strict=True)) + m.odd * m.prices[3]
        )
        table[TRADES] = 2 * sum(m.trades) + m.odd
        table[TAKER_VOLUME] = 2 * sum(m.taker)
        table[TAKER_QUOTE] = sum(w * pair for w, pair in zip(m.taker, pairs, strict=True))
        return table

    def _compute_walk(self, minute: int) -> Ints:
        """Return a minute's path by slots: rows price, trades, volume, taker volume."""
        m = self._anatomy(minute, minute)
        price = [int(p[0]) for p in m.prices]
        low, high = min(price), max(price)
        turn_one, turn_two = (int(turn[0]) for turn in m.turns)
        edges = (0, turn_one, turn_two, SLOTS_PER_MINUTE)
        walk = np.zeros((4, SLOTS_PER_MINUTE), dtype=np.int64)
        first = minute * SLOTS_PER_MINUTE
        draws = four_draws(self._walk_key, first, first + SLOTS_PER_MINUTE - 1)
        shares, wander = draws[:2].astype(np.int64)
        for leg in range(3):
            begin, end = edges[leg], edges[leg + 1]
            half = (end - begin) // 2
            walk[1:, begin : begin + half] = _shares(
                int(m.trades[leg][0]),
                int(m.volumes[leg][0]),
                int(m.taker[leg][0]),
                shares[begin : begin + half],
            )
            walk[1:, end - half : end] = walk[1:, begin : begin + half][:, ::-1]
            a, b = price[leg], price[leg + 1]
            walk[0, begin : begin + half] = _first_half(
                a, b, low, high, end - begin, wander[begin : begin + half]
            )
            walk[0, begin + half : end - half] = (a + b) // 2
            walk[0, end - half : end] = a + b - walk[0, begin : begin + half][::-1]
        odd = int(m.odd[0])
        walk[1:3, SLOTS_PER_MINUTE - 1] += odd
        walk.setflags(write=False)
        return walk

    def _partial(self, now_ms: int) -> Ints:
        walk = self.walk_until(now_ms)
        return _from_slots(walk[:, walk[1] > 0])

    def _table(self, interval: Interval, opens: list[int], now_ms: int) -> Ints:
        if interval.name != "1s":
            return super()._table(interval, opens, now_ms)
        first, last = opens[0] // MINUTE_MS, opens[-1] // MINUTE_MS
        tables = [self._seconds(minute, now_ms) for minute in range(first, last + 1)]
        skip = (opens[0] - first * MINUTE_MS) // SECOND_MS
        return np.concatenate(tables, axis=1)[:, skip : skip + len(opens)]

    def _seconds(self, minute: int, now_ms: int) -> Ints:
        """Return the 60 seconds of a minute; a second without a trade repeats the last price."""
        walk = self.walk(minute)
        traded = walk[1] > 0
        known = min(max((now_ms - minute * MINUTE_MS) // SLOT_MS + 1, 0), SLOTS_PER_MINUTE)
        traded[known:] = False
        table = np.empty((9, 60), dtype=np.int64)
        last_price = int(walk[0, 0])
        for second in range(60):
            slots = slice(second * _SLOTS_PER_SECOND, (second + 1) * _SLOTS_PER_SECOND)
            within = walk[:, slots][:, traded[slots]]
            if within.shape[1]:
                table[:, second] = _from_slots(within)[:, 0]
                last_price = int(within[0, -1])
            else:
                table[:, second] = (last_price,) * 4 + (0,) * 5
        return table

    def _kline(self, open_ms: int, close_ms: int, column: list[int]) -> Kline:
        tick, step, worth, price, volume, quote = self._print
        bare = self._symbol.market == "um"

        def amount(units: int, decimals: int) -> str:
            # The futures market prints a volume of zero as "0".
            return "0" if bare and not units else fixed(units, decimals)

        return Kline(
            open_ms,
            fixed(column[OPEN] * tick, price),
            fixed(column[HIGH] * tick, price),
            fixed(column[LOW] * tick, price),
            fixed(column[CLOSE] * tick, price),
            amount(column[VOLUME] * step, volume),
            close_ms,
            amount(column[QUOTE] * worth, quote),
            column[TRADES],
            amount(column[TAKER_VOLUME] * step, volume),
            amount(column[TAKER_QUOTE] * worth, quote),
        )


def _shares(trades: int, volume: int, taker: int, draws: Ints) -> Ints:
    """Distribute the totals of half a leg to its slots: rows trades, volume, taker volume.

    The first slot always has a trade, every trade has at least one step, and no slot's taker volume
    exceeds its volume: each row is proportional to the one before it, with sums rounded down.
    """
    weights = 256 + (draws * draws >> 16)
    reach = np.cumsum(weights)
    count = 1 + (trades - 1) * reach // reach[-1]
    spent = volume * count // trades
    bought = taker * spent // volume
    return np.diff(np.stack((count, spent, bought)), axis=1, prepend=0)


def _first_half(a: int, b: int, low: int, high: int, slots: int, wander: Ints) -> Ints:
    """Return prices of the first half of a leg from ``a`` to ``b``; their mirrors are valid too."""
    half = len(wander)
    along = np.arange(half, dtype=np.int64)
    line = a + (b - a) * along // (slots - 1)
    # Each second deviates from the line by at most a sixth of the minute's range.
    aside = (
        (wander[along // _SLOTS_PER_SECOND * _SLOTS_PER_SECOND] - 32768) * (high - low) // 196608
    )
    prices: Ints = np.clip(line + aside, max(low, a + b - high), min(high, a + b - low))
    prices[0] = a
    return prices


def _from_slots(walk: Ints) -> Ints:
    """Aggregate slots, which all have trades, to one column."""
    price, trades, volume, taker = walk
    column = (
        price[0],
        price.max(),
        price.min(),
        price[-1],
        volume.sum(),
        (price * volume).sum(),
        trades.sum(),
        taker.sum(),
        (price * taker).sum(),
    )
    return np.array(column, dtype=np.int64)[:, None]
