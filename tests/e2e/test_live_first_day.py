"""A live grid's first day: it starts from a snapshot, trades, and ends in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e
FILLS = 60 if FULL else 6
BARS = 20 if FULL else 2


def test_first_day_of_a_live_grid(tmp_path: Path) -> None:
    """An hour's movement of prices in some two minutes: signed requests need the real clock."""
    with live_trader(tmp_path, volatility_bps=120.0) as trader:
        trader.start()
        started_ms = trader.exchange.now_ms()
        trader.until_fills("E", FILLS)
        trader.until(trader.held, "a position")
        trader.pay_funding("0.002")
        trader.transfer("-500")
        trader.until_fills("T", FILLS // 4)
        trader.until(lambda: ladders(trader, started_ms) >= BARS, f"{BARS} ladders")
        trader.until_protected()
        trader.until_reported()
        trader.terminate()
        verdict = trader.verdict()
        assert verdict.unprotected_ms, "nothing was ever held"
        reasons = {each["reason"] for each in trader.journal if each["event"] == "wallet"}
        assert reasons == {"TRADE", "COMMISSION", "FUNDING", "TRANSFER"}
        assert not trader.errors()
        # The policy of trade.on_stop: entries are cancelled, exits stay.
        assert not trader.open_orders("E")
        assert trader.is_protected()  # a target that is filled since leaves its stop alone


def ladders(trader: LiveTrader, since_ms: int) -> int:
    """Return in how many minutes entries were accepted."""
    trader.account()
    return len(
        {
            each["at_ms"] // 60_000
            for each in trader.journal
            if each["event"] == "order"
            and each["status"] == "NEW"
            and each["client_id"].startswith("E-")
            and each["at_ms"] >= since_ms
        }
    )
