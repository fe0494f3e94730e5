"""An operator pauses, resumes and flattens a running trader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.operators import operated

pytestmark = pytest.mark.e2e
CALM = 0.1  # volatility per minute, bps: no rung is reached


def is_live(report: dict[str, Any]) -> bool:
    return bool(report["state"] == "live" and report["orders_open"] >= 8)


def test_pause_holds_entries_back_over_a_restart_until_resume(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=CALM)
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    state_dir = tmp_path / "state"
    with operated(config, "paper", state_dir) as trader:
        trader.until(is_live)
        assert trader.ask("pause").code == 0
        report = trader.until(lambda report: not report["orders_open"])
        assert report["state"] == "paused"
        assert "paused by the operator" in report["why"]
        assert not report["trading"]
        assert trader.stop() == 143
    with operated(config, "paper", state_dir) as trader:
        report = trader.until(lambda report: report["state"] == "paused")
        assert not report["orders_open"]
        assert trader.ask("resume").code == 0
        trader.until(is_live)
        assert trader.stop() == 143
    with operated(config, "paper", state_dir) as trader:
        trader.until(is_live)
