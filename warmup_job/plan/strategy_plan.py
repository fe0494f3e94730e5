"""The configured strategies in plain values: their classes, their settings, their streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from warmup_job.catalog.names import (
    bar_stream_of,
    bar_type_name,
    instrument_id_of,
    is_bar_type,
    is_instrument_id,
    meant_bar_type,
)
from warmup_job.config import ImportedStrategy, StrategyFile, StreamSection, WarmupConfig, texts
from warmup_job.errors import ConfigError
from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.venue_plan import VenuePlan
from warmup_job.regime.detector import DetectorSettings

_GRID = "warmup_job.hedge_grid.strategy:HedgeGridV1"
_GRID_INTERVAL = Interval.parse("1m")  # naut_hedgegrid runs HedgeGridV1 on one-minute bars


@dataclass(frozen=True, slots=True)
class StrategyPlan:
    """One strategy: its class, its configuration, and the bars that it must be warmed with."""

    strategy_path: str
    """Its class, ``package.module:Class``."""
    config_path: str
    """Its configuration's class."""
    fields: Mapping[str, Any] = field(repr=False)
    """The configuration's fields as the file has them; they may hold secrets."""
    instrument_ids: tuple[str, ...]
    """Nautilus ids of the instruments that its configuration names."""
    streams: tuple[StreamId, ...]
    detector: DetectorSettings | None
    """Settings of HedgeGridV1's regime detector; None for every other strategy."""
    import_from: str | None = None
    """Folder that its classes are imported from; None: only Python's own path is searched."""

    @property
    def class_name(self) -> str:
        """Name of its class; Nautilus' log shows it."""
        return self.strategy_path.rpartition(":")[2]

    @property
    def is_built_in(self) -> bool:
        """Whether it is HedgeGridV1 rather than a strategy that must be found on PYTHONPATH."""
        return self.detector is not None

    @property
    def symbols(self) -> frozenset[str]:
        """Binance's symbols of its instruments."""
        return frozenset(venue_symbol(each) for each in self.instrument_ids)


def plan_strategies(config: WarmupConfig, venue: VenuePlan) -> tuple[StrategyPlan, ...]:
    """Translate every configured strategy into plain values, in order.

    Raises:
        ConfigError: a strategy trades an instrument of another market, names no bars that Binance
            has, or trades the same instrument as another HedgeGridV1.
    """
    found: list[StrategyPlan] = []
    grids: set[str] = set()
    for strategy in config.strategies:
        if isinstance(strategy, ImportedStrategy):
            found.append(_imported(venue, strategy, config.warmup.streams))
            continue
        grid = _grid(venue, strategy)
        if grid.instrument_ids[0] in grids:
            raise ConfigError(
                f"two strategy files trade {grid.instrument_ids[0]} and would share its LONG and "
                "SHORT positions: run the second one with its own account"
            )
        grids.add(grid.instrument_ids[0])
        found.append(grid)
    return tuple(found)


def detector_of(strategy: StrategyFile) -> DetectorSettings:
    """Return the regime section of a strategy file as the detector's settings."""
    return msgspec.convert(strategy.regime, DetectorSettings, from_attributes=True)


def _grid(venue: VenuePlan, strategy: StrategyFile) -> StrategyPlan:
    traded_id = venue.instrument_id(strategy.strategy.instrument_id)
    sections = (
        strategy.grid, strategy.exit, strategy.rebalance, strategy.execution, strategy.funding,
        strategy.regime, strategy.position, strategy.risk_management,
    )  # fmt: skip
    fields = {
        name: getattr(section, name) for section in sections for name in section.__struct_fields__
    }
    fields |= {
        "instrument_id": traded_id,
        "bar_type": bar_type_name(traded_id, _GRID_INTERVAL),
        "oms_type": "HEDGING",
        # Orders and positions that an earlier run left at the exchange belong to this one.
        "external_order_claims": [traded_id],
        "policy": strategy.policy.strategy,
        "counter_levels": strategy.policy.counter_levels,
        "counter_qty_scale": strategy.policy.counter_qty_scale,
        "min_order_quote": venue.min_order_size_usdt,
        "max_order_quote": venue.max_order_size_usdt,
    }
    return StrategyPlan(
        strategy_path=_GRID,
        config_path=f"{_GRID}Config",
        fields=fields,
        instrument_ids=(traded_id,),
        streams=(StreamId(venue_symbol(traded_id), _GRID_INTERVAL),),
        detector=detector_of(strategy),
    )


def _imported(
    venue: VenuePlan, strategy: ImportedStrategy, listed: tuple[StreamSection, ...]
) -> StrategyPlan:
    """Plan a strategy by the bar types and instruments that its configuration names."""
    name = strategy.strategy_path.rpartition(":")[2]
    ids: dict[str, None] = {}
    streams: dict[StreamId, None] = {}
    for text in texts(strategy.config):
        named = bar_stream_of(text)
        if named is None and is_bar_type(text):
            raise ConfigError(
                f"{name}: Binance has no klines for {text}{_hint(text)} (its intervals are "
                f"{', '.join(INTERVAL_NAMES)})"
            )
        if named is not None:
            ids[venue.instrument_id(named[0])] = None
            streams[StreamId(venue_symbol(named[0]), named[1])] = None
        elif is_instrument_id(text):
            ids[venue.instrument_id(text)] = None
    for stream in listed:
        symbol = venue_symbol(stream.symbol)
        if stream.price == "last" and instrument_id_of(venue.market, symbol) in ids:
            streams[StreamId(symbol, Interval.parse(stream.interval))] = None
    if not streams:
        odd = next((text for text in texts(strategy.config) if _hint(text)), None)
        if odd is not None:
            raise ConfigError(f"{name}: {odd} in its config is not a bar type{_hint(odd)}")
        raise ConfigError(
            f"{name}: its config names no bar type of {venue.name}, such as "
            "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL, and warmup.streams lists no bars of its "
            "instruments, so it is unknown which bars it needs: name the bar type, or list the "
            "bars in warmup.streams"
        )
    return StrategyPlan(
        strategy_path=strategy.strategy_path,
        config_path=strategy.config_path,
        fields=strategy.config,
        instrument_ids=tuple(ids),
        streams=tuple(streams),
        detector=None,
        import_from=None if strategy.import_from is None else str(strategy.import_from),
    )


def _hint(text: str) -> str:
    meant = meant_bar_type(text)
    return "" if meant is None else f"; did you mean {meant}?"
