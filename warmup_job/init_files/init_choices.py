"""What the user has chosen."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import msgspec

from warmup_job.catalog.names import bar_type_name, instrument_id_of
from warmup_job.errors import ConfigError
from warmup_job.init_files.symbol_check import base_asset
from warmup_job.market.interval import Interval
from warmup_job.market.pages import Market

MARKETS: Final[dict[str, Market]] = {"futures": "um", "spot": "spot"}
Place = Literal["production", "testnet", "demo", "local"]
GRID, NO_STRATEGY = "hedge-grid", "none"

_GRID_QUANTITIES: Final = {  # worth some 100 to 300 USDT in 2026, and a multiple of each step
    "BTC": "0.004", "ETH": "0.08", "BNB": "0.4", "SOL": "2", "XRP": "500", "DOGE": "2000",
    "ADA": "500", "AVAX": "10", "LINK": "20", "LTC": "3", "BCH": "0.6", "DOT": "50",
    "TRX": "1000", "FIL": "60", "UNI": "30", "SUI": "100", "NEAR": "60", "APT": "40",
    "ARB": "500", "OP": "200",
}  # fmt: skip


class InitChoices(msgspec.Struct, frozen=True):
    """The answers to the three questions, and the options.

    Attributes:
        folder: Where the files are written.
        market: ``um`` or ``spot``.
        place: The environment, or ``local`` for the local exchange.
        symbols: Binance's symbols.
        strategy: `GRID`, `NO_STRATEGY`, or ``package.module:Class``.
        intervals: Names of intervals; empty: the default of the kind of strategy.
        quantities: Base quantity of a grid's first order by symbol, where the user gives it.
        fields: Fields of the strategy's configuration that the user gives.
        k8s_base: ``k8s/base`` of this project; None: no overlay is written.
    """

    folder: Path
    market: Market
    place: Place
    symbols: tuple[str, ...]
    strategy: str
    intervals: tuple[str, ...] = ()
    quantities: dict[str, str] = msgspec.field(default_factory=dict)
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    compose: bool = False
    dockerfile: bool = False
    k8s_base: Path | None = None

    @property
    def is_grid(self) -> bool:
        """Whether HedgeGridV1 trades."""
        return self.strategy == GRID

    @property
    def has_strategy(self) -> bool:
        """Whether anything trades."""
        return self.strategy != NO_STRATEGY

    @property
    def is_own(self) -> bool:
        """Whether a strategy is imported by name."""
        return self.has_strategy and not self.is_grid

    @property
    def project(self) -> str:
        """The folder's name as image, namespace and compose project can have it."""
        name = re.sub(r"[^a-z0-9]+", "-", self.folder.absolute().name.lower()).strip("-")
        return name[:40].strip("-") or "warmup-bot"

    def instrument_id(self, symbol: str) -> str:
        """Return the Nautilus id of a symbol."""
        return instrument_id_of(self.market, symbol)

    def bar_type(self, symbol: str, interval: str) -> str:
        """Return the Nautilus bar type of a stream."""
        return bar_type_name(self.instrument_id(symbol), Interval.parse(interval))

    def known_quantity(self, symbol: str) -> str | None:
        """Return a quantity in base currency that is worth some 100 to 300 USDT; None: unknown."""
        given = self.quantities.get(symbol)
        return given or _GRID_QUANTITIES.get(base_asset(symbol, self.market))

    def grid_quantity(self, symbol: str) -> Decimal:
        """Return the base quantity of a grid's first order.

        Raises:
            ConfigError: It is not known, and the user has not given it.
        """
        known = self.known_quantity(symbol)
        if known is None:
            raise ConfigError(
                f"the size of HedgeGridV1's orders for {symbol} is not known: add "
                f"--base-qty {symbol}=QUANTITY, in base currency (worth at least 5 USDT)"
            )
        return Decimal(known)


def check_strategy(strategy: str, market: Market) -> None:
    """Check that a market can have a strategy.

    Raises:
        ConfigError: It cannot.
    """
    if strategy == GRID and market == "spot":
        raise ConfigError(
            "HedgeGridV1 holds long and short positions at the same time, which spot does not "
            "have: choose --market futures, a strategy of your own, or --strategy none"
        )


def check_choices(choices: InitChoices) -> None:
    """Check what can contradict each other.

    Raises:
        ConfigError: Two choices do not go together; the message says what to choose.
    """
    check_strategy(choices.strategy, choices.market)
    if choices.is_grid and choices.intervals not in ((), ("1m",)):
        raise ConfigError("HedgeGridV1 uses 1m bars only: omit --intervals")
    for name in choices.intervals:
        if Interval.parse(name).name == "1s" and choices.market == "um":
            raise ConfigError("futures have no interval 1s, only spot; the next is 1m")
    if choices.k8s_base is not None and choices.place == "local" and not choices.has_strategy:
        raise ConfigError(
            "--kustomize runs the local exchange in the trader's pod, and there is no trader: "
            "choose another --environment, or a strategy"
        )
    if choices.fields and not choices.is_own:
        raise ConfigError("--set is for a strategy of your own: omit it")
