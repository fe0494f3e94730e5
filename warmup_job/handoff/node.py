"""The Nautilus node: where it trades, what it loads, how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
from nautilus_trader.adapters.binance.config import (
    BinanceDataClientConfig,
    BinanceInstrumentProviderConfig,
)
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.live.config import (
    LiveDataEngineConfig,
    LiveExecClientConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.binance.endpoints import Environment, rest_url, websocket_url
from warmup_job.binance.proxies import common_proxy
from warmup_job.catalog.names import VENUE
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.outgoing_orders.order_limits import OrderLimits
from warmup_job.market.pages import Market

_NO_RATE = "1000000/00:00:01"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where and how the node trades. A URL of None means the environment's own."""

    market: Market
    environment: Environment
    rest_url: str | None
    ws_url: str | None
    identity: TraderIdentity = field(default_factory=TraderIdentity)
    order_limits: OrderLimits = field(default_factory=OrderLimits)
    leverage: int = 1
    starting_balances: tuple[str, ...] = ("10000 USDT",)
    api_key: str | None = field(default=None, repr=False)
    api_secret: str | None = field(default=None, repr=False)
    log_level: str = "INFO"
    connect_timeout_s: float = 30.0


class Execution(NamedTuple):
    """Where the orders of a node go."""

    factory: type[LiveExecClientFactory]
    """Makes the execution client."""
    config: LiveExecClientConfig
    is_real: bool
    """Whether the exchange receives them, and has to be asked for open ones at the start."""


def account_type(settings: NodeSettings) -> BinanceAccountType:
    """Return Nautilus' name of the market."""
    um = settings.market == "um"
    return BinanceAccountType.USDT_FUTURES if um else BinanceAccountType.SPOT


def environment(settings: NodeSettings) -> BinanceEnvironment:
    """Return Nautilus' name of the environment."""
    return _ENVIRONMENTS[settings.environment]


def proxy_url(settings: NodeSettings) -> str | None:
    """Return the proxy of both REST and websocket, with its password; None: connect directly.

    Raises:
        ConfigError: a proxy variable in the environment is invalid.
    """
    proxy = common_proxy(
        rest_url(settings.market, settings.environment, settings.rest_url),
        websocket_url(settings.market, settings.environment, settings.ws_url),
    )
    return None if proxy is None else proxy.url


def provider(instrument_ids: Iterable[InstrumentId]) -> BinanceInstrumentProviderConfig:
    """Load only what is traded: a single unusual symbol of the venue can break the load of all."""
    return BinanceInstrumentProviderConfig(load_ids=frozenset(instrument_ids))


def make_node(
    settings: NodeSettings,
    instrument_ids: Iterable[InstrumentId],
    execution: Execution,
    *,
    loop: asyncio.AbstractEventLoop,
    data_factory: type[LiveDataClientFactory],
) -> TradingNode:
    """Make a node with its clients; it is not built yet.

    An exception inside Nautilus shuts the node down in order. By default it would end the process
    at once, with its orders open.

    Args:
        settings: where the node trades.
        instrument_ids: what it loads.
        execution: where its orders go.
        loop: the running event loop.
        data_factory: makes the data client.
    """
    config = TradingNodeConfig(
        trader_id=settings.identity.trader_id,
        logging=LoggingConfig(
            log_level=settings.log_level,
            log_colors=False,
            # On paper it warns of every trade that is older than the last quote, so of most.
            # The cache reports each order that `ClosedOrders` removes.
            log_component_levels={f"OrderMatchingEngine({VENUE})": "ERROR", "Cache": "WARNING"},
        ),
        data_engine=LiveDataEngineConfig(graceful_shutdown_on_exception=True),
        # Above its rate it denies orders. `order_gate` holds them back instead, behind it.
        risk_engine=LiveRiskEngineConfig(
            graceful_shutdown_on_exception=True,
            max_order_submit_rate=_NO_RATE,
            max_order_modify_rate=_NO_RATE,
        ),
        exec_engine=LiveExecEngineConfig(
            reconciliation=execution.is_real,
            # Nautilus would reject an order in flight as UNKNOWN although it may exist, and count
            # one as cancelled although it may fill. `AccountWatch` finds out what became of them.
            inflight_check_interval_ms=0,
            graceful_shutdown_on_exception=True,
        ),
        data_clients={
            VENUE: BinanceDataClientConfig(
                account_type=account_type(settings),
                environment=environment(settings),
                base_url_http=settings.rest_url,
                base_url_ws=settings.ws_url,
                proxy_url=proxy_url(settings),
                instrument_provider=provider(instrument_ids),
            )
        },
        exec_clients={VENUE: execution.config},
        timeout_connection=settings.connect_timeout_s,
        timeout_disconnection=3.0,
        timeout_post_stop=0.5,
    )
    node = TradingNode(config=config, loop=loop)
    node.add_data_client_factory(VENUE, data_factory)
    node.add_exec_client_factory(VENUE, execution.factory)
    return node


_ENVIRONMENTS: dict[Environment, BinanceEnvironment] = {
    "production": BinanceEnvironment.LIVE,
    "testnet": BinanceEnvironment.TESTNET,
    "demo": BinanceEnvironment.DEMO,
}
