"""The interface of a symbol's generated or recorded prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.market.interval import Interval
    from warmup_job.market.kline import Kline

SLOT_MS = 250
"""Time between two changes of a price; trades happen at the start of a slot."""
MARK_DECIMALS = 8
"""Decimals of a mark price."""


class BookTop(NamedTuple):
    """The best bid and ask as decimal text, as the exchange prints them."""

    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str
    update_id: int


class MarketTrade(NamedTuple):
    """One aggregate trade."""

    at_ms: int
    first_id: int
    last_id: int
    price: str
    quantity: str
    buyer_is_maker: bool


class KlineSource(Protocol):
    """A symbol's klines at the exchange's time ``now_ms``; the newest one is forming."""

    def offers(self, interval: Interval) -> bool:
        """Return whether it has klines of this interval."""
        ...

    def earliest(
        self, interval: Interval, from_ms: int, until_ms: int, count: int, now_ms: int
    ) -> list[Kline]:
        """Return the first ``count`` klines with from_ms ≤ open ≤ until_ms."""
        ...

    def latest(self, interval: Interval, until_ms: int, count: int, now_ms: int) -> list[Kline]:
        """Return the last ``count`` klines that open at ``until_ms`` or before."""
        ...


class PriceFeed(Protocol):
    """All market data of one symbol."""

    @property
    def symbol(self) -> ListedSymbol:
        """The symbol and its listing."""
        ...

    @property
    def klines(self) -> KlineSource:
        """Klines of the traded price."""
        ...

    @property
    def marks(self) -> KlineSource:
        """Klines of the mark price (futures)."""
        ...

    def book(self, now_ms: int) -> BookTop:
        """Return the top of the book at ``now_ms``."""
        ...

    def trades(self, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """Return the aggregate trades with ``after_ms`` < time ≤ ``until_ms``, oldest first."""
        ...

    def last_price(self, now_ms: int) -> str:
        """Return the last traded price at ``now_ms``."""
        ...

    def mark_price(self, now_ms: int) -> str:
        """Return the mark price at ``now_ms`` with eight decimals (futures)."""
        ...


def fixed(units: int, decimals: int) -> str:
    """Format ``units`` (≥ 0) of the last decimal: ``fixed(1205, 2) == "12.05"``."""
    text = str(units)
    if decimals == 0:
        return text
    if len(text) <= decimals:
        text = text.zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"
