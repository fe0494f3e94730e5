"""HedgeGridV1's configuration, and the settings that its parts take from it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.hedge_grid.circuit_breaker import CircuitBreaker
from warmup_job.hedge_grid.defaults import DEFAULTS
from warmup_job.hedge_grid.ladder import GridSettings, PolicyName
from warmup_job.regime.detector import DetectorSettings


class HedgeGridV1Config(StrategyConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """HedgeGridV1's settings, with the strategy file's names (docs/reference/configuration.md)."""

    log_events: bool = False  # the strategy logs its own, shorter messages
    log_commands: bool = False
    instrument_id: InstrumentId
    bar_type: BarType
    grid_step_bps: Decimal
    grid_levels_long: int
    grid_levels_short: int
    base_qty: Decimal
    qty_scale: Decimal
    tp_steps: int
    sl_steps: int
    recenter_trigger_bps: float
    max_inventory_quote: Decimal
    maker_only: bool = DEFAULTS.maker_only
    use_post_only_retries: bool = DEFAULTS.use_post_only_retries
    retry_attempts: int = DEFAULTS.retry_attempts
    retry_delay_ms: int = DEFAULTS.retry_delay_ms
    optimization_mode: bool = DEFAULTS.optimization_mode
    retry_max_price_deviation_bps: Decimal = DEFAULTS.retry_max_price_deviation_bps
    balance_check_interval_seconds: int = DEFAULTS.balance_check_interval_seconds
    tp_sl_adjustment_buffer_bps: Decimal = DEFAULTS.tp_sl_adjustment_buffer_bps
    max_bar_staleness_seconds: int = DEFAULTS.max_bar_staleness_seconds
    order_diff_price_tolerance_bps: Decimal = DEFAULTS.order_diff_price_tolerance_bps
    order_diff_qty_tolerance_pct: Decimal = DEFAULTS.order_diff_qty_tolerance_pct
    funding_window_minutes: int
    funding_max_cost_bps: Decimal
    ema_fast: int
    ema_slow: int
    adx_len: int
    atr_len: int
    hysteresis_bps: float
    max_position_size: Decimal
    max_leverage_used: Decimal
    emergency_liquidation_buffer: Decimal
    max_position_pct: Decimal = DEFAULTS.max_position_pct
    max_margin_pct: Decimal | None = None
    policy: PolicyName
    counter_levels: int
    counter_qty_scale: Decimal
    min_order_quote: Decimal = Decimal(0)
    max_order_quote: Decimal | None = None
    max_errors_per_minute: int = DEFAULTS.max_errors_per_minute
    circuit_breaker_cooldown_seconds: int = DEFAULTS.circuit_breaker_cooldown_seconds
    circuit_breaker_window_seconds: int = DEFAULTS.circuit_breaker_window_seconds
    max_drawdown_pct: Decimal = DEFAULTS.max_drawdown_pct
    enable_position_validation: bool = DEFAULTS.enable_position_validation
    enable_circuit_breaker: bool = DEFAULTS.enable_circuit_breaker
    enable_drawdown_protection: bool = DEFAULTS.enable_drawdown_protection


def detector_settings(config: HedgeGridV1Config) -> DetectorSettings:
    """Return the regime detector's settings."""
    return msgspec.convert(config, DetectorSettings, from_attributes=True)


def grid_settings(config: HedgeGridV1Config) -> GridSettings:
    """Return the settings of the ladder and of the exits."""
    return GridSettings(
        step_bps=config.grid_step_bps,
        levels_long=config.grid_levels_long,
        levels_short=config.grid_levels_short,
        base_qty=config.base_qty,
        qty_scale=config.qty_scale,
        tp_steps=config.tp_steps,
        sl_steps=config.sl_steps,
        policy=config.policy,
        counter_levels=config.counter_levels,
        counter_qty_scale=config.counter_qty_scale,
        min_order_quote=config.min_order_quote,
        max_order_quote=config.max_order_quote,
    )


def make_circuit_breaker(config: HedgeGridV1Config) -> CircuitBreaker:
    """Return a closed circuit breaker."""
    return CircuitBreaker(
        config.max_errors_per_minute,
        config.circuit_breaker_window_seconds,
        config.circuit_breaker_cooldown_seconds,
    )
