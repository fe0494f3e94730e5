"""What the page shows of each traded instrument: price, open orders, positions and bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from warmup_job.market.client_order_ids import ClientOrderParts, Purpose, parse_client_order_id
from warmup_job.market.times import NS_PER_MS

_MOST_ORDERS = 300
_MOST_BARS = 500

type ShownPurpose = Purpose | Literal["exit", "other"]
"""What an order is for. exit: it closes, and its id does not say how; other: it is not ours."""


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One open order."""

    id: str
    strategy: str
    purpose: ShownPurpose
    book: Literal["LONG", "SHORT"]
    """The position that it opens or closes."""
    side: Literal["BUY", "SELL"]
    price: Decimal | None
    """Its trigger or its limit; None: a market order."""
    quantity: Decimal
    """What is not filled yet, base currency."""
    lot: str
    """Names the lot that it closes: when its entry was made, UTC, and a count; empty: none."""
    is_cancelling: bool


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """One open position."""

    id: str
    strategy: str
    side: Literal["LONG", "SHORT"]
    quantity: Decimal
    """Base currency."""
    entry_price: float
    """The average."""
    unrealised: float | None
    """Quote currency, at the middle of bid and ask; None: there is no price."""


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """One traded instrument."""

    instrument_id: str
    base_currency: str
    quote_currency: str
    price_precision: int | None
    """Decimals of a price; None: the instrument is not loaded yet."""
    bid: Decimal | None
    ask: Decimal | None
    quote_ms: int | None
    """When the exchange sent the quote, UTC ms."""
    orders: tuple[OrderView, ...]
    """Open orders that the exchange has confirmed, the highest price first."""
    orders_left_out: int
    """How many open orders are not in the list."""
    positions: tuple[PositionView, ...]


class Markets:
    """Reads a running node's cache; it changes nothing.

    Args:
        cache: the node's.
        instrument_ids: what is traded.
        owns: returns whether this trader made the order with this id.
    """

    def __init__(
        self,
        cache: CacheFacade,
        instrument_ids: Collection[InstrumentId],
        owns: Callable[[str], bool],
    ) -> None:
        self._cache = cache
        self._instrument_ids = instrument_ids
        self._owns = owns

    def views(self) -> tuple[MarketView, ...]:
        """Return all traded instruments, by name."""
        return tuple(self._view(each) for each in sorted(self._instrument_ids))

    def bars(self, bar_type: str) -> list[tuple[int, float, float, float, float, float]]:
        """Return the newest bars that strategies have received, oldest first.

        Args:
            bar_type: as Nautilus names it.

        Returns:
            For each its close time (UTC ms), open, high, low, close and volume.
        """
        newest = self._cache.bars(BarType.from_str(bar_type))[:_MOST_BARS]
        return [
            (
                round(bar.ts_event / NS_PER_MS),
                bar.open.as_double(),
                bar.high.as_double(),
                bar.low.as_double(),
                bar.close.as_double(),
                bar.volume.as_double(),
            )
            for bar in reversed(newest)
        ]

    def _view(self, instrument_id: InstrumentId) -> MarketView:
        cache = self._cache
        instrument = cache.instrument(instrument_id)
        quote = cache.quote_tick(instrument_id)
        orders = cache.orders_open(instrument_id=instrument_id)
        middle = None
        if quote is not None:
            middle = (quote.bid_price.as_double() + quote.ask_price.as_double()) / 2
        base = None if instrument is None else instrument.get_base_currency()
        return MarketView(
            instrument_id=instrument_id.value,
            base_currency="" if base is None else base.code,
            quote_currency="" if instrument is None else instrument.quote_currency.code,
            price_precision=None if instrument is None else instrument.price_precision,
            bid=None if quote is None else quote.bid_price.as_decimal(),
            ask=None if quote is None else quote.ask_price.as_decimal(),
            quote_ms=None if quote is None else quote.ts_event // NS_PER_MS,
            orders=order_views(nearest_orders(orders, middle, _MOST_ORDERS), self._owns),
            orders_left_out=max(0, len(orders) - _MOST_ORDERS),
            positions=tuple(
                position_view(each, middle)
                for each in cache.positions_open(instrument_id=instrument_id)
            ),
        )


def nearest_orders(orders: Sequence[Order], price: float | None, most: int) -> Sequence[Order]:
    """Return at most ``most`` orders, those whose price or trigger is nearest to a price.

    Args:
        orders: open orders.
        price: the market's price; None: it is unknown, so the oldest orders are returned.
        most: how many.
    """
    if len(orders) <= most:
        return orders
    if price is None:
        return sorted(orders, key=lambda each: int(each.ts_init))[:most]

    def distance(order: Order) -> float:
        if order.has_price:
            return float(abs(order.price.as_double() - price))
        level = order.trigger_price if order.has_trigger_price else None
        return 0.0 if level is None else float(abs(level.as_double() - price))

    return sorted(orders, key=distance)[:most]


def order_views(orders: Iterable[Order], owns: Callable[[str], bool]) -> tuple[OrderView, ...]:
    """Return open orders as the page shows them, the highest price first.

    Args:
        orders: open orders.
        owns: returns whether this trader made the order with this id.
    """
    made = [order_view(order, owns) for order in orders]
    return tuple(sorted(made, key=lambda each: (each.price is None, -(each.price or 0), each.id)))


def order_view(order: Order, owns: Callable[[str], bool]) -> OrderView:
    """Return one open order as the page shows it; see `order_views`."""
    order_id = order.client_order_id.value
    parts = parse_client_order_id(order_id)
    purpose = _purpose(order, parts, is_own=owns(order_id))
    named = None if parts is None else parts.purpose
    closes = order.is_reduce_only or named not in {None, "entry"}
    price = order.trigger_price if order.has_trigger_price else None
    if price is None and order.has_price:
        price = order.price
    return OrderView(
        id=order_id,
        strategy=order.strategy_id.value,
        purpose=purpose,
        book="LONG" if order.is_buy != closes else "SHORT",
        side="BUY" if order.is_buy else "SELL",
        price=None if price is None else price.as_decimal(),
        quantity=order.leaves_qty.as_decimal(),
        lot=lot_name(parts.key) if parts and named in {"take_profit", "stop_loss"} else "",
        is_cancelling=order.is_pending_cancel,
    )


def position_view(position: Position, middle: float | None) -> PositionView:
    """Return one open position as the page shows it.

    Args:
        position: an open position.
        middle: of bid and ask; None: it is unknown.
    """
    held, entry = position.quantity.as_decimal(), float(position.avg_px_open)
    sign = 1 if position.is_long else -1
    gain = None if middle is None else sign * float(held) * (middle - entry)
    return PositionView(
        id=position.id.value,
        strategy=position.strategy_id.value,
        side="LONG" if position.is_long else "SHORT",
        quantity=held,
        entry_price=entry,
        unrealised=gain,
    )


def lot_name(key: str) -> str:
    """Return a short name of a lot: ``20261128-023305-…-12`` is ``02:33:05 #12``."""
    _, time, *_, count = key.split("-")
    return f"{time[:2]}:{time[2:4]}:{time[4:]} #{count}"


def _purpose(order: Order, parts: ClientOrderParts | None, *, is_own: bool) -> ShownPurpose:
    if not is_own:
        return "other"
    if parts is not None and parts.purpose is not None:
        return parts.purpose
    if not order.is_reduce_only:
        return "entry"
    return "stop_loss" if order.has_trigger_price else "exit"
