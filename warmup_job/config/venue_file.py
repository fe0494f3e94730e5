"""The venue file: which exchange, which market, how fast it may be asked."""

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
    """Which exchange and which of its markets."""

    name: str
    venue_type: Literal["spot", "futures", "options"]
    account_type: Literal["CASH", "MARGIN", "PERPETUAL_LINEAR", "PERPETUAL_INVERSE"]


class ApiSection(Section, frozen=True, kw_only=True):
    """Where the exchange is and who is asking; key and secret never show in ``repr`` or ``str``."""

    api_key: Annotated[str | None, SECRET] = None
    api_secret: Annotated[str | None, SECRET] = None
    testnet: bool | None = None
    environment: Environment | None = None
    """As written; ``VenueConfig.environment`` is what it comes to."""
    base_url: Annotated[str | None, Written(http_url, "http(s):// URL")] = None
    ws_url: Annotated[str | None, Written(ws_url, "ws(s):// URL")] = None

    def complaint(self) -> str | None:
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
    """Decimal places, where the exchange does not say."""

    price_precision: Places = 2
    quantity_precision: Places = 3
    min_notional: Positive = Decimal(5)


class RateLimitsSection(Section, frozen=True, kw_only=True):
    """What the exchange allows one address."""

    orders_per_second: Count = 5
    orders_per_minute: Count = 100
    weight_per_minute: Count = 1200


class WebsocketSection(Section, frozen=True, kw_only=True):
    """How the stream is kept alive; seconds."""

    ping_interval: Annotated[int, Meta(ge=5)] = 30
    reconnect_timeout: Annotated[int, Meta(ge=10)] = 60
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
    symbols: tuple[Annotated[str, Written(instrument, "Nautilus id")], ...] = ()
    """As written, such as BTCUSDT-PERP."""

    @property
    def market(self) -> Market:
        """``um`` (USDⓈ-M perpetuals) or ``spot``.

        Raises:
            ConfigError: options and inverse contracts are not supported, or the two contradict.
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
        """What ``api`` says; where it says nothing, that of Binance's host in it; or production."""
        return environment_of(self._said, self.api.base_url, self.api.ws_url)

    @property
    def _said(self) -> Environment | None:
        if self.api.environment is None and self.api.testnet is not None:
            return "testnet" if self.api.testnet else "production"
        return self.api.environment

    def url_problems(self) -> UrlProblems:
        """Whether REST and websocket are of one market, and of the one that the file names.

        Raises:
            ConfigError: there is no such market.
        """
        api = self.api
        said_by = (
            f"api.environment is {api.environment}"
            if api.environment is not None
            else f"api.testnet is {'true' if api.testnet else 'false'}"
        )
        return find_url_problems(self.market, self._said, said_by, api.base_url, api.ws_url)


class VenueConfigLoader:
    """Venue files, by the name that their users know."""

    @staticmethod
    def load(path: str | Path, environ: Mapping[str, str] | None = None) -> VenueConfig:
        """Read the venue file at ``path``; ``${VAR}`` is from ``environ`` (None: the process's).

        Raises:
            ConfigError: it cannot be read or used; the message has every problem, one line each.
        """
        environ = os.environ if environ is None else environ
        return usable(path, *read_file(VenueConfig, Path(path), environ))
