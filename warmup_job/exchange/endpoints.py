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


def public_url(url: str) -> str:
    """``url`` without a user's name and password, for logs, errors and manifests."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def rest_url(market: Market, environment: Environment, base_url: str | None = None) -> str:
    """The REST base URL, without a trailing slash; ``base_url`` overrides the environment's."""
    return (base_url or _HOSTS[market][environment]).rstrip("/")
