"""The request weight of a first run."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from warmup_job.market.pages import (
    BOUNDS_ROWS,
    TIME_WEIGHT,
    Market,
    exchange_info_weight,
    page_weight,
)
from warmup_job.plan.stream_pages import StreamPages
from warmup_job.plan.stream_plan import StreamPlan


class RequestWeights(msgspec.Struct, frozen=True):
    """Request weight of a first run, by the kind of request.

    The real number is higher where `auto` needs more pages than the first, and where rows are
    missing, since those are asked for twice.
    """

    time: int
    exchange_info: int
    klines: int
    bounds: int
    """Monthly klines for the lowest and highest price ever."""

    @property
    def total(self) -> int:
        """All kinds together."""
        return self.time + self.exchange_info + self.klines + self.bounds


def bounds_weight(market: Market, plan: StreamPlan) -> int:
    """Return the request weight of the monthly klines that a proof needs; 0: it needs none."""
    return page_weight(market, BOUNDS_ROWS[market]) if plan.needs_bounds else 0


def request_weights(market: Market, pages: Iterable[StreamPages]) -> RequestWeights:
    """Add up what a first run spends.

    Args:
        market: the venue's market.
        pages: the pages of every stream of the run.
    """
    streams = list(pages)
    symbols = len({each.plan.stream.symbol for each in streams})
    return RequestWeights(
        time=TIME_WEIGHT,
        exchange_info=exchange_info_weight(market, symbols),
        klines=sum(each.weight for each in streams),
        bounds=sum(bounds_weight(market, each.plan) for each in streams),
    )
