"""The words that files and options use for the trader's modes and policies."""

from __future__ import annotations

from typing import Literal

Mode = Literal["paper", "live"]
Orders = Literal["keep", "cancel_entries", "cancel_all"]
"""What to do with open orders; ``cancel_entries`` cancels those that are not reduce-only."""
FirstBar = Literal["history", "on_bar"]
"""Where a stream's newest bar goes at the start if it closed more than a minute ago."""
Replay = Literal["none", "on_bar"]
"""Whether history is replayed through on_bar to strategies that receive it in no other way."""
OperatorState = Literal["trading", "paused", "flattening"]
"""What the operator wants: orders, exits only, or no position at all."""
