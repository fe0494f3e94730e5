"""A live trader compares its account with the exchange, and acts on what differs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.adapters.binance.common.enums import (
    BinanceAccountType,
    BinanceFuturesPositionSide,
    BinanceOrderSide,
    BinanceOrderType,
)
from nautilus_trader.adapters.binance.futures.http.account import BinanceFuturesAccountHttpAPI
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.common.component import LiveClock

from tests.support.config_files import LIVE_KEYS
from tests.support.exchange import Exchange
from tests.support.live_trader import PRICE, LiveTrader, live_trader
from tests.support.made_up_recording import turns
from tests.support.oracle import Bounds
from tests.support.suite import HANG_S

pytestmark = pytest.mark.e2e
LATE = Bounds(unprotected_ms=20_000, duplicate_ms=20_000)
UNKNOWN = Bounds(unprotected_ms=120_000, duplicate_ms=120_000)
"""It cannot learn of its fills, until it gives up after a minute and is started again."""
SLOW = turns(PRICE, 45, 1)
"""The price needs some 3 s from one rung to the next."""


async def sell_by_hand(exchange: Exchange) -> None:
    """Open a position on the account, as somebody else would."""
    clock = LiveClock()
    http = BinanceHttpClient(clock, LIVE_KEYS["KEY"], LIVE_KEYS["SECRET"], exchange.url)
    by_hand = BinanceFuturesAccountHttpAPI(http, clock, BinanceAccountType.USDT_FUTURES)
    await by_hand.new_order(
        symbol="BTCUSDT",
        side=BinanceOrderSide.SELL,
        order_type=BinanceOrderType.MARKET,
        position_side=BinanceFuturesPositionSide.SHORT,
        quantity="0.005",
        new_client_order_id="web_1",
    )


def account_of(trader: LiveTrader) -> dict[str, Any]:
    """Return what the trader's newest report says of the account."""
    report = json.loads((trader.folder / "state" / "live.json").read_text())
    return dict(report.get("account") or {})


def reasons(trader: LiveTrader) -> str:
    return "\n".join(seen.why for seen in trader.observations)


def until_agrees(trader: LiveTrader) -> None:
    """Wait for a report that was written from now on, and says that nothing differs."""
    at_ms = time.time_ns() // 1_000_000

    def agrees() -> bool:
        report = json.loads((trader.folder / "state" / "live.json").read_text())
        account = report.get("account") or {}
        is_equal = account.get("state") == "ok" and account.get("differences") == []
        return bool(report["at_ms"] > at_ms and is_equal)

    trader.until(agrees, "the account agrees")


def test_a_difference_that_cannot_be_repaired_ends_the_trader_and_the_next_start_takes_over(
    tmp_path: Path,
) -> None:
    with live_trader(tmp_path, bounds=UNKNOWN) as trader:
        trader.start()
        trader.until_fills("E")
        trader.exchange.fault("user-mute")
        trader.exchange.fault("503@GET/order")  # what became of an order cannot be asked for
        life = trader.lives[-1]
        life.running.wait(HANG_S)
        life.ended_ms = time.time_ns() // 1_000_000
        assert life.running.returncode == 21
        assert "the account differs from what the trader believes" in reasons(trader)
        lines = life.lines
        levels = {
            line["level"] for line in lines
            if line["message"].startswith("degraded: the account differs")
        }  # fmt: skip
        assert levels == {"INFO"}, "the watch of the account has logged it as an ERROR"
        (end,) = [each["message"] for each in lines if each["message"].startswith("stopping: ")]
        assert end.startswith("stopping: cannot go on: the account differs")
        assert "a new start takes the account over" in end
        trader.exchange.clear_faults()
        trader.start()
        trader.until_protected()
        until_agrees(trader)
        trader.terminate()


def test_a_truncated_history_and_trades_of_somebody_else_invent_no_position(tmp_path: Path) -> None:
    with live_trader(tmp_path) as trader:
        trader.exchange.fault("history=1")
        trader.exchange.fault("history=1@allOrders")
        trader.start()
        trader.until_fills("E", 2)
        trader.kill()
        trader.start()
        until_agrees(trader)
        asyncio.run(sell_by_hand(trader.exchange))
        trader.until_protected()
        until_agrees(trader)
        trader.terminate()
        log = trader.lives[-1].log.read_text()
        assert "-EXTERNAL" not in log.replace("LAST-EXTERNAL", "")
        assert "renewing the user data stream" not in log  # nothing had to be repaired


def test_a_repair_that_has_begun_when_the_trader_is_stopped_still_protects_its_positions(
    tmp_path: Path,
) -> None:
    """The fill is not heard, and its repair takes longer than the start of the end."""
    with live_trader(tmp_path, bounds=LATE, market=SLOW) as trader:
        trader.start()
        log = trader.lives[-1].log
        trader.exchange.fault("user-mute")
        trader.exchange.fault("delay=700ms@/fapi/v1/openAlgoOrders")
        trader.until_fills("E")
        repairs = log.read_text().count("renewing the user data stream")
        trader.until(
            lambda: log.read_text().count("renewing the user data stream") > repairs, "a repair"
        )
        trader.terminate()
        assert trader.held()
        assert trader.is_protected(), log.read_text()


def test_an_account_that_cannot_be_read_stops_entries_until_it_can(tmp_path: Path) -> None:
    with live_trader(tmp_path) as trader:
        trader.start()
        trader.exchange.fault("503@/fapi/v3/positionRisk")
        trader.until(lambda: account_of(trader)["state"] == "unknown", "the account is unknown")
        trader.until(lambda: "cannot be read" in reasons(trader), "entries stop")
        trader.exchange.clear_faults()
        until_agrees(trader)
        trader.terminate()


def test_a_clock_that_becomes_wrong_stops_entries(tmp_path: Path) -> None:
    """The exchange's clock is set, which is the same for the trader."""
    with live_trader(tmp_path) as trader:
        trader.start()
        trader.exchange.fault("skew=+20s")
        trader.until(lambda: "s behind the exchange's" in reasons(trader), "entries stop")
        trader.exchange.clear_faults()
        trader.until_state("live")
        trader.terminate()


def test_a_user_data_stream_that_nautilus_gave_up_is_connected_again(tmp_path: Path) -> None:
    with live_trader(tmp_path, bounds=LATE) as trader:
        trader.start()
        trader.exchange.fault("503@listenKey")
        trader.exchange.fault("user-expire")
        log = trader.lives[-1].log
        trader.until(lambda: "the user data stream is not connected" in log.read_text(), "it ends")
        assert "user data stream is NOT active" in log.read_text()
        trader.exchange.clear_faults()
        until_agrees(trader)
        trader.until_state("live")
        trader.until_fills("E")
        trader.until_protected()
        trader.terminate()
