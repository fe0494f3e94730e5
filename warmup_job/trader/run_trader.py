"""The consumer, top to bottom: verify → load → warm up the strategies → subscribe → fill → live.

The clock is asked for while Nautilus is imported; the rest is `session`.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.config import WarmupConfig
from warmup_job.errors import ConfigError, TraderError, WarmupError
from warmup_job.handoff.http_port import serving
from warmup_job.handoff.report import Teller
from warmup_job.handoff.state_dir import held_state_dir
from warmup_job.modes import Mode
from warmup_job.plan.streams import check_network, endpoint, open_client
from warmup_job.snapshot.limits import record_limit, wait_for_limit
from warmup_job.trader.summary import TradeSummary

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


async def trade(
    config: WarmupConfig, root: Path, mode: Mode = "paper", *, stop: asyncio.Event
) -> TradeSummary:
    """Trade until ``stop`` is set or a signal comes.

    Raises:
        ConfigError: a proxy variable of the environment is unusable.
        LiveRefusedError: live, and something that it demands is missing.
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        TraderError: the node did not come up, or could not go on, or another trader uses the same
            ``trade.state_dir``.
        ConfigError: history and live bars would be of different markets.
    """
    if config.live_problems:
        raise ConfigError("\n  ".join(config.live_problems))
    check_network(config, live_data=True)
    url = endpoint(config)
    async with AsyncExitStack() as stack:
        # Before anything else: whoever comes second changes nothing and asks for nothing.
        state_dir = stack.enter_context(held_state_dir(config.trade.state_dir, mode))
        teller = Teller(mode, state_dir.write_report)
        http = serving(config.trade.http_host, config.trade.http_port, teller.now)
        await stack.enter_async_context(http)
        # The job notes limits on its volume, which we only read; we note ours with our own state.
        await wait_for_limit((root, state_dir.path), url)
        noted = partial(record_limit, state_dir.path, url)
        client = await stack.enter_async_context(open_client(config, on_limit=noted))
        session, _ = await asyncio.gather(
            asyncio.to_thread(import_module, "warmup_job.trader.session"), _ask_for_time(client)
        )
        summary: TradeSummary = await session.run_session(
            config, root, mode, client, stop, teller, state_dir
        )
        return summary


async def _ask_for_time(client: BinanceClient) -> None:
    try:
        await client.sync_clock()
    except WarmupError as error:
        raise TraderError(f"the trader cannot reach its exchange: {error}") from None
