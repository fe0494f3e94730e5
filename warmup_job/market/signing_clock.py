"""How far off a clock may be that signs orders. Pure."""

from __future__ import annotations

AHEAD_MS, BEHIND_MS = 1_000, 5_000
"""The window in which Binance accepts the timestamp of an order.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""


def clock_problem(offset_ms: int) -> str:
    """Return why orders are refused with a clock that is off by this much; empty: they are not.

    Args:
        offset_ms: this machine's time minus the exchange's.
    """
    if -BEHIND_MS <= offset_ms <= AHEAD_MS:
        return ""
    where = "ahead of" if offset_ms > 0 else "behind"
    return (
        f"this machine's clock is {abs(offset_ms) / 1000:.1f} s {where} the exchange's, which "
        f"refuses orders above +{AHEAD_MS // 1000} s and below −{BEHIND_MS // 1000} s: synchronize "
        "it by NTP"
    )
