"""The generated market: deterministic for a seed, with random access to any time.

Nothing is stored: everything about a minute follows from hashes of its number (`hashed_numbers`).
`price_path` gives the price at each minute boundary, `trade_series` the minutes and the path within
each, `mark_series` the mark price. `minute_series` aggregates minutes to klines of every interval.

Prices are integers in ticks, volumes integers in steps. The code uses only +, ×, floor and
comparisons of IEEE doubles, no exp or log, so a seed gives the same market on every machine.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from warmup_job.local_binance.prices.hashed_numbers import four_draws, stream_key
from warmup_job.local_binance.prices.mark_series import MarkSeries
from warmup_job.local_binance.prices.price_feed import SLOT_MS, BookTop, MarketTrade, fixed
from warmup_job.local_binance.prices.trade_series import SLOTS_PER_MINUTE, TradeSeries
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol

_trade_ms = attrgetter("at_ms")


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
        self.marks = MarkSeries(self.klines.path, symbol)
        self._book_key = stream_key(seed, symbol.market, symbol.name, "book")
        self._minute_trades = lru_cache(maxsize=8)(self._compute_minute_trades)

    def last_price(self, now_ms: int) -> str:
        """Return the last traded price at ``now_ms``."""
        walk = self.klines.walk_until(now_ms)
        return self._price(int(walk[0, np.flatnonzero(walk[1])[-1]]))

    def mark_price(self, now_ms: int) -> str:
        """Return the mark price at ``now_ms`` with eight decimals."""
        return self.marks.price(now_ms)

    def book(self, now_ms: int) -> BookTop:
        """Return the top of the book: one tick wide, the path's price is its bid or ask."""
        slot = now_ms // SLOT_MS
        walk = self.klines.walk(now_ms // MINUTE_MS)
        side, *draws = four_draws(self._book_key, slot, slot)[:3, 0].tolist()
        bid = max(int(walk[0, slot % SLOTS_PER_MINUTE]) - side % 2, 1)
        s = self.symbol
        sizes = [
            fixed((1 + draw * s.minute_trades // 65536) * s.step_units, s.volume_decimals)
            for draw in draws
        ]
        return BookTop(self._price(bid), sizes[0], self._price(bid + 1), sizes[1], slot)

    def trades(self, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """Return the aggregate trades with after_ms < time ≤ until_ms, one per slot and side."""
        trades: list[MarketTrade] = []
        for minute in range(after_ms // MINUTE_MS, until_ms // MINUTE_MS + 1):
            in_minute = self._minute_trades(minute)
            first = bisect_right(in_minute, after_ms, key=_trade_ms)
            trades += in_minute[first : bisect_right(in_minute, until_ms, key=_trade_ms)]
        return trades

    def _compute_minute_trades(self, minute: int) -> list[MarketTrade]:
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
        seed: The market's seed.
        symbol: The symbol.
        volatility_bps: Standard deviation of a minute's return, bps.

    Returns:
        The feed. It never changes, so several event loops may use it.
    """
    return GeneratedFeed(seed, symbol, volatility_bps)


def trade_id(symbol: ListedSymbol, at_ms: int) -> int:
    """Return the id of the first trade of a minute; ids increase but are not contiguous."""
    return max(at_ms - symbol.onboard_ms, 0) // MINUTE_MS << 17
