"""Somebody closes the positions of a live grid at the exchange, as its own app does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.common.component import LiveClock
from nautilus_trader.core.nautilus_pyo3 import HttpMethod

from tests.support.commands import job
from tests.support.config_files import LIVE_KEYS
from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle_replay import kind_and_key

pytestmark = pytest.mark.e2e


async def close_all_by_hand(trader: LiveTrader) -> None:
    """Cancel every order of the account, then close every position."""
    http = BinanceHttpClient(LiveClock(), *LIVE_KEYS.values(), trader.exchange.url)

    async def ask(method: HttpMethod, path: str, **params: str) -> None:
        now = {"timestamp": str(trader.exchange.now_ms())}
        await http.sign_request(method, f"/fapi/v1/{path}", {"symbol": "BTCUSDT", **params, **now})

    await ask(HttpMethod.DELETE, "allOpenOrders")
    await ask(HttpMethod.DELETE, "algoOpenOrders")
    for book, quantity in trader.held().items():
        await ask(
            HttpMethod.POST, "order", side="SELL" if book == "LONG" else "BUY", type="MARKET",
            positionSide=book, quantity=str(quantity), newClientOrderId=f"web_{book}",
        )  # fmt: skip


def grid_of(trader: LiveTrader) -> dict[str, Any]:
    done = job("trader", "status", "--state-dir", trader.folder / "state", "--json")
    (grid,) = done.json["report"]["grids"]
    return dict(grid)


def test_positions_closed_at_the_exchange_end_their_exits_without_an_alarm(tmp_path: Path) -> None:
    """One error would open the circuit breaker."""
    strict = {"risk_management": {"max_errors_per_minute": 1}}
    with live_trader(tmp_path, grid=strict) as trader:
        trader.start()
        trader.until_fills("E")
        trader.until_protected()
        closed = {kind_and_key(each["client_id"])[1] for each in trader.open_orders("S", "T")}
        asyncio.run(close_all_by_hand(trader))

        def is_over() -> bool:
            exits = {kind_and_key(each["client_id"])[1] for each in trader.open_orders("S", "T")}
            return not exits & closed

        trader.until(is_over, "no exit of a closed lot is left")
        trader.until_fills("E")  # it goes on, so no circuit breaker is open
        trader.until_protected()
        assert grid_of(trader)["block_kind"] == ""
        trader.terminate()
        log = trader.lives[-1].log.read_text()
        assert trader.errors() == []
        assert "circuit breaker" not in log
        assert "no stop loss" not in log
        refused = json.loads((tmp_path / "state" / "live.json").read_text())["rejections"]
        denied = [each for each in refused if each["kind"] == "denied" and each["code"] != "halted"]
        assert sum(each["count"] for each in denied) <= 2, refused  # halted: it ends
