"""The requests that a stream takes at a given time."""

from __future__ import annotations

import msgspec

from warmup_job.market.pages import Market, Page, plan_pages
from warmup_job.plan.remaining_time import remaining_s
from warmup_job.plan.stream_plan import StreamPlan


class StreamPages(msgspec.Struct, frozen=True):
    """The kline pages of one stream, up to the newest kline that is closed at a given time."""

    plan: StreamPlan
    last_open_ms: int
    """Open of the newest closed kline, UTC ms."""
    pages: tuple[Page, ...]

    @property
    def weight(self) -> int:
        """Request weight of the pages."""
        return sum(page.weight for page in self.pages)

    @property
    def first_open_ms(self) -> int:
        """Open of the oldest kline that is asked for, UTC ms."""
        return self.pages[0].start_ms or 0

    def seconds(self, weight_budget: int) -> float:
        """Estimate how long the pages take alone, 100 ms away from Binance, in seconds.

        Args:
            weight_budget: request weight that may be spent per minute.
        """
        return remaining_s(
            weight=self.weight, pages=len(self.pages), room=weight_budget, budget=weight_budget,
            minute_left_s=60.0,
        )  # fmt: skip


def pages_at(plan: StreamPlan, market: Market, until_ms: int) -> StreamPages:
    """Compute the pages of one stream.

    Args:
        plan: the stream.
        market: the venue's market; it decides on the size of a page.
        until_ms: klines that closed by then count, UTC ms.
    """
    last_open_ms = plan.stream.interval.last_closed(until_ms)
    pages = plan_pages(market, plan.stream.interval, plan.bars, last_open_ms)
    return StreamPages(plan, last_open_ms, pages)
