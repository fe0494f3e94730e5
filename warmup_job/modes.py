"""What a trader is told to be, and to do with open orders: the words of files and options."""

from __future__ import annotations

from typing import Literal

Mode = Literal["paper", "live"]
Orders = Literal["keep", "cancel_entries", "cancel_all"]
"""What becomes of open orders; entries are those that are not reduce-only."""
