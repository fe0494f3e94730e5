"""The prices of the futures market as the account reads them: Decimals at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from warmup_job.local_binance.account.order_filters import OrderFilters
from warmup_job.local_binance.account.order_matching import TopOfBook
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmup_job.local_binance.account.order_requests import WorkingType
    from warmup_job.local_binance.prices.price_feed import MarketTrade, PriceFeed
    from warmup_job.local_binance.prices.symbols import ListedSymbol


class MatchingPrices:
    """Prices, trades and filters by symbol. Times are the exchange's UTC ms.

    Args:
        feeds: The futures market's prices by symbol.
    """

    def __init__(self, feeds: Mapping[str, PriceFeed]) -> None:
        self._feeds = feeds
        self._filters = {name: OrderFilters.of(feed.symbol) for name, feed in feeds.items()}
        self._marks: dict[str, tuple[int, Decimal]] = {}

    def listed(self, name: str) -> ListedSymbol:
        """Return a symbol.

        Raises:
            ErrorAnswer: −1121, the market does not list it.
        """
        feed = self._feeds.get(name)
        if feed is None:
            raise error_answers.invalid_symbol()
        return feed.symbol

    def filters(self, name: str) -> OrderFilters:
        """Return the filters of a listed symbol."""
        return self._filters[name]

    def mark(self, name: str, at_ms: int) -> Decimal:
        """Return the mark price of a listed symbol."""
        known = self._marks.get(name)
        if known is None or known[0] != at_ms:
            known = self._marks[name] = (at_ms, Decimal(self._feeds[name].mark_price(at_ms)))
        return known[1]

    def last(self, name: str, at_ms: int) -> Decimal:
        """Return the last traded price of a listed symbol."""
        return Decimal(self._feeds[name].last_price(at_ms))

    def working(self, name: str, working_type: WorkingType, at_ms: int) -> Decimal:
        """Return the price that triggers algo orders of this working type."""
        return self.mark(name, at_ms) if working_type == "MARK_PRICE" else self.last(name, at_ms)

    def book(self, name: str, at_ms: int) -> TopOfBook:
        """Return the top of the book of a listed symbol."""
        return TopOfBook.of(self._feeds[name].book(at_ms))

    def trades(self, name: str, after_ms: int, until_ms: int) -> list[MarketTrade]:
        """Return the trades with ``after_ms`` < time ≤ ``until_ms``, oldest first."""
        return self._feeds[name].trades(after_ms, until_ms)
