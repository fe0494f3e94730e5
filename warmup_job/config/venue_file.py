"""The venue file: the exchange, its market, the account and the rate limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from warmup_job.binance.endpoints import Environment, UrlProblems, environment_of, find_url_problems
from warmup_job.config.fields import (
    SECRET,
    Section,
    SettingsFile,
    Written,
    read_file,
    usable,
)
from warmup_job.config.values import http_url, instrument, ws_url
from warmup_job.errors import ConfigError

if TYPE_CHECKING:
    from warmup_job.market.pages import Market

Leverage = Annotated[int, Meta(ge=1, le=125)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[Decimal, Meta(gt=0)]
Places = Annotated[int, Meta(ge=0, le=8)]


class VenueSection(Section, frozen=True, kw_only=True):
    """The exchange and one of its markets."""

    name: Annotated[str, Meta(description="The exchange, e.g. BINANCE.")]
    venue_type: Annotated[
        Literal["spot", "futures", "options"], Meta(description="Options are not supported.")
    ]
    account_type: Annotated[
        Literal["CASH", "MARGIN", "PERPETUAL_LINEAR", "PERPETUAL_INVERSE"],
        Meta(
            description="PERPETUAL_LINEAR with futures, CASH or MARGIN with spot. "
            "PERPETUAL_INVERSE is not supported."
        ),
    ]


class ApiSection(Section, frozen=True, kw_only=True):
    """The exchange's URLs and the API key; ``repr`` and ``str`` hide key and secret."""

    api_key: Annotated[
        str | None, SECRET, Meta(description="See [Keys](#keys). The warm-up needs no key.")
    ] = None
    api_secret: Annotated[str | None, SECRET, Meta(description="See [Keys](#keys).")] = None
    testnet: Annotated[
        bool | None, Meta(description="The environment is the testnet. Omit to use `environment`.")
    ] = None
    environment: Annotated[
        Environment | None,
        Meta(
            description="Omit to use `testnet`; without it the environment of Binance's host in "
            "`base_url` or `ws_url`; without that production. `production` with `testnet: true` "
            "is an error."
        ),
    ] = None
    """As written. ``VenueConfig.environment`` is the environment that is used."""
    base_url: Annotated[
        str | None,
        Written(http_url, "http(s):// URL"),
        Meta(description="REST. Omit for the environment's."),
    ] = None
    ws_url: Annotated[
        str | None,
        Written(ws_url, "ws(s):// URL"),
        Meta(description="Websocket. Omit for the environment's."),
    ] = None

    def complaint(self) -> str | None:
        """Return a problem if the two ways to name the environment contradict each other."""
        if self.testnet and self.environment == "production":
            return "environment: production contradicts testnet: true"
        return None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        hidden = {name: "***" for name in ("api_key", "api_secret") if getattr(self, name)}
        return [(name, hidden.get(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"Api({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class TradingSection(Section, frozen=True, kw_only=True):
    """How the account trades."""

    hedge_mode: bool = False
    leverage: Leverage = 1
    margin_type: Literal["CROSSED", "ISOLATED"] = "CROSSED"


class RiskSection(Section, frozen=True, kw_only=True):
    """The venue's limits for every order."""

    max_leverage: Leverage = 20
    min_order_size_usdt: Positive = Decimal(5)
    max_order_size_usdt: Positive = Decimal(100_000)


class PrecisionSection(Section, frozen=True, kw_only=True):
    """Decimal places if the exchange does not name them."""

    price_precision: Places = 2
    quantity_precision: Places = 3
    min_notional: Positive = Decimal(5)


class RateLimitsSection(Section, frozen=True, kw_only=True):
    """What the exchange allows one IP address."""

    orders_per_second: Count = 5
    orders_per_minute: Count = 100
    weight_per_minute: Annotated[
        Count, Meta(description="Request weight; `warmup.budget_share` is a share of it.")
    ] = 1200


class WebsocketSection(Section, frozen=True, kw_only=True):
    """How the connection is kept alive."""

    ping_interval: Annotated[int, Meta(ge=5, description="Seconds.")] = 30
    reconnect_timeout: Annotated[int, Meta(ge=10, description="Seconds.")] = 60
    max_reconnect_attempts: Count = 10


class VenueConfig(SettingsFile, frozen=True, kw_only=True):
    """A whole venue file."""

    venue: VenueSection
    api: ApiSection = ApiSection()
    trading: TradingSection = TradingSection()
    risk: RiskSection = RiskSection()
    precision: PrecisionSection = PrecisionSection()
    rate_limits: RateLimitsSection = RateLimitsSection()
    websocket: WebsocketSection = WebsocketSection()
    symbols: Annotated[
        tuple[Annotated[str, Written(instrument, "symbol")], ...],
        Meta(description="Symbols such as BTCUSDT-PERP."),
    ] = ()
    """As written."""

    @property
    def market(self) -> Market:
        """Return ``um`` (USDⓈ-M perpetuals) or ``spot``.

        Raises:
            ConfigError: The market is not supported, or the two keys contradict each other.
        """
        match self.venue.venue_type, self.venue.account_type:
            case "futures", "PERPETUAL_LINEAR":
                return "um"
            case "spot", "CASH" | "MARGIN":
                return "spot"
            case kind, account:
                raise ConfigError(
                    f"venue: {kind} with {account} is not supported: venue_type futures goes with "
                    "account_type PERPETUAL_LINEAR, spot with CASH or MARGIN"
                )

    @property
    def environment(self) -> Environment:
        """``api``'s environment, else that of Binance's host in its URLs, else production."""
        return environment_of(self._declared, self.api.base_url, self.api.ws_url)

    @property
    def _declared(self) -> Environment | None:
        if self.api.environment is None and self.api.testnet is not None:
            return "testnet" if self.api.testnet else "production"
        return self.api.environment

    def url_problems(self) -> UrlProblems:
        """Check that the REST and websocket URLs belong to one environment and to the market.

        Raises:
            ConfigError: The market is not supported.
        """
        api = self.api
        declared_by = (
            f"api.environment is {api.environment}"
            if api.environment is not None
            else f"api.testnet is {'true' if api.testnet else 'false'}"
        )
        return find_url_problems(self.market, self._declared, declared_by, api.base_url, api.ws_url)


class VenueConfigLoader:
    """Loads venue files."""

    @staticmethod
    def load(path: str | Path, environ: Mapping[str, str] | None = None) -> VenueConfig:
        """Read a venue file.

        Args:
            path: The file.
            environ: The variables that ``${VAR}`` refers to; None: the process's.

        Raises:
            ConfigError: The file cannot be read or used; the message has a line for each problem.
        """
        environ = os.environ if environ is None else environ
        return usable(path, *read_file(VenueConfig, Path(path), environ))
