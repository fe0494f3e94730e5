"""A live grid that is ended and started again, at any moment: it takes over what it left."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle import Bounds
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e
ENDINGS = (signal.SIGKILL, signal.SIGTERM)


def while_it_rests(trader: LiveTrader) -> None:
    trader.until_protected()


def while_a_stop_is_on_its_way(trader: LiveTrader) -> None:
    """The entry is filled, and its stop has left the trader and has not arrived."""
    trader.exchange.fault("slow=3s@POST/algoOrder")
    trader.until_fills("E")


def while_an_entry_is_on_its_way(trader: LiveTrader) -> None:
    """An entry is accepted, and the answer has not arrived."""
    trader.exchange.fault("delay=3s@POST/order")
    trader.until_accepted("E")


def while_a_cancel_is_on_its_way(trader: LiveTrader) -> None:
    """One exit of a lot is filled, and the cancel of the other never arrives."""
    trader.exchange.fault("stall@DELETE/*rder")
    trader.until_fills("T")


SLOW = Bounds(unprotected_ms=8_000, duplicate_ms=8_000)
"""Some requests take 3 s."""
MOMENTS = (
    while_it_rests,
    while_a_stop_is_on_its_way,
    while_an_entry_is_on_its_way,
    while_a_cancel_is_on_its_way,
)


@pytest.mark.parametrize("ending", ENDINGS if FULL else ENDINGS[:1], ids=lambda each: each.name)
def test_restart_at_every_moment(tmp_path: Path, ending: signal.Signals) -> None:
    with live_trader(tmp_path, bounds=SLOW) as trader:
        trader.start()
        for moment in MOMENTS:
            trader.until_fills("E")
            moment(trader)
            trader.end(ending)
            trader.exchange.clear_faults()
            trader.start()
            trader.until_protected()
        trader.until_fills("E")
        ends_well(trader)


def test_restart_again_and_again(tmp_path: Path) -> None:
    """Each life ends as soon as it has traded."""
    with live_trader(tmp_path) as trader:
        trader.start()
        for ending in (*ENDINGS, *ENDINGS):
            trader.until_fills("E")
            trader.restart(ending)
        ends_well(trader)


def ends_well(trader: LiveTrader) -> None:
    trader.until_protected()
    trader.terminate()
