"""A live grid whose stops the exchange does not take, under both of Binance's possible rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.live_trader import DEEP, LiveTrader, live_trader
from tests.support.oracle import Bounds
from tests.support.suite import FULL
from warmup_job.handoff.live_account.stuck_triggers import STUCK_S

pytestmark = pytest.mark.e2e
AT_ONCE = Bounds(unprotected_ms=2_000)
"""Enough for a busy machine, and much less than the time until the next bar."""
STUCK = Bounds(unprotected_ms=15_000)
"""Enough for a busy machine; without a query it takes 50 s."""
STUCK_UNTOLD = Bounds(unprotected_ms=30_000, duplicate_ms=30_000)
"""Two readings and a repair come first, and cancels of stops are missed in the same way."""
RULES = ("expire", "reject")
"""What happens to a closing order that is larger than its position."""


def rules(usual: str) -> Iterable[str]:
    """Return the rules to test; in full both."""
    return RULES if FULL else (usual,)


def late_fills(trader: LiveTrader) -> list[str]:
    """Return the ids of the stops that were filled long after their trigger."""
    trader.account()
    triggered_ms = {
        each["client_id"]: each["at_ms"]
        for each in trader.journal
        if each["event"] == "order" and each["status"] == "TRIGGERING"
    }
    return [
        each["client_id"]
        for each in trader.journal
        if each["event"] == "fill"
        and each["at_ms"] - triggered_ms.get(each["client_id"], each["at_ms"]) > STUCK_S * 1000
    ]


@pytest.mark.parametrize("rule", rules("expire"))
def test_stops_that_the_exchange_refuses_leave_no_lot_unprotected(
    tmp_path: Path, rule: str
) -> None:
    with live_trader(tmp_path, bounds=AT_ONCE, closing_orders=rule, latency_ms=20) as trader:
        trader.start()
        trader.until_fills("E")
        for fault in ("overload", "stale", "reject=-4118", "reject=-2022"):
            trader.exchange.fault(f"{fault}@POST/algoOrder:times=1")
        trader.until_fills("E", 6)
        trader.until(trader.every_fault_fired, "every fault has hit a stop")
        trader.until_protected()
        trader.terminate()
        closed = [each for each in trader.errors() if "at market" in each]
        for code in ("-4118", "-2022"):
            assert any(code in each for each in closed), closed


@pytest.mark.parametrize("rule", rules("reject"))
def test_stops_that_are_rejected_at_their_trigger_are_closed_at_market(
    tmp_path: Path, rule: str
) -> None:
    """The stops are two steps away, so that the swings of the market trigger them."""
    grid = {"exit": {"tp_steps": 1, "sl_steps": 2}}
    with live_trader(
        tmp_path, grid=grid, market=DEEP, bounds=AT_ONCE, closing_orders=rule, latency_ms=20
    ) as trader:
        trader.start()
        trader.exchange.fault("reject-trigger")
        trader.until_fills("S", 3)
        trader.exchange.clear_faults()
        trader.until_protected()
        trader.terminate()
        assert [each for each in trader.errors() if "REJECTED" in each]


@pytest.mark.parametrize("is_told", (True, False) if FULL else (False,))
def test_stops_that_stick_at_their_trigger_are_closed_at_market(
    tmp_path: Path, is_told: bool
) -> None:
    """Also if the event of the trigger is lost, so that the stop is missed by a reading."""
    grid = {"exit": {"tp_steps": 1, "sl_steps": 2}}
    bounds = STUCK if is_told else STUCK_UNTOLD
    with live_trader(tmp_path, grid=grid, market=DEEP, bounds=bounds, latency_ms=20) as trader:
        trader.start()
        trader.exchange.fault("stick-trigger:times=2")  # one's lot may take its profit
        if not is_told:
            trader.exchange.fault("user-mute@ALGO_UPDATE")
        trader.until(lambda: [each for each in trader.errors() if "expired" in each], "a close")
        trader.exchange.clear_faults()
        trader.until_protected()
        trader.terminate()
        verdict = trader.verdict()
        assert verdict.longest_unprotected_ms >= STUCK_S * 1000
        if is_told:  # otherwise cancels of stops are missed too, and the stream counts as silent
            assert not [each for each in trader.observations if each.state == "degraded"]


@pytest.mark.parametrize("rule", rules("reject"))
def test_stops_that_stick_and_are_filled_late_close_no_more_than_is_held(
    tmp_path: Path, rule: str
) -> None:
    """Each lot was closed at market when its stop is filled after all, and closes another lot."""
    grid = {"exit": {"tp_steps": 3, "sl_steps": 3}}
    with live_trader(
        tmp_path, grid=grid, market=DEEP, bounds=STUCK, closing_orders=rule, latency_ms=20
    ) as trader:
        trader.start()
        trader.exchange.fault("stick-trigger=4s:times=3")
        trader.until(lambda: late_fills(trader), "a late fill of a stop")
        trader.until_protected()
        trader.terminate()
        assert not [each for each in trader.observations if each.state == "degraded"]
