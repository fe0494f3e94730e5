"""How far a run is: bars fetched, bars left, and about how long the rest takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from warmup_job.market.times import duration_text
from warmup_job.plan.remaining_time import remaining_s
from warmup_job.plan.request_weights import request_weights
from warmup_job.plan.stream_pages import pages_at
from warmup_job.plan.warmup_plan import WarmupPlan

if TYPE_CHECKING:
    from warmup_job.binance.weight_budget import WeightBudget


class RunProgress:
    """Counts the bars of a run as they arrive.

    Args:
        plan: What the run fetches. `auto` can need more bars than it begins with.
    """

    def __init__(self, plan: WarmupPlan) -> None:
        now_ms = time.time_ns() // 1_000_000
        pages = [pages_at(each, plan.venue.market, now_ms) for each in plan.streams]
        self.total = sum(each.bars for each in plan.streams)
        self.fetched = 0
        self._pages = sum(len(each.pages) for each in pages)
        self._weight = request_weights(plan.venue.market, pages).total
        self._budget: WeightBudget | None = None

    def begin(self, budget: WeightBudget) -> None:
        """Take the budget of the client that fetches."""
        self._budget = budget

    def add(self, rows: int) -> None:
        """Count bars that have arrived, or that are reused."""
        self.fetched += rows

    def left_text(self) -> str:
        """Return about how long the rest takes, and what it waits for; empty: unknown."""
        if self._budget is None:
            return ""
        budget, share = self._budget, max(0.0, 1 - self.fetched / max(1, self.total))
        left_s = remaining_s(
            weight=self._weight * share, pages=self._pages * share, room=budget.room,
            budget=budget.limit, minute_left_s=budget.minute_left_s,
        )  # fmt: skip
        if not share:
            return "checking them"
        waits = ""
        if budget.waiting:
            waits = (
                f"; this minute's weight is used up, the next one begins in "
                f"{budget.minute_left_s:.0f} s"
            )
        return f"about {duration_text(max(1, round(left_s)) * 1000)} left{waits}"

    @property
    def spent(self) -> int:
        """Request weight that was used so far."""
        return 0 if self._budget is None else self._budget.spent

    def line(self) -> str:
        """Return how far the run is, in one line for the log."""
        percent = min(100, 100 * self.fetched // max(1, self.total))
        left = self.left_text()
        return (
            f"fetched {self.fetched} of {self.total} bars ({percent} %) with weight {self.spent}"
            f"{', ' if left else ''}{left}"
        )
