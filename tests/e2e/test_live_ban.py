"""A live grid whose IP Binance bans when it sends a stop loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.live_trader import live_trader
from tests.support.oracle import Bounds

pytestmark = pytest.mark.e2e
BAN_MS = 8_000
BOUNDS = Bounds(unprotected_ms=BAN_MS + 10_000)
"""The ban, and enough for a busy machine."""


def test_live_ban_holds_back_every_request_until_its_end(tmp_path: Path) -> None:
    """Before, other lots, cancels, klines and readings went on, and made a real ban longer."""
    with live_trader(tmp_path, bounds=BOUNDS, latency_ms=20) as trader:
        trader.start()
        trader.exchange.fault(f"banned={BAN_MS}ms@POST/algoOrder:times=1")
        trader.until_fills("E")
        trader.until(lambda: [each for each in trader.errors() if "bans this IP" in each], "a ban")
        trader.until_accepted("S")
        trader.until_protected()
        trader.terminate()
        requests = trader.exchange.requests()
        refused = [each for each in requests if "banned" in (each["fault"] or "")]
        assert len(refused) == 1
        at_ms = refused[0]["time"]
        # What was on its way may still arrive.
        during = [
            each["path"] for each in requests if at_ms + 1_000 < each["time"] < at_ms + BAN_MS
        ]
        assert during == [], "nothing is sent during a ban"
