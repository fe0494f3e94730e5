"""Judge how much request weight the exchange leaves in this minute. Pure."""

from __future__ import annotations

from warmup_job.doctor.finding import Finding, passed, skipped, warned


def judge_weight(used: int | None, *, limit: int, budget: int, needed: int) -> Finding:
    """Judge the request weight that is left for this IP in the present minute.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info

    Args:
        used: The exchange's own count of this minute, all programs behind this IP together; None:
            its answer does not have it.
        limit: The weight per minute that the venue file allows.
        budget: The share of it that one run may spend per minute.
        needed: What a first run spends in total.
    """
    if used is None:
        return skipped("weight", "the exchange's answer has no X-MBX-USED-WEIGHT-1M header")
    left = max(0, limit - used)
    seen = (
        f"{left} of {limit} left in this minute; a first run needs {needed} and may use {budget} "
        "per minute"
    )
    if left < min(needed, budget):
        return warned(
            "weight",
            f"{seen}; other programs behind this IP have used {used}: stop them, or lower "
            "warmup.budget_share, or expect a run to wait for the next minute",
        )
    return passed("weight", seen)
