"""An operator lets a grid trade again that its drawdown has stopped."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job
from tests.support.live_trader import LiveTrader, live_trader

pytestmark = pytest.mark.e2e


def grid_of(trader: LiveTrader) -> dict[str, Any]:
    done = job("trader", "status", "--state-dir", trader.folder / "state", "--json")
    (grid,) = done.json["report"]["grids"]
    return dict(grid)


def lose(trader: LiveTrader) -> None:
    """Pay much funding on the larger book."""
    held = trader.held()
    net = held.get("LONG", Decimal(0)) - held.get("SHORT", Decimal(0))
    for _ in range(20 if net else 0):
        trader.pay_funding("0.005" if net > 0 else "-0.005")


def test_resume_after_drawdown_lets_a_stopped_grid_trade_again_also_after_a_restart(
    tmp_path: Path,
) -> None:
    limit = {"risk_management": {"max_drawdown_pct": 1}}
    with live_trader(tmp_path, grid=limit) as trader:
        trader.start()
        trader.until_fills("E")

        def is_stopped() -> bool:
            lose(trader)
            return bool(grid_of(trader)["is_stopped"])

        trader.until(is_stopped, "the drawdown has stopped the grid")
        trader.until(lambda: not trader.open_orders("E"), "its entries are cancelled")
        state_dir = ("--state-dir", tmp_path / "state")
        plain = job("trader", "resume", *state_dir)
        assert "no entries, the drawdown limit was reached" in plain.out
        assert "resume --after-drawdown` lifts this" in plain.out
        assert "resume --after-drawdown` lifts this" in job("trader", "status", *state_dir).out
        trader.restart()
        trader.until(lambda: grid_of(trader)["is_stopped"], "the stop survives the restart")

        lifted = job("trader", "resume", "--after-drawdown", *state_dir)
        assert lifted.code == 0, lifted.err
        assert "the drawdown stop is lifted" in lifted.out
        assert not grid_of(trader)["is_stopped"]
        trader.until_accepted("E")
        again = job("trader", "resume", "--after-drawdown", *state_dir)
        assert "no drawdown had stopped the entries" in again.out
        trader.restart()
        trader.until_accepted("E")
        assert not grid_of(trader)["is_stopped"]
        trader.terminate()
