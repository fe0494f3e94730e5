"""What faults can change in the matching engine."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol


class TriggerFault(NamedTuple):
    """What goes wrong with an algo order when it is triggered."""

    kind: Literal["reject", "stick"]
    """``reject``: it is rejected; ``stick``: it creates no order and stays TRIGGERING."""
    late_ms: int | None = None
    """It sticks for so long and then creates its order after all; None: for ever."""


class EngineFaults(Protocol):
    """Faults that the matching engine asks for."""

    def fill_pieces(self, symbol: str) -> int:
        """Return in how many fills an order is filled at least; 1: no fault changes that."""
        ...

    def at_trigger(self, symbol: str) -> TriggerFault | None:
        """Return what goes wrong with an algo order of a symbol that is triggered now."""
        ...


class NoEngineFaults:
    """An engine without faults."""

    def fill_pieces(self, symbol: str) -> int:  # noqa: ARG002
        """Return 1."""
        return 1

    def at_trigger(self, symbol: str) -> TriggerFault | None:  # noqa: ARG002
        """Return None."""
        return None
