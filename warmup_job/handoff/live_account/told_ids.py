"""Under which of its two ids Nautilus knows a conditional order, or will when it has caught up.

Binance gives an order that was triggered another id than the conditional order had. Nautilus
applies no event and no fill with an id other than the one it knows, unless an `OrderUpdated` has
told it the new one. It applies what it is told some steps of the loop later, so its cache alone
does not say what it knows.
"""

from __future__ import annotations

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.identifiers import ClientOrderId, VenueOrderId
from nautilus_trader.model.orders import Order


class ToldIds:
    """Notes the exchange's ids of orders, from when Nautilus is told them until its cache has them.

    Args:
        cache: Nautilus' cache.
    """

    def __init__(self, cache: CacheFacade) -> None:
        self._cache = cache
        self._told: dict[ClientOrderId, VenueOrderId] = {}

    def add(self, order_id: ClientOrderId, venue_order_id: VenueOrderId) -> None:
        """Note an id that Nautilus is told.

        Args:
            order_id: the order's client id.
            venue_order_id: the id at the exchange.
        """
        self._forget_what_is_known()
        self._told[order_id] = venue_order_id

    def of(self, order: Order) -> VenueOrderId | None:
        """Return an order's id at the exchange, as Nautilus was told it last; None: not yet."""
        return self._told.get(order.client_order_id, order.venue_order_id)

    @property
    def is_behind(self) -> bool:
        """Whether Nautilus has not yet applied all that it was told."""
        self._forget_what_is_known()
        return bool(self._told)

    def _forget_what_is_known(self) -> None:
        for order_id, told in list(self._told.items()):
            order = self._cache.order(order_id)
            known = None if order is None else order.venue_order_id
            if order is None or known == told or (known is None and order.is_closed):
                del self._told[order_id]
