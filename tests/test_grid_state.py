"""The state that the grid offers to be saved: after each fill, and before the first one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D

import pytest
from nautilus_trader.backtest.engine import BacktestEngine

from tests.support.made_up_market import Market, config, make_engine, run, warm
from warmup_job.hedge_grid.grid_state import SavedLot, decode_state, describe_old_exits
from warmup_job.hedge_grid.ladder import ExitSteps
from warmup_job.hedge_grid.strategy import HedgeGridV1


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def test_grid_state_has_the_entry_before_its_fill_and_the_lot_after_it(
    engine: BacktestEngine,
) -> None:
    strategy = HedgeGridV1(config(grid_levels_long=1, grid_levels_short=0))
    warm(strategy)
    states: list[list[tuple[str, D, D]]] = []

    def note() -> None:
        lots = decode_state(strategy.on_save()["grid"]).lots
        states.append([(lot.book, lot.entry, lot.quantity) for lot in lots])

    strategy.on_state_change = note
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    run(engine, strategy, market.quote(10, "49940").quote(20, "50010").quote(21, "50010"))
    seen = [state for at, state in enumerate(states) if at == 0 or state != states[at - 1]]
    entry, lot = ("LONG", D(49950), D(0)), ("LONG", D(49950), D("0.004"))
    assert seen == [[], [entry], [lot], []]


def test_grid_state_names_the_settings_that_old_lots_keep() -> None:
    now = ExitSteps(D(50), 2, 8)
    old = SavedLot("a", "LONG", D(50000), D("0.004"), D(10), 1, 30)
    new = SavedLot("b", "LONG", D(50000), D("0.004"), *now)
    entry = SavedLot("c", "LONG", D(50000), D(0), D(10), 1, 30)
    assert describe_old_exits([new, entry], now) == ""
    text = describe_old_exits([old, new], now)
    assert "1 with grid_step_bps 10, tp_steps 1, sl_steps 30" in text
    assert "New lots use grid_step_bps 50, tp_steps 2, sl_steps 8" in text
