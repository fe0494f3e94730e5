"""What tells first that a conditional order was accepted: the answer to its request, or its event.

Nautilus waits for the event alone, so an event that is lost would cost a repair of the account. It
must be told only once.
"""

from __future__ import annotations


class AlgoAcceptance:
    """Notes which orders were told as accepted, until the other message has come too."""

    def __init__(self) -> None:
        self._answered: set[str] = set()  # their event has not come yet
        self._announced: set[str] = set()  # their answer has not come yet

    def is_first_answer(self, order_id: str) -> bool:
        """Return whether no event has told that this order was accepted.

        Args:
            order_id: the client id of an order whose request has been answered.
        """
        if order_id in self._announced:
            self._announced.remove(order_id)
            return False
        self._answered.add(order_id)
        return True

    def is_first_event(self, order_id: str, *, is_asked: bool) -> bool:
        """Return whether no answer has told that this order was accepted.

        Args:
            order_id: the client id of an order that an event tells as new.
            is_asked: whether the answer to its request is still to come.
        """
        if order_id in self._answered:
            self._answered.remove(order_id)
            return False
        if is_asked:
            self._announced.add(order_id)
        return True
