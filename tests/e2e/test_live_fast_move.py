"""A live grid while the price moves by 5 % within 20 seconds, down and up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.live_trader import PRICE, live_trader, recorded
from tests.support.made_up_recording import moves
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("first", [-5, 5] if FULL else [-5])
def test_fast_move_of_five_percent(tmp_path: Path, first: int) -> None:
    """Each minute moves, there and back, so that it does not matter when the trader is live."""
    with live_trader(tmp_path, **recorded(tmp_path, moves(PRICE, [first, -first] * 60))) as trader:
        trader.start()
        trader.until_fills("E", 3)
        trader.until_fills("S", 3)
        trader.until_protected()
        trader.until_reported()
        trader.terminate()
        assert not trader.errors()
