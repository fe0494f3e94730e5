"""The venue of a run: which Binance market, where it is, how fast it may be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from warmup_job.binance.endpoints import Environment, public_url, rest_url, websocket_url
from warmup_job.catalog.names import instrument_id_of
from warmup_job.config import VenueConfig
from warmup_job.errors import ConfigError
from warmup_job.market.pages import Market
from warmup_job.market.symbol import venue_symbol


@dataclass(frozen=True, slots=True)
class VenuePlan:
    """The venue file in plain values, with the request weight that a run may spend."""

    name: str
    market: Market
    environment: Environment
    rest_url: str = field(repr=False)
    """REST base URL without a trailing slash; it may hold a user name and a password."""
    websocket_url: str = field(repr=False)
    own_rest_url: str | None = field(repr=False)
    """``api.base_url`` as written; None: the environment's own REST URL is used."""
    own_websocket_url: str | None = field(repr=False)
    """``api.ws_url`` as written; None: the environment's own websocket URL is used."""
    weight_per_minute: int
    """Request weight that the venue file allows per minute."""
    budget_share: float
    """Share of that weight that this process may spend, 0 < x <= 1."""
    hedge_mode: bool
    leverage: int
    max_leverage: int
    margin_type: Literal["CROSSED", "ISOLATED"]
    orders_per_second: int
    orders_per_minute: int
    min_order_size_usdt: Decimal
    max_order_size_usdt: Decimal
    api_key: str | None = field(default=None, repr=False)
    api_secret: str | None = field(default=None, repr=False)

    @property
    def weight_budget(self) -> int:
        """Request weight that this process may spend per minute."""
        return max(1, int(self.weight_per_minute * self.budget_share))

    @property
    def endpoint(self) -> str:
        """REST base URL without credentials; manifests and rate limits are recorded under it."""
        return public_url(self.rest_url)

    def instrument_id(self, written: str) -> str:
        """Return the Nautilus id of a symbol or id as a file has it.

        Args:
            written: Binance's symbol (BTCUSDT) or a Nautilus id (BTCUSDT-PERP.BINANCE).

        Raises:
            ConfigError: the id belongs to another market than the venue's.
        """
        here = instrument_id_of(self.market, venue_symbol(written))
        if "." in written and written.rpartition(".")[0] != here.rpartition(".")[0]:
            raise ConfigError(
                f"the strategy's instrument {written} does not belong to the venue's market: its "
                f"id there is {here}"
            )
        return here


def plan_venue(venue: VenueConfig, budget_share: float) -> VenuePlan:
    """Translate a venue file into plain values.

    Args:
        venue: the venue file.
        budget_share: share of the venue's request weight to spend, 0 < x <= 1.
    """
    market, environment, api = venue.market, venue.environment, venue.api
    return VenuePlan(
        name=venue.venue.name,
        market=market,
        environment=environment,
        rest_url=rest_url(market, environment, api.base_url),
        websocket_url=websocket_url(market, environment, api.ws_url),
        own_rest_url=api.base_url,
        own_websocket_url=api.ws_url,
        weight_per_minute=venue.rate_limits.weight_per_minute,
        budget_share=budget_share,
        hedge_mode=venue.trading.hedge_mode,
        leverage=venue.trading.leverage,
        max_leverage=venue.risk.max_leverage,
        margin_type=venue.trading.margin_type,
        orders_per_second=venue.rate_limits.orders_per_second,
        orders_per_minute=venue.rate_limits.orders_per_minute,
        min_order_size_usdt=venue.risk.min_order_size_usdt,
        max_order_size_usdt=venue.risk.max_order_size_usdt,
        api_key=api.api_key,
        api_secret=api.api_secret,
    )
