"""A running trader posts notices, and reports the figures of its grid."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.operators import operated
from tests.support.suite import HANG_S
from tests.support.waiting import until
from tests.support.webhook_receiver import receiving

pytestmark = pytest.mark.e2e


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
            with urllib.request.urlopen(f"{url}/metrics") as answer:
                lines = answer.read().decode().splitlines()
            name = 'instrument="BTCUSDT-PERP.BINANCE"'
            assert (
                f'warmup_grid_open_orders{{{name},kind="entry"}} {report["orders_open"]}' in lines
            )
            assert trader.ask("pause").code == 0
            until(lambda: len(receiver.bodies) == 2, receiver.bodies, process=trader.process)
            assert trader.stop() == 143
    assert [each["event"] for each in receiver.bodies] == ["live", "paused", "stopped"]
    assert receiver.bodies[0]["trader"] == "paper trader of BTCUSDT"
    assert receiver.bodies[2]["text"] == "stopped: it was asked to stop"
    written = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert trader.log in written
    assert not [each for each in written if b"very-secret" in each.read_bytes()]


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
    (body,) = receiver.bodies
    assert body["text"].startswith("live trader of BTCUSDT: stopped: live trading is refused")
