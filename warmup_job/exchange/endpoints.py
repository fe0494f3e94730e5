"""Where each market is served, by environment.

The hosts are those that NautilusTrader's Binance adapter uses, so that a bot is warmed by the same
venue that it trades on (a test compares the two). Binance's futures testnet is served by the demo
hosts since it was merged into demo trading.
"""

from __future__ import annotations

from typing import Literal

from warmup_job.market.plan import Market

Environment = Literal["production", "testnet", "demo"]

_HOSTS: dict[Market, dict[Environment, str]] = {
    "um": {
        "production": "https://fapi.binance.com",
        "testnet": "https://demo-fapi.binance.com",
        "demo": "https://demo-fapi.binance.com",
    },
    "spot": {
        "production": "https://api.binance.com",
        "testnet": "https://testnet.binance.vision",
        "demo": "https://demo-api.binance.com",
    },
}

_WEBSOCKET_HOSTS: dict[Market, dict[Environment, str]] = {
    "um": {
        "production": "wss://fstream.binance.com",
        "testnet": "wss://stream.binancefuture.com",
        "demo": "wss://demo-fstream.binance.com",
    },
    "spot": {
        "production": "wss://stream.binance.com:9443",
        "testnet": "wss://stream.testnet.binance.vision",
        "demo": "wss://demo-stream.binance.com",
    },
}


def public_url(url: str) -> str:
    """``url`` without a user's name and password, for logs, errors and manifests."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def rest_url(market: Market, environment: Environment, base_url: str | None = None) -> str:
    """The REST base URL, without a trailing slash; ``base_url`` overrides the environment's."""
    return (base_url or _HOSTS[market][environment]).rstrip("/")


def websocket_url(market: Market, environment: Environment, ws_url: str | None = None) -> str:
    """The base URL of the streams; ``ws_url`` overrides the environment's."""
    return (ws_url or _WEBSOCKET_HOSTS[market][environment]).rstrip("/")
