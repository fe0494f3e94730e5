"""The way to a planned venue: check the proxies, open the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from warmup_job.plan.venue_plan import VenuePlan

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


def check_network(venue: VenuePlan, *, live_data: bool = False) -> None:
    """Check the proxy variables of the environment before any request is sent.

    Args:
        venue: the venue whose URLs the proxies must serve.
        live_data: also check the websocket, which must use the same proxy as REST.

    Raises:
        ConfigError: a variable that can take effect is unusable.
    """
    from warmup_job.binance.proxies import check_proxies, common_proxy

    if not live_data:
        check_proxies([venue.rest_url])
        return
    check_proxies([venue.rest_url, venue.websocket_url])
    common_proxy(venue.rest_url, venue.websocket_url)


def open_client(
    venue: VenuePlan,
    deadline_ms: int,
    *,
    on_limit: Callable[[int], object] = lambda _: None,
) -> BinanceClient:
    """Make a client of the venue that stays within the weight budget and the deadline.

    Args:
        venue: the venue to connect to.
        deadline_ms: how long requests may take together, ms.
        on_limit: called with the time (UTC ms) until which Binance refuses requests.

    Returns:
        The client, to be used as an asynchronous context manager.
    """
    from warmup_job.binance.client import BinanceClient

    return BinanceClient(
        venue.market,
        venue.rest_url,
        weight_per_minute=venue.weight_budget,
        deadline_ms=deadline_ms,
        on_limit=on_limit,
    )
