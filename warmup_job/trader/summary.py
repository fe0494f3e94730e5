"""What a trader did, for people and for scripts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TradeSummary:
    """What a trader did, for people and for scripts."""

    mode: str
    warm_start: bool
    history_bars: int
    handed_on: int
    live_bars: int
    live_after_s: float | None
    """From the process' start; None: it never was."""
    regime: str
    """Of each strategy that has one, by commas."""
    orders: int
    fills: int
    positions_open: int
    stopped_by_signal: bool
    last_state: str
    """The state that it was in before it stopped, and why."""
