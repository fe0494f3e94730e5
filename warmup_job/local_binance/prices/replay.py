"""Serves recorded klines, digit for digit, as if they were live.

`warmup_job.market.recording` reads the files.

A recorded interval is served as recorded, with its gaps and early closes. Other intervals are
aggregates of recorded 1m klines; without these they do not exist (−1120). Rows after the exchange's
time are not served. The row at the exchange's time is forming: it follows a path through the final
row's four prices, with a part of its volume, so it differs from the final row if that has volume.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from warmup_job.errors import ConfigError
from warmup_job.local_binance.prices.price_feed import (
    MARK_DECIMALS,
    SLOT_MS,
    BookTop,
    MarketTrade,
    fixed,
)
from warmup_job.local_binance.prices.symbols import unlisted
from warmup_job.market.interval import SECOND_MS, Interval
from warmup_job.market.kline import Kline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.market.pages import Market
    from warmup_job.market.recording import Recording


class _Units(NamedTuple):
    """A kline as integers in units of the last decimal, so that sums are exact."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    taker: int
    taker_quote: int


class RecordedKlines:
    """The klines of one symbol's recordings, one recording per interval (a `KlineSource`)."""

    def __init__(self, symbol: ListedSymbol, recordings: Sequence[Recording]) -> None:
        self._symbol = symbol
        self._rows: dict[str, tuple[Kline, ...]] = {r.interval.name: r.rows for r in recordings}
        self._opens: dict[str, list[int]] = {
            name: [row.open_ms for row in rows] for name, rows in self._rows.items()
        }
        self._recorded = frozenset(self._rows)

    def offers(self, interval: Interval) -> bool:
        """Return whether the interval is recorded or can be aggregated from recorded minutes."""
        return interval.name in self._recorded or ("1m" in self._recorded and interval.name != "1s")

    def earliest(
        self, interval: Interval, from_ms: int, until_ms: int, count: int, now_ms: int
    ) -> list[Kline]:
        """Implement `KlineSource`."""
        opens = self._opens_of(interval)
        first = bisect_left(opens, from_ms)
        end = min(bisect_right(opens, min(until_ms, now_ms)), first + count)
        return self._slice(interval, first, end, now_ms)

    def latest(self, interval: Interval, until_ms: int, count: int, now_ms: int) -> list[Kline]:
        """Implement `KlineSource`."""
        end = bisect_right(self._opens_of(interval), min(until_ms, now_ms))
        return self._slice(interval, max(0, end - count), end, now_ms)

    def _slice(self, interval: Interval, first: int, end: int, now_ms: int) -> list[Kline]:
        rows = list(self._rows[interval.name][first:end])
        if rows and rows[-1].close_ms >= now_ms:
            rows[-1] = self._forming(interval, rows[-1], now_ms)
        return rows

    def _forming(self, interval: Interval, row: Kline, now_ms: int) -> Kline:
        if interval.name in self._recorded:
            parts = [self._partial(interval, row, now_ms)]
        else:
            minute = Interval.parse("1m")
            until_ms = min(now_ms, interval.close_ms(row.open_ms))
            opens = self._opens["1m"]
            within = self._slice(
                minute, bisect_left(opens, row.open_ms), bisect_right(opens, until_ms), now_ms
            )
            parts = [self._units(part) for part in within]
        return self._text(row.open_ms, interval.close_ms(row.open_ms), _joined(parts))

    def _partial(self, interval: Interval, row: Kline, now_ms: int) -> _Units:
        """Return the part of a row until ``now_ms``: three straight lines through its prices."""
        final = self._units(row)
        span, gone = interval.next(row.open_ms) - row.open_ms, now_ms - row.open_ms
        rising = final.close >= final.open
        turns = (final.low, final.high) if rising else (final.high, final.low)
        corners = (final.open, *turns, final.close)
        tick = self._symbol.tick_units
        leg, into = divmod(3 * gone, span)
        begin, end = corners[leg], corners[leg + 1]
        way = (end - begin) * into // span // tick * tick
        price = min(max(begin + way, min(begin, end)), max(begin, end))
        seen = (*corners[: leg + 1], price)
        high, low = max(seen), min(seen)

        # Less than the elapsed share, so that even in its last ms it differs from the final row.
        volume = final.volume * gone // (span + span // 100)
        trades = max(final.trades * gone // (span + span // 100), 1) if volume else 0
        taker = final.taker * volume // final.volume if volume else 0
        return _Units(
            final.open,
            high,
            low,
            price,
            volume,
            self._worth(final.quote * volume // final.volume if volume else 0, volume, low, high),
            trades,
            taker,
            self._worth(final.taker_quote * taker // final.taker if taker else 0, taker, low, high),
        )

    def _worth(self, quote: int, volume: int, low: int, high: int) -> int:
        """Limit ``quote`` to the value that ``volume`` can have between ``low`` and ``high``."""
        s = self._symbol
        shift: int = 10 ** (s.price_decimals + s.volume_decimals - s.quote_decimals)
        return min(max(quote, -(-volume * low // shift)), volume * high // shift)

    def _opens_of(self, interval: Interval) -> list[int]:
        if interval.name not in self._rows:
            rows = tuple(self._added_up(interval))
            # Opens first, because another thread that finds the rows reads their opens.
            self._opens[interval.name] = [row.open_ms for row in rows]
            self._rows[interval.name] = rows
        return self._opens[interval.name]

    def _added_up(self, interval: Interval) -> Iterable[Kline]:
        """Aggregate all recorded minutes to klines of ``interval``."""
        minute = Interval.parse("1m")
        bucket: list[Kline] = []
        bucket_open = -1
        for row in self._rows["1m"]:
            if not bucket or row.open_ms >= interval.next(bucket_open):
                if bucket:
                    yield self._bucket(interval, minute, bucket_open, bucket)
                bucket_open, bucket = interval.floor(row.open_ms), []
            bucket.append(row)
        yield self._bucket(interval, minute, bucket_open, bucket)

    def _bucket(
        self, interval: Interval, minute: Interval, open_ms: int, rows: Sequence[Kline]
    ) -> Kline:
        # A row that an outage interrupts closes early, as in Binance's own 15m and 1h rows.
        last = rows[-1]
        early = last.close_ms < minute.close_ms(last.open_ms)
        close_ms = last.close_ms if early else interval.close_ms(open_ms)
        return self._text(open_ms, close_ms, _joined([self._units(row) for row in rows]))

    def _units(self, row: Kline) -> _Units:
        s = self._symbol
        price, volume, quote = s.price_decimals, s.volume_decimals, s.quote_decimals
        return _Units(
            _in_units(row.open, price),
            _in_units(row.high, price),
            _in_units(row.low, price),
            _in_units(row.close, price),
            _in_units(row.volume, volume),
            _in_units(row.quote_volume, quote),
            row.trades,
            _in_units(row.taker_base, volume),
            _in_units(row.taker_quote, quote),
        )

    def _text(self, open_ms: int, close_ms: int, units: _Units) -> Kline:
        s = self._symbol

        def amount(value: int, decimals: int) -> str:
            return "0" if not value and s.market == "um" else fixed(value, decimals)

        return Kline(
            open_ms,
            fixed(units.open, s.price_decimals),
            fixed(units.high, s.price_decimals),
            fixed(units.low, s.price_decimals),
            fixed(units.close, s.price_decimals),
            amount(units.volume, s.volume_decimals),
            close_ms,
            amount(units.quote, s.quote_decimals),
            units.trades,
            amount(units.taker, s.volume_decimals),
            amount(units.taker_quote, s.quote_decimals),
        )


def _joined(parts: Sequence[_Units]) -> _Units:
    return _Units(
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        sum(part.volume for part in parts),
        sum(part.quote for part in parts),
        sum(part.trades for part in parts),
        sum(part.taker for part in parts),
        sum(part.taker_quote for part in parts),
    )


def _in_units(text: str, decimals: int) -> int:
    whole, _, rest = text.partition(".")
    return int(whole + rest.ljust(decimals, "0"))


class _RecordedMarkPrices:
    """Mark price klines of a recording: its traded prices with eight decimals, without volume."""

    def __init__(self, klines: RecordedKlines) -> None:
        self._klines = klines

    def offers(self, interval: Interval) -> bool:
        """Return whether the recording has this interval."""
        return self._klines.offers(interval)

    def earliest(
        self, interval: Interval, from_ms: int, until_ms: int, count: int, now_ms: int
    ) -> list[Kline]:
        """Implement `KlineSource`."""
        rows = self._klines.earliest(interval, from_ms, until_ms, count, now_ms)
        return [_as_mark(row, now_ms) for row in rows]

    def latest(self, interval: Interval, until_ms: int, count: int, now_ms: int) -> list[Kline]:
        """Implement `KlineSource`."""
        return [
            _as_mark(row, now_ms) for row in self._klines.latest(interval, until_ms, count, now_ms)
        ]


def _eight_decimals(price: str) -> str:
    whole, _, rest = price.partition(".")
    return f"{whole}.{rest:0<{MARK_DECIMALS}}"


def _as_mark(row: Kline, now_ms: int) -> Kline:
    o, h, low, c = (_eight_decimals(price) for price in row[1:5])
    seconds = (min(now_ms, row.close_ms) - row.open_ms) // SECOND_MS + 1
    return Kline(row.open_ms, o, h, low, c, "0", row.close_ms, "0", seconds, "0", "0")


class RecordedFeed:
    """The market data of one symbol's recordings, one recording per interval (a `PriceFeed`)."""

    def __init__(self, symbol: ListedSymbol, recordings: Sequence[Recording]) -> None:
        self.symbol = symbol
        self.klines = RecordedKlines(symbol, recordings)
        self.marks = _RecordedMarkPrices(self.klines)
        finest = min(recordings, key=lambda r: r.interval.length_ms or 1 << 62)
        self._interval = finest.interval
        self._first = finest.rows[0]

    def last_price(self, now_ms: int) -> str:
        """Return the last traded price at ``now_ms``; before the recording, its first price."""
        rows = self.klines.latest(self._interval, now_ms, 1, now_ms)
        return rows[-1].close if rows else self._first.open

    def mark_price(self, now_ms: int) -> str:
        """Return the last price with eight decimals."""
        return _eight_decimals(self.last_price(now_ms))

    def book(self, now_ms: int) -> BookTop:
        """Return a book with a one-tick spread whose bid is the last price."""
        s = self.symbol
        bid = self.last_price(now_ms)
        ask = fixed(_in_units(bid, s.price_decimals) + s.tick_units, s.price_decimals)
        size = fixed(100 * s.step_units, s.volume_decimals)
        return BookTop(bid, size, ask, size, now_ms // SLOT_MS)

    def trades(self, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """Return one trade for each 250 ms in which the forming kline's volume has grown."""
        trades: list[MarketTrade] = []
        for slot in range(after_ms // SLOT_MS + 1, until_ms // SLOT_MS + 1):
            trade = self._trade(slot * SLOT_MS)
            if trade is not None:
                trades.append(trade)
        return trades

    def _trade(self, at_ms: int) -> MarketTrade | None:
        now = self.klines.latest(self._interval, at_ms, 1, at_ms)
        if not now or now[0].close_ms < at_ms:
            return None
        s = self.symbol
        before = self.klines.latest(self._interval, at_ms, 1, at_ms - SLOT_MS)
        same = bool(before) and before[0].open_ms == now[0].open_ms
        grown = _in_units(now[0].volume, s.volume_decimals)
        if same:
            grown -= _in_units(before[0].volume, s.volume_decimals)
        if grown <= 0:
            return None
        trade_id = at_ms // SLOT_MS
        quantity = fixed(grown, s.volume_decimals)
        return MarketTrade(at_ms, trade_id, trade_id, now[0].close, quantity, bool(trade_id % 2))


def recorded_feeds(
    recordings: Sequence[Recording], listed: Sequence[ListedSymbol]
) -> list[RecordedFeed]:
    """Return a feed for each recorded symbol; an unlisted symbol gets a listing by its decimals.

    Raises:
        ConfigError: A symbol has two recordings of one interval, or no listing can be made.
    """
    by_name: dict[tuple[Market, str], list[Recording]] = {}
    for recording in recordings:
        same = by_name.setdefault((recording.market, recording.symbol), [])
        if any(other.interval == recording.interval for other in same):
            raise ConfigError(
                f"{recording.symbol} {recording.interval.name} has two recordings; remove one."
            )
        same.append(recording)
    symbols = {(symbol.market, symbol.name): symbol for symbol in listed}
    return [
        RecordedFeed(symbols.get(key) or _listing_of(group[0]), group)
        for key, group in by_name.items()
    ]


def _listing_of(recording: Recording) -> ListedSymbol:
    def decimals(texts: Iterable[str]) -> int:
        return max(len(text.partition(".")[2]) for text in texts)

    return unlisted(
        recording.market,
        recording.symbol,
        decimals(row.close for row in recording.rows),
        decimals(row.volume for row in recording.rows),
    )
