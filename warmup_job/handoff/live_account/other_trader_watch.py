"""Notices another trader on the same account and symbols, and stops the one that started later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from loguru import logger
from msgspec.structs import replace

from warmup_job.binance.unknown_outcome import PLACED_WITHIN_S
from warmup_job.errors import LiveRefusedError, WarmupError
from warmup_job.handoff.live_account.other_traders import (
    OtherTrader,
    SeenOrder,
    other_traders,
    started_later,
)
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.reporting.report import OtherTraderReport
from warmup_job.market.client_order_ids import Purpose, parse_client_order_id
from warmup_job.market.times import utc_text

if TYPE_CHECKING:
    from warmup_job.binance.account_reader import AccountReader, AccountSnapshot, OpenOrder

_SHOWN = 3
_LATE_MS = int(PLACED_WITHIN_S * 1000)
_CLOCKS_MS = 1_000  # how far the clocks of two machines may differ while both trade


class OtherTraderWatch:
    """Looks at every reading of the account.

    Args:
        identity: of this trader.
        reader: reads the account's newest orders when another trader is noticed.
        is_sent: returns whether this run has sent the order with that id.
    """

    def __init__(
        self, identity: TraderIdentity, reader: AccountReader, is_sent: Callable[[str], bool]
    ) -> None:
        self._identity = identity
        self._reader = reader
        self._is_sent = is_sent
        self._since_ms: int | None = None
        self._before: frozenset[str] = frozenset()  # what was open at the first reading
        self._told: set[str] = set()
        self.noticed: tuple[OtherTraderReport, ...] = ()
        """The other traders that started later, as of the last reading."""

    def is_news(self, order_id: str) -> bool:
        """Return whether an order shows a trader that was not noticed yet."""
        parts = parse_client_order_id(order_id)
        if parts is None or self._since_ms is None or parts.tag in self._told:
            return False
        return order_id not in self._before and not self._is_sent(order_id)

    async def look(self, account: AccountSnapshot) -> None:
        """Look for orders of other traders; at the first reading no order of this run has left.

        Raises:
            LiveRefusedError: another trader trades too, and this one has started later.
        """
        if self._since_ms is None:
            self._since_ms, self._before = account.began_ms, frozenset(account.orders)
            problem = other_traders_problem(self._identity, account)
            if problem:
                raise LiveRefusedError(f"live trading is refused: {problem}")
        self._before |= self._late_orders(account, self._since_ms)
        orders = [
            _seen(order_id, order)
            for order_id, order in account.orders.items()
            if order_id not in self._before  # a triggered stop comes back as a younger order
        ]
        found = other_traders(orders, since_ms=self._since_ms, is_sent=self._is_sent)
        for other in found:
            if other.tag not in self._told:
                await self._decide(other, account)
        theirs = foreign_orders(self._identity, account)
        self.noticed = tuple(
            replace(each, open_orders=len(theirs.get(each.tag, ()))) for each in self.noticed
        )

    def _late_orders(self, account: AccountSnapshot, since_ms: int) -> frozenset[str]:
        """Return what an earlier run of this trader sent just before it was killed.

        Another trader on a copy of its state folder goes on sending, and is noticed by that, and at
        once by an order that was made after this run had begun.
        """
        began_ms = self._identity.began_ms
        found = []
        for order_id, order in account.orders.items():
            parts = parse_client_order_id(order_id)
            if parts is None or parts.tag == self._identity.tag:
                continue
            if began_ms is not None and (parts.made_ms or 0) > began_ms + _CLOCKS_MS:
                continue
            if self._identity.owns(order_id) and order.created_ms <= since_ms + _LATE_MS:
                found.append(order_id)
        return frozenset(found)

    async def _decide(self, other: OtherTrader, account: AccountSnapshot) -> None:
        """Stop this trader if it has started later than the other one.

        Raises:
            LiveRefusedError: it has.
        """
        try:
            newest = await self._reader.newest_orders()
        except WarmupError as error:
            logger.warning(
                "cannot read the newest orders ({error}); trying again",
                event="other_trader.orders_unreadable",
                error=error,
            )
            return
        self._told.add(other.tag)
        # Binance's history ends a week ago, and an open order may be older.
        history = [_seen(*each) for each in (*account.orders.items(), *newest)]
        first = other.orders[0]
        what = (
            f"another trader ({other.tag}) trades {first.symbol} with the same account: order "
            f"{first.order_id} of {utc_text(first.created_ms)} is not from this one "
            f"({self._identity.tag})"
        )
        if started_later(self._identity, other, history, self._is_sent):
            raise LiveRefusedError(
                f"{what}. This one started later and stops; its entries are cancelled, its exits "
                "stay. Run one trader per account and symbol"
            )
        stay = "its exits stay open"
        if self._identity.owns_tag(other.tag):  # it has a copy of this trader's folder
            stay += " and count as this one's"
        else:
            stay += (
                "; while one of them is, the next start of this one needs --take-over "
                "(WARMUP_TAKE_OVER=1)"
            )
        text = (
            f"{what}. This one started first and goes on: stop the other one if it does not stop "
            f"by itself. When it stops it cancels its entries, and {stay}"
        )
        logger.error("{_problem}", event="other_trader.noticed", _problem=text)
        self.noticed += (OtherTraderReport(tag=other.tag, text=text, open_orders=0),)


def other_traders_problem(identity: TraderIdentity, account: AccountSnapshot) -> str:
    """Return why live trading must not start beside open orders of other traders; empty: it may.

    Args:
        identity: of the trader that starts.
        account: the account before it has sent an order.
    """
    found = foreign_orders(identity, account)
    if not found:
        return ""
    tags = ", ".join(sorted(found))
    ids = [order_id for orders in found.values() for order_id in orders]
    symbols = ", ".join(sorted({account.orders[each].symbol for each in ids}))
    shown = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
    return (
        f"another trader ({tags}) has {len(ids)} open order(s) on {symbols} ({shown}): stop it, "
        "or, if it no longer runs, start once with --take-over (WARMUP_TAKE_OVER=1)"
    )


def foreign_orders(identity: TraderIdentity, account: AccountSnapshot) -> dict[str, list[str]]:
    """Return the ids of open orders that another trader has made, by its tag."""
    found: dict[str, list[str]] = {}
    for order_id in sorted(account.orders):
        parts = parse_client_order_id(order_id)
        if parts is not None and not identity.owns_tag(parts.tag):
            found.setdefault(parts.tag, []).append(order_id)
    return found


def _seen(order_id: str, order: OpenOrder) -> SeenOrder:
    return SeenOrder(order.symbol, order_id, order.created_ms, order.number)


def unowned_lines(identity: TraderIdentity, account: AccountSnapshot) -> Iterable[str]:
    """Yield a line for each order and position that no order id explains.

    Args:
        identity: of the trader that starts.
        account: the account before it has sent an order.
    """
    others = [each for each in sorted(account.orders) if parse_client_order_id(each) is None]
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        yield (
            f"{len(others)} open order(s) on the traded symbols are not from a trader ({shown}): "
            "they are left alone, and their fills change its positions"
        )
    for (symbol, side), quantity in sorted(account.positions.items()):
        covered: defaultdict[Purpose | None, Decimal] = defaultdict(Decimal)
        for order_id, order in account.orders.items():
            parts = parse_client_order_id(order_id)
            if parts is None or not identity.owns_tag(parts.tag):
                continue
            if (order.symbol, order.position_side) == (symbol, side):
                covered[parts.purpose] += order.quantity - order.filled
        known = max(covered["stop_loss"], covered["take_profit"])
        if known < abs(quantity):
            yield (
                f"{symbol} has a {side} position of {abs(quantity):f}; exits of this trader cover "
                f"{known:f} of it. HedgeGridV1 takes the rest over and sends exits for it"
            )
