"""A bot is warmed by the venue that it trades on: our hosts are those of Nautilus' adapter."""

from __future__ import annotations

from typing import get_args

import pytest
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
from nautilus_trader.adapters.binance.common.urls import get_http_base_url, get_ws_base_url

from warmup_job.exchange.endpoints import Environment, rest_url, websocket_url
from warmup_job.market.plan import Market

ACCOUNTS = {"um": BinanceAccountType.USDT_FUTURES, "spot": BinanceAccountType.SPOT}
ENVIRONMENTS = {
    "production": BinanceEnvironment.LIVE,
    "testnet": BinanceEnvironment.TESTNET,
    "demo": BinanceEnvironment.DEMO,
}


@pytest.mark.parametrize("market", get_args(Market))
@pytest.mark.parametrize("environment", get_args(Environment))
def test_hosts_are_the_live_nodes(market: Market, environment: Environment) -> None:
    theirs = get_http_base_url(ACCOUNTS[market], ENVIRONMENTS[environment], is_us=False)
    assert rest_url(market, environment) == theirs
    streams = get_ws_base_url(ACCOUNTS[market], ENVIRONMENTS[environment], is_us=False)
    assert websocket_url(market, environment) == streams.removesuffix("/market")


def test_a_base_url_wins() -> None:
    assert rest_url("um", "production", "http://127.0.0.1:1/") == "http://127.0.0.1:1"
