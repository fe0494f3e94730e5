"""How far a flatten is, and what it has closed."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class ClosedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position that a flatten has closed."""

    position: str
    """Its id, such as ``BTCUSDT-PERP.BINANCE-LONG``."""
    quantity: Decimal
    """Base currency."""
    price: Decimal | None = None
    """The average price of its closing orders; None: the trader has seen no fill."""

    def text(self) -> str:
        """Return it for a person."""
        price = "" if self.price is None else f" at {self.price}"
        return f"closed {self.quantity} of {self.position}{price}"


class FlatReport(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a flatten."""

    flat: bool
    """Whether the exchange reports no position of the traded instruments, and no entry is open."""
    closed: tuple[ClosedPosition, ...] = ()
    why_not: str = ""
    """Why it is not flat; empty: it is."""
    orders_left: int = 0
    """Exits whose cancel was not confirmed."""

    def lines(self, *, is_past: bool = False) -> tuple[str, ...]:
        """Return it for a person: what was closed, and that the exchange is flat or why not.

        Args:
            is_past: whether the operator has resumed since, so that there may be positions again.
        """
        if not self.flat:
            return (f"not flat: {self.why_not}",)
        left = f"; {self.orders_left} exit(s) are still being cancelled" if self.orders_left else ""
        end = f"flat: the exchange reports no position{left}; the trader stays paused"
        if is_past:
            end = f"flat then: the exchange reported no position{left}; resumed since"
        return (*(each.text() for each in self.closed), end)


class FlattenReport(msgspec.Struct, frozen=True, kw_only=True):
    """The newest flatten of this process."""

    since_ms: int
    """When the operator asked for it, UTC ms by this machine's clock."""
    step: str = ""
    """What it does at present, or did last."""
    end: FlatReport | None = None
    """None: it is under way."""
