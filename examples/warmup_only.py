"""Use the warm-up as a library: fetch bars, feed a regime detector, print its state.

    python examples/warmup_only.py [VENUE.yaml] [SYMBOL]

With a local exchange running (`warmup-job exchange`), the default venue needs no internet:
configs/venues/simulated.yaml. Against Binance use configs/venues/binance_futures.yaml.
"""

from __future__ import annotations

import sys

from nautilus_trader.model.data import BarType

from warmup_job import (
    BinanceDataWarmer,
    DetectorSettings,
    RegimeDetector,
    StrategyConfigLoader,
    VenueConfigLoader,
)

venue_file = sys.argv[1] if len(sys.argv) > 1 else "configs/venues/simulated.yaml"
symbol = sys.argv[2] if len(sys.argv) > 2 else "BTCUSDT"

regime = StrategyConfigLoader.load("configs/strategies/hedge_grid_v1.yaml").regime
settings = DetectorSettings(
    ema_fast=regime.ema_fast,
    ema_slow=regime.ema_slow,
    adx_len=regime.adx_len,
    atr_len=regime.atr_len,
    hysteresis_bps=regime.hysteresis_bps,
)
bar_type = BarType.from_str(f"{symbol}-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")

with BinanceDataWarmer(VenueConfigLoader.load(venue_file)) as warmer:
    bars = warmer.fetch_historical_bars(symbol=symbol, bar_type=bar_type, num_bars=100)
    # One page has up to 499 bars. The job computes what it needs (docs/explanation/warmth.md).
    detector_bars = warmer.fetch_detector_bars(symbol=symbol, num_bars=499, interval="1m")

print(f"{len(bars)} bars for Nautilus, the last one:\n  {bars[-1]}")
detector = RegimeDetector(settings)
for bar in detector_bars:
    detector.update(bar)
print(f"{len(detector_bars)} bars for the detector: {detector.describe()}")
print("warm" if detector.is_warm else "still cold")
