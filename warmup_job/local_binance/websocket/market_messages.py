"""The messages of the market's streams: klines, top of the book, trades and mark prices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.local_binance.faults.distortion import book_with_decimals
from warmup_job.local_binance.prices.generated_market import trade_id
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.market.interval import Interval

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import PriceFeed
    from warmup_job.market.kline import Kline
    from warmup_job.market.pages import Market


class Message(NamedTuple):
    """A message of a stream."""

    text: str
    closes: bool = False
    """Whether it announces a closed kline."""


class MarketMessages:
    """Makes the messages of each stream of the market.

    Args:
        feeds: The listed symbols' prices, by market and name.
        clock: The exchange's clock.
        kline_ms: Time between two updates of a forming kline.
        faults: The fault that changes a symbol's tick.
        funding: Funding rates and times.
    """

    def __init__(
        self,
        feeds: Mapping[tuple[Market, str], PriceFeed],
        clock: ExchangeClock,
        kline_ms: int,
        faults: FaultBoard,
        funding: FundingSchedule,
    ) -> None:
        self._feeds = feeds
        self._clock = clock
        self._kline_ms = kline_ms
        self._faults = faults
        self._funding = funding

    def of(self, market: Market, stream: str) -> AsyncIterator[Message] | None:
        """Return the messages of a stream from now on, or None if the stream does not exist."""
        name, _, kind = stream.partition("@")
        feed = self._feeds.get((market, name.upper()))
        if feed is None or name != name.lower():
            return None
        if kind.startswith("kline_"):
            try:
                interval = Interval.parse(kind.removeprefix("kline_"))
            except ConfigError:
                return None
            return self._kline_messages(feed, interval) if feed.klines.offers(interval) else None
        if kind == "bookTicker":
            return self._book_messages(feed)
        if kind == "aggTrade":
            return self._trade_messages(feed)
        if market == "um" and (match := re.fullmatch("markPrice(@1s)?", kind)):
            return self._mark_messages(feed, 1000 if match[1] else 3000)
        return None

    async def _kline_messages(self, feed: PriceFeed, interval: Interval) -> AsyncIterator[Message]:
        """Yield updates of the forming kline, and each kline once when it has closed."""

        def kline_at(open_ms: int, now_ms: int) -> Kline | None:
            rows = feed.klines.latest(interval, open_ms, 1, now_ms)
            # A recording may have a gap there; then nothing is sent.
            return rows[0] if rows and rows[0].open_ms == open_ms else None

        now_ms = self._clock.now_ms()
        boundary_ms = interval.next(interval.floor(now_ms))
        update_ms = now_ms
        while True:
            await self._clock.sleep_until(min(update_ms, boundary_ms))
            now_ms = self._clock.now_ms()
            # If the clock was set back, updates continue, but no kline closes again.
            update_ms = min(update_ms, now_ms + self._kline_ms)
            while boundary_ms <= now_ms:
                closed = kline_at(interval.shift(boundary_ms, -1), now_ms)
                if closed is not None:
                    yield _kline_message(feed, interval, closed, now_ms, closed=True)
                boundary_ms = interval.next(boundary_ms)
            if update_ms <= now_ms:
                forming = kline_at(interval.floor(now_ms), now_ms)
                # A recorded row may close early; it is announced as closed at the boundary.
                if forming is not None and forming.close_ms >= now_ms:
                    yield _kline_message(feed, interval, forming, now_ms, closed=False)
                update_ms = now_ms + self._kline_ms

    async def _book_messages(self, feed: PriceFeed) -> AsyncIterator[Message]:
        """Yield the top of the book when it has changed, checked every `SLOT_MS`."""
        last: tuple[str, ...] = ()
        while True:
            now_ms = self._clock.now_ms()
            book = feed.book(now_ms)
            if changed := self._faults.tick_and_step(feed.symbol.name):
                book = book_with_decimals(book, changed)
            if book[:4] != last:
                last = book[:4]
                event: dict[str, Any] = {
                    "u": book.update_id,
                    "s": feed.symbol.name,
                    "b": book.bid,
                    "B": book.bid_quantity,
                    "a": book.ask,
                    "A": book.ask_quantity,
                }
                if feed.symbol.market == "um":
                    event = {"e": "bookTicker", **event, "T": now_ms, "E": now_ms}
                yield Message(to_json(event))
            await self._clock.sleep_until((now_ms // SLOT_MS + 1) * SLOT_MS)

    async def _trade_messages(self, feed: PriceFeed) -> AsyncIterator[Message]:
        seen_ms = self._clock.now_ms()
        while True:
            await self._clock.sleep_until((seen_ms // SLOT_MS + 1) * SLOT_MS)
            now_ms = self._clock.now_ms()
            if now_ms <= seen_ms:
                continue  # the clock was set back, and these trades were sent already
            for trade in feed.trades(seen_ms, now_ms):
                event: dict[str, Any] = {
                    "e": "aggTrade",
                    "E": now_ms,
                    "a": trade.first_id,
                    "s": feed.symbol.name,
                    "p": trade.price,
                    "q": trade.quantity,
                    "f": trade.first_id,
                    "l": trade.last_id,
                    "T": trade.at_ms,
                    "m": trade.buyer_is_maker,
                }
                if feed.symbol.market == "spot":
                    event["M"] = True
                yield Message(to_json(event))
            seen_ms = now_ms

    async def _mark_messages(self, feed: PriceFeed, every_ms: int) -> AsyncIterator[Message]:
        while True:
            now_ms = self._clock.now_ms()
            mark = feed.mark_price(now_ms)
            event = to_json(
                {
                    "e": "markPriceUpdate",
                    "E": now_ms,
                    "s": feed.symbol.name,
                    "p": mark,
                    "i": mark,
                    "P": mark,
                    "r": f"{self._funding.terms(feed.symbol.name, now_ms).rate:.8f}",
                    "T": self._funding.next_ms(feed.symbol.name, now_ms),
                }
            )
            yield Message(event)
            await self._clock.sleep_until((now_ms // every_ms + 1) * every_ms)


def _kline_message(
    feed: PriceFeed, interval: Interval, row: Kline, now_ms: int, *, closed: bool
) -> Message:
    first_id = trade_id(feed.symbol, row.open_ms) if row.trades else -1
    event = to_json(
        {
            "e": "kline",
            "E": now_ms,
            "s": feed.symbol.name,
            "k": {
                "t": row.open_ms,
                "T": row.close_ms,
                "s": feed.symbol.name,
                "i": interval.name,
                "f": first_id,
                "L": first_id + row.trades - 1 if row.trades else -1,
                "o": row.open,
                "c": row.close,
                "h": row.high,
                "l": row.low,
                "v": row.volume,
                "n": row.trades,
                "x": closed,
                "q": row.quote_volume,
                "V": row.taker_base,
                "Q": row.taker_quote,
                "B": "0",
            },
        }
    )
    return Message(event, closes=closed)


def to_json(value: object) -> str:
    """Return the value as JSON text."""
    return msgspec.json.encode(value).decode()
