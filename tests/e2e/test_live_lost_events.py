"""A live grid without its exchange, or without the events of its account, for a while."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle import Bounds
from tests.support.oracle_replay import number
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


def test_equity_is_binances_although_no_event_says_what_was_paid(tmp_path: Path) -> None:
    """What a repair finds out are fills; the balance after them is in the readings alone."""
    with live_trader(tmp_path, bounds=LATE) as trader:
        trader.start()
        trader.until_fills("E")
        trader.exchange.fault("user-mute")
        trader.until_fills("E", 2)
        muted_ms = int(trader.account()["now_ms"])

        def is_equal() -> bool:
            (grid,) = json.loads((tmp_path / "state" / "live.json").read_text())["grids"]
            trader.account()
            paid = [each for each in trader.journal if each["event"] == "wallet"]
            known = [each for each in paid if each["at_ms"] <= grid["result_at_ms"]]
            wallet = Decimal(grid["equity"]) - Decimal(grid["unrealised"])
            return grid["result_at_ms"] > muted_ms and wallet == number(known[-1]["balance"])

        trader.until(is_equal, "the equity is the wallet and the unrealised result")
        trader.exchange.clear_faults()
        trader.until_protected()
        trader.terminate()


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
