"""Read the account's funds for the strategies that limit their drawdown by them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import WarmupError
from warmup_job.handoff.strategy_features import UsesAccountFunds

if TYPE_CHECKING:
    from warmup_job.binance.account_reader import AccountReader

EVERY_S = 30.0
"""The time between two readings without a fill. One uses a request weight of 35: 70 a minute, and
at most 210 with fills all the time."""
AGAIN_S = 10.0
"""The time to the next reading if a strategy could not use this one."""
LAST_S = 2.0
"""How long the readings at the end of a run may take together."""
_LAG_S = 1.0
_LAST_READINGS, _LAST_PAUSE_S = 3, 0.5


async def feed_funds(
    reader: AccountReader,
    strategies: Iterable[Strategy],
    every_s: float = EVERY_S,
    again_s: float = AGAIN_S,
    *,
    fills: asyncio.Event | None = None,
    on_taken: Callable[[], object] = lambda: None,
) -> None:
    """Read the account's funds again and again, until the task is cancelled.

    Args:
        reader: reads the account.
        strategies: those that use the account's funds get them.
        every_s: the time between two readings.
        again_s: the time to the next reading after one that failed or could not be used, and the
            shortest time between any two.
        fills: is set after every fill: the next reading follows soon.
        on_taken: is called after each reading that every strategy could use.
    """
    users = _users(strategies)
    is_failing = False
    while users:
        if fills is not None:
            fills.clear()  # what was paid until now is in this reading, or makes it unusable
        try:
            is_taken = await _feed_once(reader, users)
        except WarmupError as error:
            if not is_failing:
                logger.warning(
                    "the account's funds cannot be read, the drawdown waits: {error}",
                    event="funds.unreadable",
                    error=error,
                )
            is_failing = True
            await asyncio.sleep(again_s)
            continue
        if is_failing:
            logger.info("the account's funds are read again", event="funds.readable")
        is_failing = False
        if is_taken:
            on_taken()
        await asyncio.sleep(again_s)
        if is_taken:
            await _until_fill(fills, every_s - again_s)


async def _until_fill(fills: asyncio.Event | None, most_s: float) -> None:
    """Wait until a fill's payments are in the account's income, or for ``most_s``."""
    if fills is None:
        await asyncio.sleep(most_s)
        return
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(fills.wait(), most_s)
        await asyncio.sleep(_LAG_S)


async def feed_last_funds(reader: AccountReader, strategies: Iterable[Strategy]) -> None:
    """Read the funds once more at the end of a run, so that its last fills are counted.

    It takes at most `LAST_S` and never fails: the next start counts what is missing.

    Args:
        reader: reads the account.
        strategies: those that use the account's funds, and have had them before, get them.
    """
    users = [each for each in _users(strategies) if each.funds_until_ms is not None]
    try:
        async with asyncio.timeout(LAST_S):
            for _ in range(_LAST_READINGS if users else 0):
                if await _feed_once(reader, users):
                    return
                await asyncio.sleep(_LAST_PAUSE_S)
    except Exception as error:  # noqa: BLE001 - the run must end in order all the same
        logger.warning(
            "the last report lacks what the account has earned in the last seconds: {error}",
            event="funds.last_payments_missing",
            error=error if isinstance(error, WarmupError) else repr(error),
        )


def are_funds_known(strategies: Iterable[Strategy]) -> bool:
    """Return whether each strategy that uses the account's funds has had a first reading."""
    return all(each.funds_until_ms is not None for each in _users(strategies))


def _users(strategies: Iterable[Strategy]) -> list[UsesAccountFunds]:
    return [each for each in strategies if isinstance(each, UsesAccountFunds)]


async def _feed_once(reader: AccountReader, users: Sequence[UsesAccountFunds]) -> bool:
    """Read the funds, and return whether every strategy could use them."""
    known = [each.funds_until_ms for each in users]
    funds = await reader.read_funds(min((each for each in known if each is not None), default=None))
    is_taken = [each.on_account_funds(funds) for each in users]
    return all(is_taken)
