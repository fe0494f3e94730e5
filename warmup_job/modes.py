"""What a trader is told to be, and to do with open orders: the words of files and options."""

from __future__ import annotations

from typing import Literal

Mode = Literal["paper", "live"]
Orders = Literal["keep", "cancel_entries", "cancel_all"]
"""What becomes of open orders; entries are those that are not reduce-only."""
FirstBar = Literal["history", "on_bar"]
"""What a stream's newest bar is at the start if it closed more than a minute ago."""
Replay = Literal["none", "on_bar"]
"""How history reaches a strategy that updates itself in on_bar."""
