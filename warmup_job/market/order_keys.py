"""Keys of new client order ids, short enough for Binance's limit of 36 characters."""

from __future__ import annotations

from typing import Any, Protocol

_MOST_COUNT = 999  # an order id has at most 36 characters, three of them for an exit's number


class CountsOrderIds(Protocol):
    """What makes a strategy's order ids: Nautilus' order factory."""

    def get_client_order_id_count(self) -> int:
        """Return how many ids it has made."""

    def set_client_order_id_count(self, count: int) -> None:
        """Go on counting from there."""

    def generate_client_order_id(self) -> Any:  # noqa: ANN401  # Nautilus' ClientOrderId
        """Return the next id, which ends with its count."""


def new_order_key(factory: CountsOrderIds) -> str:
    """Return a new key of an order id: one of Nautilus' ids without its ``O-``.

    Its count has at most three digits, because an order id has at most 36 characters; the time in
    it, to the second, keeps it unique.

    Args:
        factory: of the strategy that sends the order.
    """
    if factory.get_client_order_id_count() >= _MOST_COUNT:
        factory.set_client_order_id_count(0)
    return str(factory.generate_client_order_id().value.removeprefix("O-"))
