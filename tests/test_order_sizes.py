"""What the exchange's minimum makes of configured sizes: reported, or refused above twice."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal as D
from typing import Any

import pytest

from tests.support.ladders import listed, settings
from tests.support.suite import REPO
from warmup_job.config import load
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.ladder import build_ladder
from warmup_job.hedge_grid.order_sizes import size_notes, size_problems
from warmup_job.plan.resolve import resolve
from warmup_job.regime.detector import Regime
from warmup_job.trader.imported_strategies import import_strategy


def warned(price: int = 60_000, **changes: Any) -> list[str]:
    notes = size_notes(D(price), settings(**{"qty_scale": D(1)} | changes), listed())
    return [note.text for note in notes]


def refused(price: int = 60_000, **changes: Any) -> list[str]:
    return size_problems(D(price), settings(**{"qty_scale": D(1)} | changes), listed())


def test_order_sizes_above_the_minimum_are_as_configured() -> None:
    assert warned(base_qty=D("0.020")) == []
    assert refused(base_qty=D("0.020")) == []


def test_order_sizes_raised_orders_are_named_with_the_size_that_avoids_it() -> None:
    """At 40,000 an order needs 0.003 for its exits to be worth 100."""
    first = warned(40_000)[0]
    assert first == (
        "the exchange's minimum raises 5 of 5 orders: LONG 1 from 0.002 to 0.003 (1.50 times), "
        "LONG 2 from 0.002 to 0.003 (1.50 times), LONG 3 from 0.002 to 0.003 (1.50 times) and 2 "
        "more BTC: with grid.base_qty 0.003 none is raised"
    )
    assert refused(40_000) == []


@pytest.mark.parametrize(("base", "is_warning"), [("0.0029", False), ("0.0028", True)])
def test_order_sizes_only_a_notable_rise_is_a_warning(base: str, is_warning: bool) -> None:
    """0.003 is 1.03 or 1.07 times the configured size; settings without effect are no warning."""
    notes = size_notes(D(40_000), settings(base_qty=D(base), qty_scale=D(1)), listed())
    assert [note.is_unusual for note in notes] == [is_warning, *[False] * (len(notes) - 1)]
    assert len(notes) > 1


def test_order_sizes_of_the_demo_are_not_raised_at_the_low_prices_of_its_market() -> None:
    plan = resolve(load(REPO / "configs/demo.yaml", environ={}))
    _, config = import_strategy(plan.strategies[0], 0)
    assert isinstance(config, HedgeGridV1Config)
    notes = size_notes(D(30_000), grid_settings(config), listed())
    assert not any(note.is_unusual for note in notes), notes
    assert not any("qty_scale 1.1 has no effect" in note.text for note in notes)


@pytest.mark.parametrize(("scale", "base"), [("1", "0.006"), ("0.5", "0.024")])
def test_order_sizes_more_than_twice_the_configured_size_are_refused(scale: str, base: str) -> None:
    (problem,) = refused(20_000, qty_scale=D(scale))
    assert problem.startswith("grid.base_qty 0.002: the exchange's minimum would raise 5 of 5 ")
    assert problem.endswith(f"set it to at least {base}")
    assert refused(20_000, qty_scale=D(scale), base_qty=D(base)) == []
    assert not any(
        "raises" in line for line in warned(20_000, qty_scale=D(scale), base_qty=D(base))
    )


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (
            {"min_order_quote": D("119.9")},
            ("risk.min_order_size_usdt 119.9: 3 of 5 orders are worth less, LONG 3 only 119.64 "
            "USDT: lower it or raise grid.base_qty"),
        ),
        (
            {"max_order_quote": D(120)},
            ("risk.max_order_size_usdt 120: 2 of 5 orders are worth more, SHORT 2 even 120.24 "
            "USDT: raise it or lower grid.base_qty"),
        ),
    ],
)  # fmt: skip
def test_order_sizes_that_the_venue_file_does_not_allow_are_refused_and_not_sent(
    limits: dict[str, Any], problem: str
) -> None:
    """Or every entry is denied on its way out, and the circuit breaker opens again and again."""
    assert refused(**limits) == [problem]
    sent = build_ladder(
        D(60_000), Regime.SIDEWAYS, settings(**{"qty_scale": D(1)} | limits), listed()
    )
    books = {rung.book for rung in sent}
    assert books == ({"SHORT"} if "min_order_quote" in limits else {"LONG"})


def test_order_sizes_within_the_venue_files_limits_are_sent() -> None:
    limits: dict[str, Any] = {"min_order_quote": D("119.6"), "max_order_quote": D("120.3")}
    assert refused(**limits) == []


def test_order_sizes_thinning_without_effect_is_reported() -> None:
    """The minimum is 0.002: half of 0.002 is raised to it, half of 0.003 too, half of 0.004 not."""
    none = warned(base_qty=D("0.002"))
    assert any("counter_qty_scale 0.5 has no effect on 2 of 2 orders" in line for line in none)
    assert any("funding cannot shrink 5 of 5 orders" in line for line in none)
    some = warned(base_qty=D("0.003"))
    assert any("counter_qty_scale 0.5 has less effect on 2 of 2 orders" in line for line in some)
    assert warned(base_qty=D("0.004")) == []


@pytest.mark.parametrize("scale", ["1.1", "0.9"])
def test_order_sizes_qty_scale_that_rounding_undoes_is_reported(scale: str) -> None:
    """Quantities are multiples of 0.001, and 0.002 is the exchange's minimum."""
    levels = {"levels_long": 2, "levels_short": 2}
    line = f"grid.qty_scale {scale} has no effect: the quantity step and the exchange's minimum "
    lines = warned(base_qty=D("0.002"), qty_scale=D(scale), **levels)
    assert f"{line}make all 4 orders 0.002 BTC" in lines
    larger = warned(base_qty=D("0.020"), qty_scale=D(scale), **levels)
    assert not any("qty_scale" in each for each in larger)


def test_order_sizes_qty_scale_of_a_single_level_is_reported() -> None:
    lines = warned(base_qty=D("0.020"), qty_scale=D(2), levels_long=1, levels_short=1)
    assert lines == ["grid.qty_scale 2 has no effect on a single level"]


@pytest.mark.parametrize("changes", [{"counter_levels": 0}, {"counter_qty_scale": D(0)},
                                     {"counter_qty_scale": D(1)}])  # fmt: skip
def test_order_sizes_policy_that_thins_nothing_is_not_reported(changes: dict[str, Any]) -> None:
    assert not any("counter_qty_scale" in line for line in warned(**changes))


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
    Venue("BINANCE"), OmsType.HEDGING, AccountType.MARGIN, [Money.from_str("100000 USDT")],
    default_leverage=D(10), bar_execution=False, use_reduce_only=False,
)
engine.add_instrument(instrument())
strategy = HedgeGridV1(config(base_qty=D("0.002"), grid_levels_short=0))
warm(strategy, 40_000.0)
engine.add_strategy(strategy)
market = Market().quote(1, "40000")
for minute, price in enumerate(("40000", "24000", "23700")):
    market.quote(2 + 60 * minute, price).bar(3 + 60 * minute, price)
engine.add_data(market.data)
engine.run()
ids = [order.client_order_id.value for order in engine.cache.orders()]
print("ENTRIES", sum(each.startswith("E-") for each in ids))
"""


def test_order_sizes_that_a_fall_makes_too_large_are_reported_once_and_not_sent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=REPO, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "Order sizes: " in line]
    assert sum("raises 3 of 3 orders" in line for line in lines) == 1, lines
    assert sum("to more than 2 times" in line for line in lines) == 1, lines
    assert not [each for each in lines if "WARN" not in each]
    assert "ENTRIES 3" in done.stdout, "those of the first bar"
