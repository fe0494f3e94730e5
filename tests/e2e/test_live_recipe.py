"""docs/reference/local-exchange.md, "A live grid on this machine": its commands work as written."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.commands import job, job_process
from tests.support.suite import HANG_S, REPO

pytestmark = pytest.mark.e2e

PAGE = (REPO / "docs/reference/local-exchange.md").read_text()


def commands() -> list[list[str]]:
    """Return the arguments of the section's four commands."""
    section = PAGE.partition("## A live grid on this machine")[2]
    block = re.search(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = [shlex.split(line) for line in block[1].splitlines()]
    assert [line[0] for line in lines] == ["warmup-job"] * 4
    return [line[1:] for line in lines]


def test_the_recipe_trades_live_on_the_local_exchange(tmp_path: Path) -> None:
    exchange, run, trade, status = commands()
    port = exchange.index("--port") + 1
    assert exchange[port] == "8080"  # of configs/venues/simulated.yaml
    exchange[port] = "0"  # here another program may listen there
    with job_process(*exchange) as market:
        ready = market.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", ready)
        assert found is not None, ready
        url = found[0]
        env = {
            "WARMUP_EXCHANGE_URL": url,
            "WARMUP_EXCHANGE_WS_URL": url.replace("http", "ws"),
            "WARMUP_ROOT": str(tmp_path / "snapshot"),
            "WARMUP_STATE_DIR": str(tmp_path / "state"),
        }
        assert job(*run, env=env).code == 0
        log = tmp_path / "log"
        with job_process(*trade, env=env, log=log) as trader:
            give_up_at = time.monotonic() + HANG_S
            while not open_orders(url):
                assert trader.poll() is None, log.read_text()
                assert time.monotonic() < give_up_at, log.read_text()
                time.sleep(0.1)
            told = job(*status, env=env)
            assert told.code == 0, told.err
            assert told.out.startswith("live: contiguous to")
            assert "account     ok" in told.out
            trader.send_signal(signal.SIGTERM)
            trader.communicate(timeout=HANG_S)
        assert trader.returncode == 143, log.read_text()
        market.send_signal(signal.SIGTERM)
        market.communicate(timeout=HANG_S)


def open_orders(url: str) -> list[str]:
    """Return the ids of the orders that are open at the exchange."""
    with urllib.request.urlopen(f"{url}/_sim/account") as answer:
        return [each["client_id"] for each in json.load(answer)["orders"]]
