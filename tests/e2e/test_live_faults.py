"""A live grid under the faults of orders and of the account's events."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_trader import live_trader
from tests.support.oracle import Bounds
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e
AFTER_A_LOOK = Bounds(unprotected_ms=20_000, duplicate_ms=20_000)
"""The account is compared every few seconds, and a difference must be seen twice."""
FAULTS = {
    "events": (
        "user-late=2s",
        "user-double",
        "user-swap",
        "user-drop:times=1",
        "user-expire",
    ),
    "unknown": (
        "unknown=done@POST/order:times=1",
        "unknown=lost@POST/order:times=1",
        "unknown=done@POST/algoOrder:times=1",
        "unknown=lost@POST/algoOrder:times=1",
        "unknown=done/503@POST/*rder:times=2",
        "unknown=done@DELETE/*rder:times=1",
    ),
    "refused": (
        "overload@POST/algoOrder:times=2",
        "overload@POST/order:times=3",
        "stale@POST/algoOrder:times=2",
        "reject=-2022@POST/algoOrder:times=1",
        "reject=-4118@POST/algoOrder:times=1",
        "reject-cancel:times=3",
    ),
    "slow": (
        "slow=3s@DELETE/*rder",
        "slow=2s@POST/*rder",
        "pieces=5",
        "stall@POST/algoOrder:times=1",
        "reset@POST/*rder:every=3,times=4",
    ),
}


def cases() -> Iterable[object]:
    """Yield the faults together, or in full each for a trader alone."""
    for name, faults in FAULTS.items():
        if FULL:
            yield from (pytest.param((fault,), id=fault) for fault in faults)
        else:
            yield pytest.param(faults, id=name)


@pytest.mark.parametrize("faults", list(cases()))
def test_faults_of_a_live_grid(tmp_path: Path, faults: tuple[str, ...]) -> None:
    with live_trader(tmp_path, bounds=AFTER_A_LOOK) as trader:
        trader.start()
        for fault in faults:
            trader.exchange.fault(fault)
        trader.until_fills("E", 3)
        trader.until_fills("T")
        trader.until(trader.every_fault_fired, "every fault has hit something")
        trader.until_protected()
        trader.exchange.clear_faults()
        trader.until_state("live")
        trader.terminate()


def test_strict_exchange(tmp_path: Path) -> None:
    """It refuses closing orders beyond the position, fills in pieces and hides reduceOnly."""
    options: dict[str, Any] = {
        "closing_orders": "reject", "fill_pieces": 3, "hide_reduce_only": True, "latency_ms": 100,
    }  # fmt: skip
    with live_trader(tmp_path, bounds=AFTER_A_LOOK, **options) as trader:
        trader.start()
        trader.until_fills("E", 3)
        trader.kill()
        trader.start()
        trader.until_fills("T")
        trader.until_protected()
        trader.terminate()
