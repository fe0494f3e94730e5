"""Backtest HedgeGridV1 on a published snapshot with Nautilus' BacktestNode, and print its reports.

    python examples/backtest.py [WARMUP.yaml] [ROOT]

The strategy class and its file are those that trade on paper and live. ROOT is the volume that
`warmup-job run` published to. For more than a few hours of bars set `bars: 3000` in warmup.streams
and run `warmup-job run --config configs/demo.yaml --root ROOT`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.data import Bar
from nautilus_trader.trading.config import ImportableStrategyConfig

from warmup_job.config import load
from warmup_job.plan.resolve import resolve
from warmup_job.trader.strategies import make_strategies

config_file = sys.argv[1] if len(sys.argv) > 1 else "configs/demo.yaml"
plan = resolve(load(config_file, environ=os.environ))
root = Path(sys.argv[2]) if len(sys.argv) > 2 else plan.root
(strategy,) = make_strategies(plan.strategies)
module = type(strategy).__module__

run = BacktestRunConfig(
    engine=BacktestEngineConfig(
        logging=LoggingConfig(log_level="WARNING"),
        strategies=[
            ImportableStrategyConfig(
                strategy_path=f"{module}:{type(strategy).__name__}",
                config_path=f"{module}:{type(strategy.config).__name__}",
                config=strategy.config.json_primitives(),
            )
        ],
    ),
    venues=[
        BacktestVenueConfig(
            name="BINANCE",
            oms_type="HEDGING",
            account_type="MARGIN",
            starting_balances=list(plan.trader.starting_balances),
            default_leverage=float(plan.venue.leverage),
            # As in Binance's hedge mode: an order's position says which side it closes.
            use_reduce_only=False,
        )
    ],
    data=[
        BacktestDataConfig(
            # Resolve the link once, so that a snapshot published meanwhile changes nothing.
            catalog_path=str((root / "current").resolve() / "catalog"),
            data_cls=Bar,
            bar_types=[str(strategy.config.bar_type)],
        )
    ],
    dispose_on_completion=False,
)
node = BacktestNode(configs=[run])
(result,) = node.run()
engine = node.get_engine(run.id)
print(engine.trader.generate_order_fills_report().tail(10).to_string())
print(engine.trader.generate_positions_report().tail(5).to_string())
print(
    f"{result.iterations} bars, {result.total_orders} orders, {result.total_positions} positions; "
    f"detector {engine.trader.strategies()[0].detector.describe()}"
)
for currency, figures in result.stats_pnls.items():
    for name, value in figures.items():
        print(f"{currency} {name}: {value:.4f}")
node.dispose()
