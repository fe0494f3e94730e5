"""The strategy file of HedgeGridV1 in naut_hedgegrid's format, or of any other strategy.

Values that become part of orders are ``Decimal``; thresholds that are only compared are ``float``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from warmup_job.config.fields import (
    FRACTION,
    PERCENT,
    Section,
    SettingsFile,
    Written,
    read_file,
    read_mapping,
    usable,
)
from warmup_job.config.folders import import_folder
from warmup_job.config.values import class_path, instrument
from warmup_job.errors import ConfigError
from warmup_job.hedge_grid.defaults import DEFAULTS

Levels = Annotated[int, Meta(ge=1, le=100)]
Positive = Annotated[Decimal, Meta(gt=0)]
_BPS = Decimal(10_000)


class StrategySection(Section, frozen=True, kw_only=True):
    """The strategy's name and its instrument."""

    name: str
    instrument_id: Annotated[
        str, Written(instrument, "Nautilus id"), Meta(description="E.g. BTCUSDT-PERP.BINANCE.")
    ]
    """As written."""


class GridSection(Section, frozen=True, kw_only=True):
    """The ladder of orders; quantities in base currency."""

    grid_step_bps: Annotated[Decimal, Meta(ge=5, le=1000)]
    grid_levels_long: Levels
    grid_levels_short: Levels
    base_qty: Positive
    qty_scale: Annotated[
        Decimal, Meta(gt=0, le=3, description="Factor from one level's quantity to the next's.")
    ]


class ExitSection(Section, frozen=True, kw_only=True):
    """Where a filled level is closed, in grid steps from its entry."""

    tp_steps: Annotated[Levels, Meta(description="At most 3 × sl_steps.")]
    sl_steps: Annotated[Levels, Meta(description="Farther away than tp_sl_adjustment_buffer_bps.")]

    def complaint(self) -> str | None:
        """Return a problem if the take profit is more than 3 times as far as the stop loss."""
        if self.tp_steps > 3 * self.sl_steps:
            return f"tp_steps: {self.tp_steps} is above 3 × sl_steps ({self.sl_steps})"
        return None


class RebalanceSection(Section, frozen=True, kw_only=True):
    """When the grid is centred again, and how much it may hold."""

    recenter_trigger_bps: Annotated[float, Meta(gt=0, le=10_000)]
    max_inventory_quote: Annotated[Positive, Meta(description="Quote currency.")]


class ExecutionSection(Section, frozen=True, kw_only=True):
    """How orders are sent."""

    maker_only: bool = DEFAULTS.maker_only
    use_post_only_retries: bool = DEFAULTS.use_post_only_retries
    retry_attempts: Annotated[int, Meta(ge=0, le=10)] = DEFAULTS.retry_attempts
    retry_delay_ms: Annotated[int, Meta(ge=0, le=5000)] = DEFAULTS.retry_delay_ms
    optimization_mode: bool = DEFAULTS.optimization_mode
    retry_max_price_deviation_bps: Annotated[float, Meta(ge=0, le=1000)] = float(
        DEFAULTS.retry_max_price_deviation_bps
    )
    balance_check_interval_seconds: Annotated[int, Meta(ge=5, le=600)] = (
        DEFAULTS.balance_check_interval_seconds
    )
    tp_sl_adjustment_buffer_bps: Annotated[Decimal, Meta(ge=1, le=50)] = (
        DEFAULTS.tp_sl_adjustment_buffer_bps
    )
    max_bar_staleness_seconds: Annotated[int, Meta(ge=30, le=3600)] = (
        DEFAULTS.max_bar_staleness_seconds
    )
    order_diff_price_tolerance_bps: Annotated[float, Meta(ge=0, le=50)] = float(
        DEFAULTS.order_diff_price_tolerance_bps
    )
    order_diff_qty_tolerance_pct: Annotated[float, Meta(ge=0, le=0.5), FRACTION] = float(
        DEFAULTS.order_diff_qty_tolerance_pct
    )


class FundingSection(Section, frozen=True, kw_only=True):
    """How much funding may cost."""

    funding_window_minutes: Annotated[int, Meta(ge=60, le=1440)]
    funding_max_cost_bps: Annotated[float, Meta(ge=0, le=100)]


class RegimeSection(Section, frozen=True, kw_only=True):
    """The regime detector; lengths in bars."""

    adx_len: Annotated[int, Meta(ge=5, le=100)]
    ema_fast: Annotated[int, Meta(ge=5, le=200)]
    ema_slow: Annotated[int, Meta(ge=10, le=500, description="Above ema_fast.")]
    atr_len: Annotated[int, Meta(ge=5, le=100)]
    hysteresis_bps: Annotated[float, Meta(ge=0, le=1000)]

    def complaint(self) -> str | None:
        """Return a problem if the slow EMA is not slower than the fast one."""
        if self.ema_slow <= self.ema_fast:
            return f"ema_slow: {self.ema_slow} is not above ema_fast ({self.ema_fast})"
        return None


class PositionSection(Section, frozen=True, kw_only=True):
    """How much may be held."""

    max_position_size: Positive
    """Base currency."""
    max_leverage_used: Annotated[Decimal, Meta(gt=0, le=125)]
    emergency_liquidation_buffer: Annotated[float, Meta(ge=0.05, le=1), FRACTION]
    max_position_pct: Annotated[
        Decimal,
        FRACTION,
        Meta(ge=0.1, le=1, description="Value of each book; of the equity, whatever the leverage."),
    ] = DEFAULTS.max_position_pct
    max_margin_pct: Annotated[
        Decimal | None,
        FRACTION,
        Meta(
            ge=0.1,
            le=1,
            description="Margin of each book, of the equity. If given, `max_position_pct` does not "
            "apply.",
        ),
    ] = None


class PolicySection(Section, frozen=True, kw_only=True):
    """Which orders the strategy sends against the regime."""

    strategy: Literal["core-and-scalp", "throttled-counter"]
    counter_levels: Annotated[int, Meta(ge=0, le=20)]
    counter_qty_scale: Annotated[Decimal, Meta(ge=0, le=1), FRACTION]


class RiskManagementSection(Section, frozen=True, kw_only=True):
    """When the strategy stops itself."""

    max_errors_per_minute: Annotated[int, Meta(ge=1, le=100)] = DEFAULTS.max_errors_per_minute
    circuit_breaker_cooldown_seconds: Annotated[int, Meta(ge=60, le=3600)] = (
        DEFAULTS.circuit_breaker_cooldown_seconds
    )
    circuit_breaker_window_seconds: Annotated[int, Meta(ge=10, le=600)] = (
        DEFAULTS.circuit_breaker_window_seconds
    )
    max_drawdown_pct: Annotated[float, Meta(ge=1, le=50), PERCENT] = float(
        DEFAULTS.max_drawdown_pct
    )
    enable_position_validation: bool = DEFAULTS.enable_position_validation
    enable_circuit_breaker: bool = DEFAULTS.enable_circuit_breaker
    enable_drawdown_protection: bool = DEFAULTS.enable_drawdown_protection


class StrategyFile(SettingsFile, frozen=True, kw_only=True):
    """A whole strategy file. It may have an ``operations`` section, which is not read."""

    unused_keys: ClassVar[frozenset[str]] = frozenset({"operations"})

    strategy: StrategySection
    grid: GridSection
    exit: ExitSection
    rebalance: RebalanceSection
    execution: ExecutionSection = ExecutionSection()
    funding: FundingSection
    regime: RegimeSection
    position: PositionSection
    policy: PolicySection
    risk_management: RiskManagementSection = RiskManagementSection()

    def complaint(self) -> str | None:
        """Return a problem if every fill would be closed at once, because its stop is too near."""
        ratio = 1 - self.grid.grid_step_bps / _BPS
        stop_bps = (1 - ratio**self.exit.sl_steps) * _BPS
        buffer_bps = self.execution.tp_sl_adjustment_buffer_bps
        if stop_bps > buffer_bps:
            return None
        return (
            f"exit.sl_steps: the stop loss is {stop_bps:.2f} bps from the entry (sl_steps "
            f"{self.exit.sl_steps}, grid.grid_step_bps {self.grid.grid_step_bps}), which is within "
            f"execution.tp_sl_adjustment_buffer_bps ({buffer_bps}): every fill would be closed at "
            "market at once; raise sl_steps or lower the buffer"
        )


class ImportedStrategy(SettingsFile, frozen=True, kw_only=True):
    """A file for any other strategy, like Nautilus' ImportableStrategyConfig."""

    strategy_path: Annotated[
        str,
        Written(class_path, "package.module:Class"),
        Meta(description="The strategy's class, importable where the trader runs."),
    ]
    config_path: Annotated[
        str,
        Written(class_path, "package.module:Class"),
        Meta(description="The class of its configuration."),
    ]
    import_from: Annotated[
        Path | None,
        Meta(
            description="Folder that the classes are imported from, relative to this file; `.`: "
            "beside it. It counts as the first of PYTHONPATH."
        ),
    ] = None
    config: Annotated[
        dict,  # type: ignore[type-arg]  # the configuration's class judges it
        Meta(description="The fields of that class. Numbers are exact decimals."),
    ] = msgspec.field(default_factory=dict)


AnyStrategy = StrategyFile | ImportedStrategy


def read_strategy(
    path: Path, environ: Mapping[str, str], named_by: str = ""
) -> tuple[AnyStrategy | None, list[str]]:
    """Read a strategy file of either kind; arguments and result as of `read_file`."""
    from warmup_job.config.document import read_document  # PyYAML takes 30 ms

    document, problems = read_document(path, named_by)
    if document is None:
        return None, problems
    is_imported = bool({"strategy_path", "config_path"} & document.keys())
    kind: type[AnyStrategy] = ImportedStrategy if is_imported else StrategyFile
    strategy: AnyStrategy | None
    strategy, wrong = read_mapping(kind, document, path, environ)
    if isinstance(strategy, ImportedStrategy) and strategy.import_from is not None:
        try:
            folder = import_folder(path, strategy.import_from)
        except ConfigError as error:
            return None, [*problems, *wrong, str(error)]
        strategy = msgspec.structs.replace(strategy, import_from=folder)
    return strategy, problems + wrong


class StrategyConfigLoader:
    """Loads strategy files of HedgeGridV1."""

    @staticmethod
    def load(path: str | Path, environ: Mapping[str, str] | None = None) -> StrategyFile:
        """Read a strategy file.

        Args:
            path: The file.
            environ: The variables that ``${VAR}`` refers to; None: the process's.

        Raises:
            ConfigError: The file cannot be read or used; the message has a line for each problem.
        """
        environ = os.environ if environ is None else environ
        return usable(path, *read_file(StrategyFile, Path(path), environ))
