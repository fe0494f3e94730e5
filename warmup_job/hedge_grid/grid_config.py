"""HedgeGridV1's configuration, and the settings that its parts take from it."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from warmup_job.hedge_grid.circuit_breaker import CircuitBreaker
from warmup_job.hedge_grid.ladder import GridSettings, PolicyName
from warmup_job.regime.detector import DetectorSettings


class HedgeGridV1Config(StrategyConfig, frozen=True, kw_only=True):  # type: ignore[call-arg]
    """HedgeGridV1's settings, with the strategy file's names (see docs/configuration.md)."""

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
    maker_only: bool = True
    use_post_only_retries: bool = True
    retry_attempts: int = 3
    retry_delay_ms: int = 100
    optimization_mode: bool = False
    retry_max_price_deviation_bps: Decimal = Decimal(100)
    balance_check_interval_seconds: int = 60
    tp_sl_adjustment_buffer_bps: Decimal = Decimal(5)
    max_bar_staleness_seconds: int = 300
    order_diff_price_tolerance_bps: Decimal = Decimal(1)
    order_diff_qty_tolerance_pct: Decimal = Decimal("0.01")
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
    max_position_pct: Decimal = Decimal("0.95")
    policy: PolicyName
    counter_levels: int
    counter_qty_scale: Decimal
    max_errors_per_minute: int = 10
    circuit_breaker_cooldown_seconds: int = 300
    circuit_breaker_window_seconds: int = 60
    max_drawdown_pct: Decimal = Decimal(20)
    enable_position_validation: bool = True
    enable_circuit_breaker: bool = True
    enable_drawdown_protection: bool = True


def detector_settings(config: HedgeGridV1Config) -> DetectorSettings:
    """Return the regime detector's settings."""
    return DetectorSettings(
        ema_fast=config.ema_fast,
        ema_slow=config.ema_slow,
        adx_len=config.adx_len,
        atr_len=config.atr_len,
        hysteresis_bps=config.hysteresis_bps,
    )


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
    )


def make_circuit_breaker(config: HedgeGridV1Config) -> CircuitBreaker:
    """Return a closed circuit breaker."""
    return CircuitBreaker(
        config.max_errors_per_minute,
        config.circuit_breaker_window_seconds,
        config.circuit_breaker_cooldown_seconds,
    )
