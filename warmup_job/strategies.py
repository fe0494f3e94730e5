"""The configured strategies as Nautilus runs them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.trading.config import ImportableStrategyConfig, StrategyFactory
from nautilus_trader.trading.strategy import Strategy

from warmup_job.config import AnyStrategy, ImportedStrategy, StrategyFile, WarmupConfig
from warmup_job.errors import ConfigError
from warmup_job.market.interval import Interval
from warmup_job.nautilus.bars import bar_type_of
from warmup_job.traded import STRATEGY_INTERVAL, instrument_id, settings_of
from warmup_job.trading.hedge_grid import HedgeGridV1, HedgeGridV1Config


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
    fields = {"order_id_tag": f"{at:03d}"} | strategy.config
    importable = ImportableStrategyConfig(
        strategy_path=strategy.strategy_path,
        config_path=strategy.config_path,
        config=_exact(fields),
    )
    try:
        made = StrategyFactory.create(importable)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises
        raise ConfigError(
            f"{strategy.strategy_path} cannot be made: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(made, Strategy):
        raise ConfigError(f"{strategy.strategy_path} is no Nautilus Strategy")
    return made


def _exact(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Numbers as they were written, and not through a float."""
    if isinstance(value, Decimal):
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


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
            grid_step_bps=strategy.grid.grid_step_bps,
            grid_levels_long=strategy.grid.grid_levels_long,
            grid_levels_short=strategy.grid.grid_levels_short,
            base_qty=strategy.grid.base_qty,
            qty_scale=strategy.grid.qty_scale,
            tp_steps=strategy.exit.tp_steps,
            recenter_trigger_bps=strategy.rebalance.recenter_trigger_bps,
            ema_fast=settings.ema_fast,
            ema_slow=settings.ema_slow,
            adx_len=settings.adx_len,
            atr_len=settings.atr_len,
            hysteresis_bps=settings.hysteresis_bps,
        )
    )
