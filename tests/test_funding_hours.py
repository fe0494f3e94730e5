"""A trader learns from Binance's fundingInfo how often its contracts pay funding."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.made_up_market import config
from tests.support.suite import HANG_S
from warmup_job.binance.client import BinanceClient
from warmup_job.handoff.live_account.funding_hours import tell_funding_hours
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import start


@pytest.mark.parametrize(
    ("funding", "hours"), [(("BTCUSDT=0.0001/4",), 4), (("BTCUSDT=0.0001/1",), 1), ((), 8)]
)
def test_funding_hours_of_a_contract_reach_the_strategy(
    funding: tuple[str, ...], hours: int
) -> None:
    strategy = HedgeGridV1(config())

    async def learn() -> None:
        exchange = await start(ExchangeOptions(funding=funding))
        try:
            async with BinanceClient("um", exchange.url) as client, asyncio.timeout(HANG_S):
                await tell_funding_hours(client, [strategy])
        finally:
            await exchange.stop()

    asyncio.run(learn())
    assert strategy._funding.interval.hours == hours
