"""docs/how-to/live-checklist.md: a test account's probe, on a local exchange of either kind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.exchange import Exchange
from tests.support.suite import HANG_S, REPO

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("whole_ccxt")]

ANSWERS = {
    "expire": {"7": "accepted", "8": "accepted", "10": "accepted", "12": "accepted", "13": "0 "},
    "reject": {"7": "-4118", "8": "-4118", "10": "-4118", "12": "-4118", "14": "accepted"},
}
SAME = {"1": "accepted", "2": "-4116", "4": "accepted", "5": "accepted", "6": "accepted"}


def probe(folder: Path, exchange: Exchange, **api: Any) -> subprocess.CompletedProcess[str]:
    venue = folder / "venue.yaml"
    keys = {"api_key": "local-key", "api_secret": "local-secret", "base_url": exchange.url}
    venue.write_text(
        json.dumps(
            {
                "venue": {
                    "name": "BINANCE", "venue_type": "futures", "account_type": "PERPETUAL_LINEAR",
                },
                "api": {"testnet": True, "ws_url": exchange.ws_url} | keys | api,
            }
        )
    )  # fmt: skip
    return subprocess.run(
        [sys.executable, "examples/probe_account.py", venue],
        capture_output=True, text=True, check=False, timeout=HANG_S, cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip


@pytest.mark.parametrize("answer", ["expire", "reject"])
def test_probe_shows_the_exchanges_answers_and_leaves_nothing_behind(
    start_exchange: Callable[..., Exchange], tmp_path: Path, answer: str
) -> None:
    running = start_exchange(closing_orders=answer, volatility_bps=1)
    done = probe(tmp_path, running)
    assert done.returncode == 0, done.stderr
    said = {}
    for line in done.stdout.splitlines():
        number, _, rest = line.partition(". ")
        said[number] = rest.partition(": ")[2]
    for number, beginning in (SAME | ANSWERS[answer]).items():
        assert said[number].startswith(beginning), done.stdout
    assert "'positionSide': 'LONG'" in said["9"]
    found = re.fullmatch(r"([0-9.]+) BTCUSDT, (\d+) USDT", said["0"])
    assert found is not None
    assert said["11"].endswith(f" of {found[1]}")
    assert int(found[2]) >= 250
    account = running.account()
    assert not account["positions"]
    assert not account["orders"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"api_key": "${NO_SUCH_KEY}", "api_secret": "${NO_SUCH_KEY}"}, "has no keys: set api.api"),
        ({"api_key": "another"}, "the exchange refuses the keys (-2014 "),
        ({"api_secret": "another"}, "the exchange refuses the keys (-1022 "),
        ({"base_url": "http://127.0.0.1:1"}, "does not answer: "),
    ],
)
def test_probe_that_cannot_begin_says_why_in_one_line(
    start_exchange: Callable[..., Exchange], tmp_path: Path, keys: dict[str, str], said: str
) -> None:
    done = probe(tmp_path, start_exchange(), **keys)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_probe_refuses_production(start_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    running = start_exchange()
    done = probe(tmp_path, running, testnet=None, base_url="https://fapi.binance.com", ws_url=None)
    assert done.returncode == 1
    assert "is Binance's production" in done.stderr
    assert not running.requests()
