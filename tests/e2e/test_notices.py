"""A running trader posts notices, and reports the figures of its grid."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.operators import operated, operated_live, snapshot_for_live
from tests.support.oracle import Bounds
from tests.support.suite import HANG_S
from tests.support.waiting import until
from tests.support.webhook_receiver import receiving

pytestmark = pytest.mark.e2e
READINGS_BEFORE = 4
"""How often the positions are read for the requirements of live trading, and by Nautilus."""


def test_trader_posts_when_it_is_live_paused_and_stopped_and_never_shows_the_url(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=0.1)
    with receiving() as receiver:
        config = write_config(
            tmp_path, running.url, ws_url=running.ws_url,
            trade={"notify": {"url": "${HOOK}", "format": "json"}, "http_port": 0},
        )  # fmt: skip
        state_dir = tmp_path / "state"
        with operated(config, "paper", state_dir, {"HOOK": receiver.url}) as trader:
            report = trader.until(lambda report: report["orders_open"] >= 8)
            (grid,) = report["grids"]
            assert Decimal(grid["equity"]) == 10_000
            assert grid["open_orders"]["entry"] == report["orders_open"]
            assert set(grid["books"]) == {"LONG", "SHORT"}
            words = "probes and metrics at "
            (line,) = [each for each in trader.log.read_text().splitlines() if words in each]
            url = json.loads(line)["message"].partition(words)[2]
            name = 'warmup_grid_open_orders{instrument="BTCUSDT-PERP.BINANCE",kind="entry"}'

            def is_measured(report: dict[str, Any]) -> bool:
                with urllib.request.urlopen(f"{url}/metrics") as answer:
                    lines = answer.read().decode().splitlines()
                return f"{name} {report['orders_open']:.1f}" in lines

            trader.until(is_measured)  # more entries may be on their way
            assert trader.ask("pause").code == 0
            until(
                lambda: any(each["event"] == "paused" for each in receiver.bodies),
                receiver.bodies,
                process=trader.process,
            )
            assert trader.stop() == 143
    # A busy machine may be late with a bar, which degrades the trader for a moment.
    events = [each["event"] for each in receiver.bodies if each["event"] != "degraded"]
    assert [event for event, _ in groupby(events)] == ["live", "paused", "stopped"]
    assert receiver.bodies[0]["trader"] == "paper trader of BTCUSDT"
    assert receiver.bodies[-1]["text"] == "stopped: it was asked to stop"
    written = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert trader.log in written
    assert not [each for each in written if b"very-secret" in each.read_bytes()]


def test_trader_posts_when_the_account_cannot_be_read_since_its_start(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=0.1)
    with receiving() as receiver:
        notify = {"url": receiver.url, "format": "json"}
        config = snapshot_for_live(tmp_path, running, trade={"notify": notify})
        running.fault(f"503@/fapi/v3/positionRisk:after={READINGS_BEFORE}")
        with operated_live(config, running) as trader:
            until(
                lambda: any(each["event"] == "degraded" for each in receiver.bodies),
                lambda: f"{receiver.bodies}\n{trader.log.read_text()}",
                process=trader.process,
            )
            running.clear_faults()
            trader.until(lambda report: report["state"] == "live")
            assert trader.stop() == 143
            lines = [json.loads(each) for each in trader.log.read_text().splitlines()]
    assert "the account cannot be read for " in receiver.bodies[0]["text"]
    (told,) = [each for each in lines if "the account cannot be read for " in each["message"]
               and each["level"] != "INFO"]  # fmt: skip
    assert told["level"] == "ERROR"


def test_trader_posts_when_a_position_has_no_stop_and_when_it_has_one_again(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=30)
    # Each stop is sent again, until it is accepted; how long that takes is the notice's time.
    running.fault("reject=-1008@POST/algoOrder")
    patience = Bounds(unprotected_ms=round(HANG_S * 1000))
    with receiving() as receiver:
        notify = {"url": receiver.url, "format": "json", "unprotected_after": "1s"}
        config = snapshot_for_live(tmp_path, running, trade={"notify": notify})
        with operated_live(config, running, patience) as trader:

            def told(event: str) -> list[str]:
                return [each["text"] for each in receiver.bodies if each["event"] == event]

            until(lambda: told("unprotected"), trader.log.read_text, process=trader.process)
            text = told("unprotected")[0]
            assert re.search(
                r"BTC of the (LONG|SHORT) position of BTCUSDT-PERP.BINANCE: it was not accepted: "
                "-1008 ", text,
            ), text  # fmt: skip
            running.clear_faults()
            until(lambda: told("protected"), trader.log.read_text, process=trader.process)
            assert told("protected")[0].endswith(("has a stop loss again", "is closed"))


def test_trader_that_cannot_start_posts_the_reason(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """And a webhook that refuses does not change the exit code."""
    running = start_exchange()
    with receiving(404) as receiver:
        config = write_config(
            tmp_path, running.url, ws_url=running.ws_url, trade={"notify": {"url": receiver.url}}
        )
        with operated(config, "live", tmp_path / "state") as trader:
            assert trader.process.wait(HANG_S) == 22
        pid = trader.process.pid
    (body,) = receiver.bodies
    assert body["text"].startswith("live trader of BTCUSDT: did not start (order ids …-")
    assert f", pid {pid}, state folder {tmp_path / 'state'}): live trading is" in body["text"]


def test_trader_posts_what_a_flatten_has_closed_and_logs_it(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=30)
    with receiving() as receiver:
        config = write_config(
            tmp_path, running.url, ws_url=running.ws_url,
            trade={"notify": {"url": receiver.url, "format": "json"}},
        )  # fmt: skip
        with operated(config, "paper", tmp_path / "state") as trader:
            trader.until(lambda report: report["positions_open"])
            flat = trader.ask("flatten")
            assert flat.code == 0, flat.err
            closed = [
                f"closed {each['quantity']} of {each['position']} at {each['price']}"
                for each in flat.json["flat"]["closed"]
            ]
            assert closed
            assert flat.json["report"]["flatten"]["end"] == flat.json["flat"]

            def ends() -> list[str]:
                return [each["text"] for each in receiver.bodies if each["event"] == "flat"]

            until(ends, receiver.bodies, process=trader.process)
            (text,) = ends()
            assert text.split("; ")[:-2] == closed
            log = trader.log.read_text()
            assert all(f"flatten: {each}" in log for each in closed)
            assert trader.stop() == 143
