"""The newest known prices of the market. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class MarketPrices(msgspec.Struct):
    """The best bid and ask, and the last close for when quotes have stopped."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    close: Decimal | None = None
    _quoted: bool = False
    """Whether a quote has arrived since the last bar."""

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        """Store a new best bid and ask."""
        self.bid, self.ask, self._quoted = bid, ask, True

    def bar(self, close: Decimal) -> None:
        """Store a bar's close, and drop quotes that are older than the previous bar."""
        self.close = close
        if not self._quoted:
            self.bid = self.ask = None
        self._quoted = False

    def forget(self) -> None:
        """Drop all prices, because they are out of date after a gap."""
        self.bid = self.ask = self.close = None
        self._quoted = False

    @property
    def mid(self) -> Decimal | None:
        """The middle of bid and ask, else the last close, else None."""
        if self.bid is None or self.ask is None:
            return self.close
        return (self.bid + self.ask) / 2
