"""The configured strategies as Nautilus runs them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.trading.strategy import Strategy

from warmup_job.catalog.nautilus_bars import bar_type_of
from warmup_job.config import AnyStrategy, ImportedStrategy, StrategyFile, WarmupConfig
from warmup_job.errors import ConfigError
from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
from warmup_job.market.interval import Interval
from warmup_job.plan.traded import STRATEGY_INTERVAL, instrument_id, settings_of
from warmup_job.trader.imported_strategies import import_strategy

_EXACT = (  # thresholds that the file reads as floats, and that the strategy reckons with
    "retry_max_price_deviation_bps", "order_diff_price_tolerance_bps",
    "order_diff_qty_tolerance_pct", "funding_max_cost_bps", "emergency_liquidation_buffer",
    "max_drawdown_pct",
)  # fmt: skip


def make_strategies(config: WarmupConfig) -> list[Strategy]:
    """One of each configured strategy, in order.

    Raises:
        ConfigError: a class cannot be imported, or refuses its configuration.
    """
    return [_make(config, strategy, at) for at, strategy in enumerate(config.strategies)]


def _make(config: WarmupConfig, strategy: AnyStrategy, at: int) -> Strategy:
    if isinstance(strategy, StrategyFile):
        return _grid(config, strategy, at)
    return _imported(strategy, at)


def _imported(strategy: ImportedStrategy, at: int) -> Strategy:
    made, config = import_strategy(strategy, at)
    try:
        return made(config=config)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{strategy.strategy_path} cannot be made: {type(error).__name__}: {reason}"
        ) from None


def _grid(config: WarmupConfig, strategy: StrategyFile, at: int) -> HedgeGridV1:
    settings = settings_of(strategy)
    bar_type = bar_type_of(
        instrument_id(config, strategy.strategy.instrument_id), Interval.parse(STRATEGY_INTERVAL)
    )
    return HedgeGridV1(
        HedgeGridV1Config(
            instrument_id=bar_type.instrument_id,
            bar_type=bar_type,
            order_id_tag=f"{at:03d}",
            oms_type="HEDGING",
            # What an earlier run has left at the exchange is this one's to take over.
            external_order_claims=[bar_type.instrument_id],
            policy=strategy.policy.strategy,
            counter_levels=strategy.policy.counter_levels,
            counter_qty_scale=strategy.policy.counter_qty_scale,
            ema_fast=settings.ema_fast,
            ema_slow=settings.ema_slow,
            adx_len=settings.adx_len,
            atr_len=settings.atr_len,
            hysteresis_bps=settings.hysteresis_bps,
            **_rules(strategy),
        )
    )


def _rules(strategy: StrategyFile) -> dict[str, Any]:
    """The keys that the strategy knows by the names that they have in the file."""
    sections = (
        strategy.grid, strategy.exit, strategy.rebalance, strategy.execution, strategy.funding,
        strategy.position, strategy.risk_management,
    )  # fmt: skip
    known = set(HedgeGridV1Config.__struct_fields__)
    values = {
        name: getattr(section, name) for section in sections for name in section.__struct_fields__
    }
    return {
        name: Decimal(str(value)) if name in _EXACT else value
        for name, value in values.items()
        if name in known
    }
