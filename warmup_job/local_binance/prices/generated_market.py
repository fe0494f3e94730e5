"""The generated market: deterministic for a seed, with random access to any time.

Nothing is stored. The logarithm of a symbol's price at each minute boundary is fractal value noise:
hashed numbers on grids of 1, 4, 16 … minutes, linearly interpolated, with an amplitude that grows
with the square root of the period. So the price trends, rests and turns on every scale and stays
within bounds. Hashes of a minute's number determine everything else about it.

A minute is a path through four prices, open → one extreme → the other → close, in three legs. On a
leg from A to B every price p has a mirror A + B − p at the mirrored time, traded in the same
quantity. Two mirrored trades of quantity w are therefore worth exactly w·(A + B) for any path. So a
minute's totals follow from its four prices and three volumes without computing the path, and the
path (four slots per second) adds up to them to the last digit. This makes years of minutes cheap
and their seconds exact.

Prices are integers in ticks, volumes integers in steps. The code uses only +, ×, floor and
comparisons of IEEE doubles, no exp or log, so a seed gives the same market on every machine.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from warmup_job.local_binance.prices.price_feed import BookTop, MarketTrade, fixed
from warmup_job.market.interval import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Interval
from warmup_job.market.kline import Kline

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.prices.symbols import ListedSymbol

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

SLOT_MS = 250
"""Length of a slot of the path within a minute; trades happen at the start of a slot."""

_SLOTS = MINUTE_MS // SLOT_MS
_SLOTS_PER_SECOND = SECOND_MS // SLOT_MS
_LOWEST_TICKS = 10  # bounded noise does not reach it; it keeps the price above 0 with any options
_HOURS_PER_BLOCK = 256
_MARK_DECIMALS = 8

# A table holds one kline a column. The rows from _V on are sums.
_O, _H, _L, _C, _V, _Q, _N, _TV, _TQ = range(9)


# --- hashed noise -------------------------------------------------------------------------------


def _key(*parts: object) -> np.uint64:
    """Return a 64-bit key for an independent stream of hashed numbers."""
    text = "/".join(str(part) for part in parts)
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()))


def _hashes(key: np.uint64, first: int, last: int) -> Hashes:
    """Return a hash for each index from ``first`` to ``last``.

    It is the finaliser of splitmix64: https://prng.di.unimi.it/splitmix64.c
    """
    x = np.arange(first, last + 1, dtype=np.int64).view(np.uint64)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x += key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _fields(hashes: Hashes) -> npt.NDArray[np.uint16]:
    """Return four rows of independent draws, 0 … 65535, from the hashes."""
    return hashes.astype("<u8", copy=False).view("<u2").reshape(-1, 4).T


def _between_minus_one_and_one(key: np.uint64, first: int, last: int) -> Floats:
    return (_hashes(key, first, last) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


class _Octave(NamedTuple):
    """Noise on a grid of 4**level minutes."""

    level: int
    amplitude: float
    key: np.uint64


def _noise(octaves: tuple[_Octave, ...], first: int, last: int, level: int = 0) -> Floats:
    """Return the sum of ``octaves`` at the multiples of 4**level numbered ``first`` to ``last``.

    Each grid has every fourth point of the next finer one, so the sum is refined from coarse to
    fine and costs little more than its finest octave. A point's value depends only on its own
    ancestors, so random access gives the same bits as sequential access.
    """
    here = [octave for octave in octaves if octave.level == level]
    if max((octave.level for octave in octaves), default=-1) > level:
        parent_first = first >> 2
        parent = _noise(octaves, parent_first, (last >> 2) + 1, level + 1)
        rise = parent[1:] - parent[:-1]
        quarters = np.array([0.0, 0.25, 0.5, 0.75])
        joined = (parent[:-1, None] + rise[:, None] * quarters[None, :]).ravel()
        values: Floats = joined[first - 4 * parent_first :][: last - first + 1]
    else:
        values = np.zeros(last - first + 1)
    for octave in here:
        values = values + octave.amplitude * _between_minus_one_and_one(octave.key, first, last)
    return values


class _PricePath:
    """The price and the activity at the open of each minute (numbered from the epoch)."""

    def __init__(self, seed: int, symbol: ListedSymbol, volatility: float) -> None:
        def octaves(
            purpose: str, levels: range, amplitude: Callable[[int], float]
        ) -> tuple[_Octave, ...]:
            return tuple(
                _Octave(level, amplitude(level), _key(seed, symbol.name, purpose, level))
                for level in levels
            )

        # Spot and futures of a symbol share these, because they have the same base asset.
        self._fast = octaves("fast", range(4), lambda level: volatility * 2.0**level)
        # The longest octaves are capped, so that prices stay within about a factor of 10.
        self._slow = octaves("slow", range(4, 12), lambda level: min(volatility * 2.0**level, 0.45))
        self._busy = octaves("busy", range(4, 7, 2), lambda level: 0.55 if level == 4 else 0.25)
        if symbol.market == "um":
            self._slow += octaves(
                "basis", range(0, 4, 3), lambda level: volatility * (0.05 + level / 10)
            )
        self._start_ticks = float(Decimal(symbol.start_price) / Decimal(symbol.tick))

    def boundaries(self, first: int, last: int) -> tuple[Ints, Floats]:
        """Return price in ticks and activity (about 0.2 … 1.8) at the opens of these minutes."""
        busy = 1.0 + _noise(self._busy, first, last)
        x = _noise(self._fast, first, last) * busy + _noise(self._slow, first, last)
        # (1 + x/1024)**1024 by ten squarings approximates exp(x), equally on every machine.
        growth = 1.0 + x / 1024.0
        for _ in range(10):
            growth = growth * growth
        ticks = np.floor(growth * self._start_ticks + 0.5).astype(np.int64)
        return np.maximum(ticks, _LOWEST_TICKS), busy


# --- minutes and what they add up to ------------------------------------------------------------


class _Minutes(NamedTuple):
    """The parts of consecutive minutes: four prices, three legs, and possibly one odd trade."""

    prices: tuple[Ints, Ints, Ints, Ints]  # open, first extreme, second extreme, close
    volumes: tuple[Ints, Ints, Ints]  # of one half of each leg's mirrored pairs, in steps
    trades: tuple[Ints, Ints, Ints]
    taker: tuple[Ints, Ints, Ints]
    odd: Ints  # 1: another trade of one step at the close, so that totals can be odd
    turns: tuple[Ints, Ints]  # the slots at which the second and the third leg begin


def _add_up(table: Ints, starts: Ints) -> Ints:
    """Aggregate the columns from each of ``starts`` up to the next one to a kline."""
    result = np.empty((9, len(starts)), dtype=np.int64)
    ends = np.append(starts[1:], table.shape[1]) - 1
    result[_O] = table[_O, starts]
    result[_H] = np.maximum.reduceat(table[_H], starts)
    result[_L] = np.minimum.reduceat(table[_L], starts)
    result[_C] = table[_C, ends]
    result[_V:] = np.add.reduceat(table[_V:], starts, axis=1)
    return result


class _Series:
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

    def _minutes(self, first: int, last: int) -> Ints:
        """Return the closed minutes ``first`` … ``last`` (numbered from the epoch)."""
        raise NotImplementedError

    def _partial(self, now_ms: int) -> Ints:
        """Return the forming minute at ``now_ms`` as one column."""
        raise NotImplementedError

    def _kline(self, open_ms: int, close_ms: int, column: list[int]) -> Kline:
        raise NotImplementedError


class TradeSeries(_Series):
    """Klines of the traded price, and the path of each minute."""

    def __init__(self, seed: int, symbol: ListedSymbol, volatility: float) -> None:
        super().__init__(symbol.onboard_ms)
        self._symbol = symbol
        self._volatility = volatility
        self.path = _PricePath(seed, symbol, volatility)
        self._shape_key = _key(seed, symbol.market, symbol.name, "shape")
        self._size_key = _key(seed, symbol.market, symbol.name, "size")
        self._walk_key = _key(seed, symbol.market, symbol.name, "walk")
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

    def offers(self, interval: Interval) -> bool:
        """Return whether the market has the interval; only spot has 1s, as on Binance."""
        return interval.name != "1s" or self._symbol.market == "spot"

    def _anatomy(self, first: int, last: int) -> _Minutes:
        price, busy = self.path.boundaries(first, last + 1)
        busy = busy[:-1]
        shape = _fields(_hashes(self._shape_key, first, last))
        size = _fields(_hashes(self._size_key, first, last))
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
        table[_O] = m.prices[0]
        table[_H] = np.maximum(m.prices[1], m.prices[2])
        table[_L] = np.minimum(m.prices[1], m.prices[2])
        table[_C] = m.prices[3]
        table[_V] = 2 * sum(m.volumes) + m.odd
        table[_Q] = (
            sum(w * pair for w, pair in zip(m.volumes, pairs, strict=True)) + m.odd * m.prices[3]
        )
        table[_N] = 2 * sum(m.trades) + m.odd
        table[_TV] = 2 * sum(m.taker)
        table[_TQ] = sum(w * pair for w, pair in zip(m.taker, pairs, strict=True))
        return table

    def _compute_walk(self, minute: int) -> Ints:
        """Return a minute's path by slots: rows price, trades, volume, taker volume."""
        m = self._anatomy(minute, minute)
        price = [int(p[0]) for p in m.prices]
        low, high = min(price), max(price)
        turn_one, turn_two = (int(turn[0]) for turn in m.turns)
        edges = (0, turn_one, turn_two, _SLOTS)
        walk = np.zeros((4, _SLOTS), dtype=np.int64)
        draws = _hashes(self._walk_key, minute * _SLOTS, minute * _SLOTS + _SLOTS - 1)
        shares, wander = _fields(draws)[:2].astype(np.int64)
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
        walk[1:3, _SLOTS - 1] += odd
        walk.setflags(write=False)
        return walk

    def _partial(self, now_ms: int) -> Ints:
        walk = self.walk(now_ms // MINUTE_MS)[:, : now_ms % MINUTE_MS // SLOT_MS + 1]
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
        known = min(max((now_ms - minute * MINUTE_MS) // SLOT_MS + 1, 0), _SLOTS)
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
        # The futures market prints a volume of zero as "0".
        bare = self._symbol.market == "um"
        return Kline(
            open_ms,
            fixed(column[_O] * tick, price),
            fixed(column[_H] * tick, price),
            fixed(column[_L] * tick, price),
            fixed(column[_C] * tick, price),
            "0" if bare and not column[_V] else fixed(column[_V] * step, volume),
            close_ms,
            "0" if bare and not column[_Q] else fixed(column[_Q] * worth, quote),
            column[_N],
            "0" if bare and not column[_TV] else fixed(column[_TV] * step, volume),
            "0" if bare and not column[_TQ] else fixed(column[_TQ] * worth, quote),
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


class MarkSeries(_Series):
    """Klines of the mark price: straight lines between smoothed prices at minute boundaries.

    Volumes are 0. The count is the number of seconds covered.
    """

    def __init__(self, trades: TradeSeries, symbol: ListedSymbol) -> None:
        super().__init__(symbol.onboard_ms)
        self._path = trades.path
        self._tick_units = int(Decimal(symbol.tick).scaleb(_MARK_DECIMALS))

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
        begin, end = self._boundaries(now_ms // MINUTE_MS, now_ms // MINUTE_MS + 1).tolist()
        return begin, begin + (end - begin) * (now_ms % MINUTE_MS) // MINUTE_MS

    @staticmethod
    def _as_table(opens: Ints, closes: Ints, count: int) -> Ints:
        table = np.zeros((9, len(opens)), dtype=np.int64)
        table[_O], table[_C] = opens, closes
        table[_H], table[_L] = np.maximum(opens, closes), np.minimum(opens, closes)
        table[_N] = count
        return table

    def price(self, now_ms: int) -> str:
        """Return the mark price at ``now_ms``."""
        return fixed(self._now(now_ms)[1], _MARK_DECIMALS)

    def _kline(self, open_ms: int, close_ms: int, column: list[int]) -> Kline:
        o, h, low, c = (fixed(column[row], _MARK_DECIMALS) for row in (_O, _H, _L, _C))
        return Kline(open_ms, o, h, low, c, "0", close_ms, "0", column[_N], "0", "0")


class GeneratedFeed:
    """The market data of one symbol of the generated market (a `PriceFeed`).

    Args:
        seed: The market's seed.
        symbol: The symbol.
        volatility_bps: Standard deviation of a minute's return, bps.
    """

    def __init__(self, seed: int, symbol: ListedSymbol, volatility_bps: float) -> None:
        self.symbol = symbol
        self.klines = TradeSeries(seed, symbol, volatility_bps / 10_000)
        self.marks = MarkSeries(self.klines, symbol)
        self._book_key = _key(seed, symbol.market, symbol.name, "book")

    def last_price(self, now_ms: int) -> str:
        """Return the last traded price at ``now_ms``."""
        walk = self.klines.walk(now_ms // MINUTE_MS)[:, : now_ms % MINUTE_MS // SLOT_MS + 1]
        return self._price(int(walk[0, np.flatnonzero(walk[1])[-1]]))

    def mark_price(self, now_ms: int) -> str:
        """Return the mark price at ``now_ms`` with eight decimals."""
        return self.marks.price(now_ms)

    def book(self, now_ms: int) -> BookTop:
        """Return the top of the book: one tick wide, the path's price is its bid or ask."""
        slot = now_ms // SLOT_MS
        walk = self.klines.walk(now_ms // MINUTE_MS)
        side, *draws = _fields(_hashes(self._book_key, slot, slot))[:3, 0].tolist()
        bid = max(int(walk[0, slot % _SLOTS]) - side % 2, 1)
        s = self.symbol
        sizes = [
            fixed((1 + draw * s.minute_trades // 65536) * s.step_units, s.volume_decimals)
            for draw in draws
        ]
        return BookTop(self._price(bid), sizes[0], self._price(bid + 1), sizes[1], slot)

    def trades(self, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """Return the aggregate trades with after_ms < time ≤ until_ms, one per slot and side."""
        minutes = range(after_ms // MINUTE_MS, until_ms // MINUTE_MS + 1)
        trades = (trade for minute in minutes for trade in self._minute_trades(minute))
        return [trade for trade in trades if after_ms < trade.at_ms <= until_ms]

    def _minute_trades(self, minute: int) -> list[MarketTrade]:
        trades: list[MarketTrade] = []
        next_id = trade_id(self.symbol, minute * MINUTE_MS)
        for slot, (price, count, volume, taker) in enumerate(self.klines.walk(minute).T.tolist()):
            at_ms = minute * MINUTE_MS + slot * SLOT_MS
            # A slot with taker buys and sells has two aggregate trades, if its count allows it.
            both = 0 < taker < volume and count > 1
            shares = (
                ((taker, False, 1), (volume - taker, True, count - 1))
                if both
                else (((volume, taker * 2 < volume, count),) if count else ())
            )
            for quantity, buyer_is_maker, parts in shares:
                text = fixed(quantity * self.symbol.step_units, self.symbol.volume_decimals)
                trades.append(
                    MarketTrade(
                        at_ms,
                        next_id,
                        next_id + parts - 1,
                        self._price(price),
                        text,
                        buyer_is_maker,
                    )
                )
                next_id += parts
        return trades

    def _price(self, ticks: int) -> str:
        return fixed(ticks * self.symbol.tick_units, self.symbol.price_decimals)


@lru_cache(maxsize=64)
def generated_feed(seed: int, symbol: ListedSymbol, volatility_bps: float) -> GeneratedFeed:
    """Return the market of a symbol; exchanges of one process share what it has computed.

    The months of a symbol's whole life take about a second of CPU time, once.

    Args:
        seed: of the deterministic market.
        symbol: the listed symbol.
        volatility_bps: standard deviation of a minute's return, bps.

    Returns:
        The feed. It never changes, so several event loops may use it.
    """
    return GeneratedFeed(seed, symbol, volatility_bps)


def trade_id(symbol: ListedSymbol, at_ms: int) -> int:
    """Return the id of the first trade of a minute; ids increase but are not contiguous."""
    return max(at_ms - symbol.onboard_ms, 0) // MINUTE_MS << 17


def funding_time_ms(now_ms: int) -> int:
    """Return the next funding time after ``now_ms``; funding is paid every eight hours."""
    third = DAY_MS // 3
    return (now_ms // third + 1) * third
