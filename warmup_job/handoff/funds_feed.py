"""Read the account's funds for the strategies that limit their drawdown by them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import WarmupError
from warmup_job.handoff.strategy_features import UsesAccountFunds

if TYPE_CHECKING:
    from warmup_job.binance.account_reader import AccountReader

EVERY_S = 30.0
"""The time between two readings. One uses a request weight of 35, or 70 a minute."""
AGAIN_S = 10.0
"""The time to the next reading if a strategy could not use this one."""


async def feed_funds(
    reader: AccountReader,
    strategies: Iterable[Strategy],
    every_s: float = EVERY_S,
    again_s: float = AGAIN_S,
) -> None:
    """Read the account's funds again and again, until the task is cancelled.

    Args:
        reader: reads the account.
        strategies: those that use the account's funds get them.
        every_s: the time between two readings.
        again_s: the time to the next reading after one that failed or could not be used.
    """
    users = [each for each in strategies if isinstance(each, UsesAccountFunds)]
    is_failing = False
    while users:
        known = [each.funds_until_ms for each in users]
        since = [each for each in known if each is not None]
        try:
            funds = await reader.read_funds(min(since, default=None))
        except WarmupError as error:
            if not is_failing:
                logger.warning("the account's funds cannot be read, the drawdown waits: {}", error)
            is_failing = True
            await asyncio.sleep(again_s)
            continue
        if is_failing:
            logger.info("the account's funds are read again")
        is_failing = False
        is_taken = [each.on_account_funds(funds) for each in users]
        await asyncio.sleep(every_s if all(is_taken) else again_s)
