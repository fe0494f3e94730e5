"""What tests of a job and a trader that start together have in common."""

from __future__ import annotations

from tests.support.exchange import Exchange

WINDOW = "499"
"""The bars of a whole window of the repository's strategy file."""


def windows(running: Exchange) -> int:
    """Return how often a whole window was fetched."""
    return sum(each["params"]["limit"] == WINDOW for each in running.klines())
