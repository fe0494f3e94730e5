"""YAML files and the environment, read once into frozen structs.

``load`` reads warmup.yaml and the venue and strategy files that it joins;
docs/reference/configuration.md lists every key.
"""

from warmup_job.binance.endpoints import Environment
from warmup_job.config.environment import unknown_variables
from warmup_job.config.key_options import DeclaredKey
from warmup_job.config.strategy_file import (
    AnyStrategy,
    ImportedStrategy,
    StrategyConfigLoader,
    StrategyFile,
)
from warmup_job.config.values import Substituted, duration_ms, texts
from warmup_job.config.venue_file import VenueConfig, VenueConfigLoader
from warmup_job.config.warmup_file import (
    OPTIONS,
    Indicator,
    SnapshotSection,
    StreamSection,
    TradeSection,
    WarmupConfig,
    WarmupSection,
    load,
    missing_stream,
)

__all__ = [
    "OPTIONS",
    "AnyStrategy",
    "DeclaredKey",
    "Environment",
    "ImportedStrategy",
    "Indicator",
    "SnapshotSection",
    "StrategyConfigLoader",
    "StrategyFile",
    "StreamSection",
    "Substituted",
    "TradeSection",
    "VenueConfig",
    "VenueConfigLoader",
    "WarmupConfig",
    "WarmupSection",
    "duration_ms",
    "load",
    "missing_stream",
    "texts",
    "unknown_variables",
]
