"""exchangeInfo: its weight, the plan's weight, and values that are not known yet."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S
from tests.support.waiting import until

pytestmark = pytest.mark.e2e
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def prepared(running: Exchange, market: str) -> Exchange:
    """An exchange that has made its months, which takes so long on a busy machine that a client
    would ask again.
    """
    path = "/fapi/v1/klines" if market == "um" else "/api/v3/klines"
    for symbol in SYMBOLS:
        urllib.request.urlopen(f"{running.url}{path}?symbol={symbol}&interval=1M&limit=99").close()
    urllib.request.urlopen(
        urllib.request.Request(f"{running.url}/_sim/reset", method="POST")
    ).close()
    return running


def config_of(folder: Path, exchange: Exchange, market: str, streams: list[dict[str, Any]]) -> Path:
    return write_config(
        folder, exchange.url, venue={"market": market},
        warmup={"on_failure": "fail", "streams": streams, "require": "proven"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("market", "weights"),
    [
        # Three streams of 300 bars and one of 600, and the monthly klines of each.
        ("um", {"time": 1, "exchange_info": 1, "klines": 3 * 2 + 5, "bounds": 4}),
        ("spot", {"time": 1, "exchange_info": 20, "klines": 3 * 2 + 2, "bounds": 8}),
    ],
)
def test_plan_weight_equals_the_spent_weight(
    start_exchange: Callable[..., Exchange], tmp_path: Path, market: str, weights: dict[str, int]
) -> None:
    running = prepared(start_exchange(seed=7), market)
    streams = [{"symbol": symbol, "interval": "1m", "bars": 300} for symbol in SYMBOLS]
    streams.append({"symbol": "ETHUSDT", "interval": "5m", "bars": 600})
    config = config_of(tmp_path, running, market, streams)
    planned = job("plan", "--config", config, "--json").json
    assert planned["weights"] == weights
    assert planned["weight"] == sum(weights.values())

    done = job("run", "--config", config, "--root", tmp_path / "s", "--json")
    assert done.code in {0, 14}, done.err  # 300 bars do not have to prove a regime
    # On a busy machine a response can exceed the client's timeout: then it asks once more.
    asked = [(each["path"], str(each["params"]), each["weight"]) for each in running.requests()]
    assert sum(weight for *_, weight in set(asked)) == planned["weight"]
    assert done.json["manifest"]["weight_spent"] == sum(weight for *_, weight in asked)


def info_requests(running: Exchange) -> list[dict[str, Any]]:
    return [each for each in running.requests() if each["path"].endswith("/exchangeInfo")]


def test_spot_symbol_missing_in_exchange_info_is_reported(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Spot refuses the whole request because of one symbol: the others are still published."""
    running = prepared(start_exchange(seed=7), "spot")
    names = (*SYMBOLS, "NOSUCHUSDT")
    streams = [{"symbol": name, "interval": "1m", "bars": 50} for name in names]
    config = config_of(tmp_path, running, "spot", streams)
    done = job("run", "--config", config, "--root", tmp_path / "s", "--json")
    assert done.code >= 12
    assert any("NOSUCHUSDT" in line for line in done.messages)
    assert {each["symbol"] for each in done.json["manifest"]["streams"]} == set(SYMBOLS)
    assert len(info_requests(running)) == 5  # all four, then two and two, one and one


@pytest.mark.parametrize("symbol", ["XRPUSDT", "BTCUSDT"])
def test_trader_starts_despite_values_that_nautilus_does_not_know(
    start_exchange: Callable[..., Exchange], tmp_path: Path, symbol: str
) -> None:
    """The values belong to another symbol, or to fields from which no instrument is built."""
    running = start_exchange(seed=7)
    running.fault(f"enum={symbol}")
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    log = tmp_path / "log"
    with job_process(
        "trade", "--config", config, "--root", tmp_path / "s", "--mode", "paper", log=log
    ) as trader:
        until(lambda: "live: contiguous" in log.read_text() or trader.poll() is not None, "live")
        trader.terminate()
        trader.communicate(timeout=HANG_S)
    output = log.read_text()
    assert "live: contiguous" in output, output[-3000:]
    assert ("ignoring values of exchangeInfo" in output) == (symbol == "BTCUSDT")
