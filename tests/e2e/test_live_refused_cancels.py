"""A live grid whose cancels the exchange refuses, because it is overloaded."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.commands import Result, job
from tests.support.live_trader import LiveTrader, live_trader

pytestmark = pytest.mark.e2e
ENTRIES = 8
FAR = {"grid": {"grid_step_bps": 200, "grid_levels_long": 4, "grid_levels_short": 4}}
"""No entry is filled."""


def ask(trader: LiveTrader, command: str) -> Result:
    return job("trader", command, "--state-dir", trader.folder / "state")


def start_with_entries(trader: LiveTrader) -> None:
    trader.start()
    trader.until(lambda: len(trader.open_orders("E")) == ENTRIES, "all entries rest")


def cancels(trader: LiveTrader) -> dict[str, list[int]]:
    """Return when cancels of each order came, ms."""
    came = defaultdict(list)
    for each in trader.exchange.requests():
        if each["method"] == "DELETE" and each["path"].endswith("/order"):
            params = each["params"]
            came[params.get("orderId") or params["origClientOrderId"]].append(each["time"])
    return came


def logged(trader: LiveTrader, words: str) -> list[str]:
    lines = [str(each["message"]) for each in trader.lives[-1].lines]
    return [each for each in lines if words in each]


def test_refused_cancels_keep_the_waits_of_other_requests(tmp_path: Path) -> None:
    """Before, each refusal added a repetition, until the exchange limited the IP of all orders."""
    with live_trader(tmp_path, grid=FAR, volatility_bps=0.1) as trader:
        start_with_entries(trader)
        trader.exchange.fault("overload")
        paused = ask(trader, "pause")
        assert paused.code == 0
        assert "but 8 entries are not cancelled yet: -1008 " in paused.out
        assert "8 entries are not cancelled yet: -1008 " in ask(trader, "status").out
        trader.until(
            lambda: (
                len(cancels(trader)) == ENTRIES
                and all(len(each) >= 6 for each in cancels(trader).values())
            ),
            "each cancel was refused six times",
        )
        assert len(trader.open_orders("E")) == ENTRIES
        repairs = logged(trader, "renewing the user data stream")
        assert repairs == [], "a cancel that is kept is no difference of the account"
        for came in cancels(trader).values():
            # Half of 250 ms, doubled each time up to 4 s: on average 8 in 20 s, then one in 4 s.
            least = [min(125 * 2**number, 2_000) for number in range(len(came) - 1)]
            gaps = [after - before for before, after in pairwise(came)]
            assert all(gap >= wait - 5 for gap, wait in zip(gaps, least, strict=True)), gaps
        trader.exchange.clear_faults()
        trader.until(lambda: not trader.open_orders("E"), "the entries are cancelled")
        trader.until(lambda: logged(trader, "every order whose cancel was refused"), "it says so")
        assert ask(trader, "pause").out.startswith("paused: entries are held back, exits stay")
        assert "not cancelled" not in ask(trader, "status").out
        assert len(logged(trader, "cancelling 8 open order(s)")) == 1
        first, *counts = logged(trader, " refused")[:-1]
        assert "was refused: -1008 " in first
        assert all("cancels were refused in" in each for each in counts)
        assert not logged(trader, "OrderCancelRejected")
        assert not logged(trader, "limits or bans")
        trader.terminate()


def test_trader_that_ends_repeats_refused_cancels(tmp_path: Path) -> None:
    """Before, it gave up after 3 s."""
    with live_trader(tmp_path, grid=FAR, volatility_bps=0.1) as trader:
        start_with_entries(trader)
        trader.exchange.fault(f"overload@DELETE/order:times={4 * ENTRIES}")
        trader.terminate()
        assert trader.open_orders("E") == []
        assert trader.every_fault_fired()
        assert "open orders handled by trade.on_stop" in trader.lives[-1].log.read_text()


def test_trader_that_ends_names_the_entries_that_it_could_not_cancel(tmp_path: Path) -> None:
    """Before, it said that they were handled, and nothing else."""
    with live_trader(tmp_path, grid=FAR, volatility_bps=0.1) as trader:
        start_with_entries(trader)
        trader.exchange.fault("overload")
        trader.terminate()
        left = sorted(each["client_id"] for each in trader.open_orders("E"))
        assert len(left) == ENTRIES
        (alarm,) = trader.errors()
        assert alarm.startswith(
            f"8 ENTRIES ARE STILL OPEN ({', '.join(left)}); the cancel failed: "
        )
        assert "-1008 " in alarm
        assert logged(trader, "left open: no position; entries: 8, exits: 0, orders of others: 0")
        text = trader.lives[-1].log.read_text()
        assert "8 open entries NOT CANCELLED, see the ERROR above" in text
        assert "handled by trade.on_stop" not in text
