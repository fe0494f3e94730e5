"""Tell the strategies how often their contracts pay funding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import WarmupError
from warmup_job.handoff.strategy_features import UsesFundingIntervals

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_DEADLINE_MS = 30_000
_AGAIN_S = 300.0


async def tell_funding_hours(client: BinanceClient, strategies: Iterable[Strategy]) -> None:
    """Read the funding intervals once, and pass them on; try again while that fails.

    Args:
        client: the client of the futures market.
        strategies: those that count funding payments get the intervals.
    """
    users = [each for each in strategies if isinstance(each, UsesFundingIntervals)]
    while users:
        client.extend_deadline(_DEADLINE_MS)
        try:
            hours = await client.funding_hours()
        except WarmupError as error:
            logger.warning(
                "funding intervals are unknown, the mark price stream has to show them; asking "
                "again in {retry_s:.0f} s: {error}",
                event="funding.intervals_unknown",
                retry_s=_AGAIN_S,
                error=error,
            )
            await asyncio.sleep(_AGAIN_S)
            continue
        for user in users:
            user.on_funding_hours(hours)
        return
