"""Warm-up for NautilusTrader bots: closed Binance klines, checked, published, handed over.

The public names are imported lazily: ``import warmup_job`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmup_job.config import StrategyConfigLoader, VenueConfig, VenueConfigLoader
    from warmup_job.data_warmer import BinanceDataWarmer
    from warmup_job.handoff.live_runner import LiveRunner
    from warmup_job.handoff.paper_runner import PaperRunner
    from warmup_job.handoff.runner import BaseRunner
    from warmup_job.hedge_grid.strategy import HedgeGridV1, HedgeGridV1Config
    from warmup_job.regime.detector import (
        DetectorBar,
        DetectorSettings,
        Regime,
        RegimeDetector,
    )

__all__ = [
    "BaseRunner",
    "BinanceDataWarmer",
    "DetectorBar",
    "DetectorSettings",
    "HedgeGridV1",
    "HedgeGridV1Config",
    "LiveRunner",
    "PaperRunner",
    "Regime",
    "RegimeDetector",
    "StrategyConfigLoader",
    "VenueConfig",
    "VenueConfigLoader",
]

_HOMES = {
    "warmup_job.config": ("StrategyConfigLoader", "VenueConfig", "VenueConfigLoader"),
    "warmup_job.regime.detector": ("DetectorBar", "DetectorSettings", "Regime", "RegimeDetector"),
    "warmup_job.hedge_grid.strategy": ("HedgeGridV1", "HedgeGridV1Config"),
    "warmup_job.handoff.runner": ("BaseRunner",),
    "warmup_job.handoff.live_runner": ("LiveRunner",),
    "warmup_job.handoff.paper_runner": ("PaperRunner",),
    "warmup_job.data_warmer": ("BinanceDataWarmer",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
