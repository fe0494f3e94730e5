"""What faults can change in the matching engine."""

from __future__ import annotations

from typing import Literal, Protocol

TriggerFault = Literal["", "reject", "stick"]
"""``reject``: the algo order is rejected; ``stick``: it creates no order and stays TRIGGERING."""


class EngineFaults(Protocol):
    """Faults that the matching engine asks for."""

    def fill_pieces(self, symbol: str) -> int:
        """Return in how many fills an order is filled at least; 1: no fault changes that."""
        ...

    def at_trigger(self, symbol: str) -> TriggerFault:
        """Return what goes wrong with an algo order of a symbol that is triggered now."""
        ...


class NoEngineFaults:
    """An engine without faults."""

    def fill_pieces(self, symbol: str) -> int:  # noqa: ARG002
        """Return 1."""
        return 1

    def at_trigger(self, symbol: str) -> TriggerFault:  # noqa: ARG002
        """Return an empty text."""
        return ""
