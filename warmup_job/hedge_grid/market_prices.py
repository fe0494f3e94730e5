"""Where the market is, as far as it is known: pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True)
class MarketPrices:
    """The best bid and ask, or the last close where quotes have stopped."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    close: Decimal | None = None
    _quoted: bool = False
    """Since the last bar."""

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        """The best bid and ask have changed."""
        self.bid, self.ask, self._quoted = bid, ask, True

    def bar(self, close: Decimal) -> None:
        """A bar has closed; where no quote came meanwhile, its close is newer than the last one."""
        self.close = close
        if not self._quoted:
            self.forget_quotes()
        self._quoted = False

    def forget_quotes(self) -> None:
        """What they were before a gap says nothing after it."""
        self.bid = self.ask = None
        self._quoted = False

    @property
    def mid(self) -> Decimal | None:
        """Between bid and ask; None: nothing has been heard yet."""
        if self.bid is None or self.ask is None:
            return self.close
        return (self.bid + self.ask) / 2
