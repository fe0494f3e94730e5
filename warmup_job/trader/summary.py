"""The summary that the trader prints at its end."""

from __future__ import annotations

import msgspec


class TradeSummary(msgspec.Struct, frozen=True):
    """What a trader did, for people and for scripts."""

    mode: str
    warm_start: bool
    history_bars: int
    handed_on: int
    live_bars: int
    live_after_s: float | None
    """Seconds from the process' start until trading was live; None: it never was."""
    regime: str
    """Regimes of the strategies that have one, separated by commas."""
    orders: int
    fills: int
    positions_open: int
    stopped_by_signal: bool
    entries_left: int
    """Entries that are still open although `trade.on_stop` cancels them."""
    last_state: str
    """State before the stop, and the reason for it."""
