"""The whole life of a live grid, with a silent oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Result, job
from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle import Bounds

pytestmark = pytest.mark.e2e
LATE = Bounds(unprotected_ms=20_000, duplicate_ms=20_000)
"""While its stream is mute, it compares the account every few seconds."""


def test_whole_life_of_a_live_grid(tmp_path: Path) -> None:
    """Start from a snapshot, trade, lose the stream, be killed, return, be paused, be flattened."""
    with live_trader(tmp_path, bounds=LATE) as trader:
        trader.start()
        trader.until_fills("E", 2)
        trader.until_fills("T")

        trader.exchange.fault("user-mute")
        trader.until_fills("E")
        trader.until_accepted("S")  # of a fill that it was not told of
        trader.until_protected()
        trader.exchange.clear_faults()

        trader.kill()
        trader.start()
        trader.until_protected()
        trader.until_fills("E")

        control(trader, "pause")
        trader.until(lambda: not trader.open_orders("E"), "no entries while it is paused")
        trader.until_protected()
        trader.restart()  # it stays paused
        assert not trader.open_orders("E")
        control(trader, "resume")
        trader.until_fills("E", 2)

        flat = control(trader, "flatten")
        assert "closed" in flat.out
        assert not trader.held()
        trader.until(lambda: not trader.open_orders(), "no orders once it is flat")
        trader.until_reported()
        trader.terminate()


def control(trader: LiveTrader, command: str) -> Result:
    done = job("trader", command, "--config", trader.config)
    assert done.code == 0, done.err
    return done
