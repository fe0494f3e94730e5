"""What the exchange asks of a symbol's prices, whether they are generated or recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.market.interval import Interval
    from warmup_job.market.kline import Kline


class BookTop(NamedTuple):
    """The best bid and ask, prices and quantities as the exchange prints them."""

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
    """Klines of one symbol, as they stand at a moment: the newest is the forming one.

    ``now_ms`` is the exchange's time; a kline that opens after it does not exist yet.
    """

    def offers(self, interval: Interval) -> bool:
        """Whether klines of this interval are served."""
        ...

    def earliest(
        self, interval: Interval, from_ms: int, until_ms: int, count: int, now_ms: int
    ) -> list[Kline]:
        """The first ``count`` klines that open from ``from_ms`` to ``until_ms``, both included."""
        ...

    def latest(self, interval: Interval, until_ms: int, count: int, now_ms: int) -> list[Kline]:
        """The last ``count`` klines that open at ``until_ms`` or before."""
        ...


class PriceFeed(Protocol):
    """Everything that the exchange serves of one symbol."""

    @property
    def symbol(self) -> ListedSymbol:
        """The listing."""
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
        """The top of the book at ``now_ms``."""
        ...

    def trades(self, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """The aggregate trades with ``after_ms`` < time ≤ ``until_ms``, oldest first."""
        ...

    def last_price(self, now_ms: int) -> str:
        """The last traded price at ``now_ms``."""
        ...

    def mark_price(self, now_ms: int) -> str:
        """The mark price at ``now_ms``, eight decimals (futures)."""
        ...


def fixed(units: int, decimals: int) -> str:
    """``units`` (≥ 0) of the last decimal as plain text: ``fixed(1205, 2) == "12.05"``."""
    text = str(units)
    if decimals == 0:
        return text
    if len(text) <= decimals:
        text = text.zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"
