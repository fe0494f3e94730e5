"""A live grid without its exchange, or without the events of its account, for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle import Bounds
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e
OUTAGE_S = 300 if FULL else 10
LATE = Bounds(unprotected_ms=20_000, duplicate_ms=20_000)
"""The account is compared every few seconds, and a difference must be seen twice."""


def test_mute_user_data_stream(tmp_path: Path) -> None:
    """The account changes, and no event says so: the trader finds out and protects what it has."""
    with live_trader(tmp_path, bounds=LATE) as trader:
        trader.start()
        trader.until_fills("E")
        trader.exchange.fault("user-mute")
        trader.until_fills("E", 2)
        trader.until_accepted("S")  # of a fill that it was not told of
        trader.until_protected()
        trader.exchange.clear_faults()
        trader.until_state("live")
        trader.until_protected()
        ends_well(trader)


def test_outage_of_the_exchange(tmp_path: Path) -> None:
    """The port refuses connections while the exchange goes on matching."""
    with live_trader(tmp_path) as trader:
        trader.start()
        trader.until_fills("E", 2)
        from_ms = trader.exchange.now_ms()
        trader.exchange.fault(f"refuse:for={OUTAGE_S}s")
        trader.until_state("degraded")
        trader.until_state("live")
        trader.until_protected()
        trader.excuse(from_ms, "the exchange could not be reached")
        ends_well(trader)


def ends_well(trader: LiveTrader) -> None:
    trader.terminate()
    trader.assert_the_oracle_is_silent()
    trader.assert_the_wallet_is_as_reported()
