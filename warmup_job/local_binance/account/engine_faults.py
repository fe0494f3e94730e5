"""What faults can change in the matching engine."""

from __future__ import annotations

from typing import Protocol


class EngineFaults(Protocol):
    """Faults that the matching engine asks for."""

    def fill_pieces(self, symbol: str) -> int:
        """Return in how many fills an order is filled at least; 1: no fault changes that."""
        ...

    def rejects_trigger(self, symbol: str) -> bool:
        """Return whether the next triggered algo order of a symbol is rejected."""
        ...


class NoEngineFaults:
    """An engine without faults."""

    def fill_pieces(self, symbol: str) -> int:  # noqa: ARG002
        """Return 1."""
        return 1

    def rejects_trigger(self, symbol: str) -> bool:  # noqa: ARG002
        """Return False."""
        return False
