"""A trader does not start with orders that the exchange's minimum would more than double."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import job
from tests.support.config_files import write_config, write_live_config
from tests.support.exchange import Exchange
from tests.support.operators import go_live, warmed

pytestmark = pytest.mark.e2e
NOW_MS = (
    1_795_808_593_000  # BTC is near 30,000, so an order needs 0.004 to be worth 100 at its stop
)


def with_base_qty(config: Path, base_qty: str) -> Path:
    strategy = config.with_name("strategy.yaml")
    strategy.write_text(strategy.read_text().replace("base_qty: 0.004", f"base_qty: {base_qty}"))
    return config


def test_order_sizes_refused_live_names_the_smallest_base_qty(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    config = with_base_qty(write_live_config(tmp_path, start_exchange(now_ms=NOW_MS)), "0.0015")
    warmed(config)
    done = go_live(config)
    assert done.code == 22, done.err
    assert "BTCUSDT-PERP.BINANCE: grid.base_qty 0.0015: the exchange's minimum" in done.err
    assert "set it to at least 0.004" in done.err


def test_order_sizes_refused_on_paper_is_a_configuration_error(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    root = tmp_path / "snapshot"
    config = with_base_qty(write_config(tmp_path, running.url, ws_url=running.ws_url), "0.0015")
    done = job(
        "trade", "--config", config, "--mode", "paper", "--root", root, "--stop-after", "60s"
    )
    assert done.code == 2, done.err
    assert "grid.base_qty 0.0015: the exchange's minimum" in done.err
