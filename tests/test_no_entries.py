"""A grid that cannot send any order logs the reason once; a grid that can logs nothing."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.made_up_market import config, instrument
from tests.support.suite import REPO
from warmup_job.hedge_grid.caps import Caps, caps_of
from warmup_job.hedge_grid.grid_config import grid_settings
from warmup_job.hedge_grid.ladder import build_ladder
from warmup_job.hedge_grid.no_entries import NoEntries, explain_no_entries
from warmup_job.hedge_grid.order_sizes import size_problems
from warmup_job.regime.detector import Regime

MID = D(50_000)


def why(
    *, equity: str = "100000", regime: Regime = Regime.SIDEWAYS, share: str = "1", **changes: Any
) -> NoEntries | None:
    settings, listed = config(**changes), instrument()
    grid = grid_settings(settings)
    caps = caps_of(D(equity), D(10), D("0.025"), settings)
    parts: Any = {"LONG": D(share), "SHORT": D(share)}
    ladder = build_ladder(MID, regime, grid, listed, parts)
    oversized = size_problems(MID, grid, listed)
    return explain_no_entries(ladder, caps, grid, listed, regime, parts, oversized)


def test_no_entries_grid_that_can_send_logs_nothing() -> None:
    assert why() is None
    assert why(grid_levels_short=0) is None


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        (
            {"max_position_size": D("0.003")}, "max_position_size",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; max_position_size allows 0.003 "
            "BTC per book: raise it or lower base_qty"),
        ),
        (
            {"max_position_size": D("0.001"), "base_qty": D("0.002")}, "max_position_size",
            ("the smallest order is 0.003 BTC, worth 149.85 USDT (the exchange's minimum); "
            "max_position_size allows 0.001 BTC per book: raise it"),
        ),
        (
            {"max_inventory_quote": D(150)}, "max_inventory_quote",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; max_inventory_quote allows "
            "150.00 USDT per book: raise it or lower base_qty"),
        ),
        (
            {"equity": "10", "max_position_pct": D("0.5")}, "max_position_pct",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; max_position_pct allows 5.00 "
            "USDT per book at an equity of 10.00 USDT: raise it or lower base_qty"),
        ),
        (
            {"equity": "10", "max_margin_pct": D("0.5")}, "max_margin_pct",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; max_margin_pct allows 50.00 "
            "USDT per book at an equity of 10.00 USDT: raise it or lower base_qty"),
        ),
        (
            {"equity": "100", "emergency_liquidation_buffer": D("0.975"), "max_margin_pct": D(1)},
            "emergency_liquidation_buffer",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; emergency_liquidation_buffer "
            "allows 100.00 USDT per book at an equity of 100.00 USDT: lower it or lower base_qty"),
        ),
        (
            {"max_leverage_used": D("0.003")}, "max_leverage_used",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; max_leverage_used allows 300.00 "
            "USDT for the nearest orders of both books together at an equity of 100000.00 USDT: "
            "raise it or lower base_qty"),
        ),
        (
            {"equity": "25", "max_leverage_used": D(20), "max_position_pct": D(14),
             "emergency_liquidation_buffer": D("0.05")},
            "leverage",
            ("the smallest order is 0.004 BTC, worth 199.80 USDT; leverage allows 250.00 USDT for "
            "the nearest orders of both books together at an equity of 25.00 USDT: raise it or "
            "lower base_qty"),
        ),
        (
            {"equity": "0"}, "equity",
            ("the account has no USDT: deposit some (in paper mode, set trade.starting_balances)"),
        ),
        (
            {"base_qty": D("0.001")}, "minimum",
            ("grid.base_qty 0.001: the exchange's minimum would raise 6 of 6 orders to more than 2 "
            "times their configured size, LONG 1 from 0.001 to 0.003 (3.00 times) BTC at a price "
            "of 49950: set it to at least 0.003"),
        ),
        (
            {"base_qty": D(5000)}, "instrument",
            ("the first order exceeds the exchange's largest quantity, notional or price: lower "
            "base_qty or change grid_step_bps"),
        ),
    ],
)  # fmt: skip
def test_no_entries_reasons_are_logged(changes: dict[str, Any], kind: str, text: str) -> None:
    assert why(**changes) == NoEntries(kind, text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"regime": Regime.UP, "policy": "core-and-scalp", "counter_levels": 0},
            "policy core-and-scalp has none in regime UP (counter_levels 0, counter_qty_scale 0.5)",
        ),
        ({"share": "0"}, "funding costs more than funding_max_cost_bps"),
    ],
)
def test_no_entries_intended_settings_are_no_warning(changes: dict[str, Any], text: str) -> None:
    found = why(**changes)
    assert found is not None
    assert (found.text, found.is_wanted) == (text, True)


def test_no_entries_without_position_validation_names_no_equity() -> None:
    listed, grid = instrument(), grid_settings(config())
    ladder = build_ladder(MID, Regime.SIDEWAYS, grid, listed)
    found = explain_no_entries(ladder, Caps(D(100)), grid, listed, Regime.SIDEWAYS, {})
    assert found is not None
    assert "max_inventory_quote allows 100.00 USDT per book: raise it" in found.text


SCRIPT = """
from decimal import Decimal as D
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from tests.support.made_up_market import Market, config, instrument, warm
from warmup_job.hedge_grid.strategy import HedgeGridV1

logs = LoggingConfig(log_level="WARNING", log_colors=False)
engine = BacktestEngine(BacktestEngineConfig(logging=logs))
engine.add_venue(
    Venue("BINANCE"), OmsType.HEDGING, AccountType.MARGIN, [Money.from_str("BALANCE")],
    default_leverage=D(10), bar_execution=False, use_reduce_only=False,
)
engine.add_instrument(instrument())
strategy = HedgeGridV1(config(max_position_size=D("MOST")))
warm(strategy)
engine.add_strategy(strategy)
market = Market().quote(1, "50000")
for minute in range(6):
    price = str(50000 + 700 * minute)
    market.quote(2 + 60 * minute, price).bar(3 + 60 * minute, price)
engine.add_data(market.data)
engine.run()
print("ORDERS", engine.cache.orders_total_count())
"""


@pytest.mark.parametrize(
    ("balance", "most", "words", "orders"),
    [
        ("100000 USDT", "0.001", "max_position_size allows 0.001 BTC", False),
        ("3 BTC", "1", "the account has no USDT", False),
        ("0 USDT", "1", "the account has no USDT", False),
        ("100000 USDT", "1", "", True),
    ],
)
def test_no_entries_is_logged_once_while_the_ladder_moves(
    balance: str, most: str, words: str, orders: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("BALANCE", balance).replace("MOST", most)],
        cwd=REPO, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "No entries: " in line]
    assert len(warnings) == (1 if words else 0), done.stdout
    assert all(words in line and "WARN" in line for line in warnings)
    assert ("ORDERS 0" not in done.stdout) is orders
