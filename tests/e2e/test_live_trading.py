"""Live trading: its requirements, all reported at once, and a node on the account."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Result, job, job_process, trade_until
from tests.support.config_files import write_live_config
from tests.support.exchange import Exchange
from tests.support.keys import RSA, WRITTEN, pem, public_pem
from tests.support.live_trader import assert_all_was_well
from tests.support.operators import go_live, warmed
from tests.support.suite import HANG_S

pytestmark = pytest.mark.e2e
KEY, SECRET, ED25519 = "local-key", "local-secret", WRITTEN
MINUTE_MS = 60_000


def trade_until_it_orders(config: Path, exchange: Exchange, secret: str = SECRET) -> Result:
    """Run a trader and stop it once the exchange has received an order."""
    log = config.with_name("log")
    options = ("--config", config, "--mode", "live", "--json")
    with job_process("trade", *options, env={"KEY": KEY, "SECRET": secret}, log=log) as trader:
        deadline = time.monotonic() + HANG_S
        while sum(each["path"] == "/fapi/v1/order" for each in exchange.requests()) < 8:
            assert trader.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        trader.terminate()
        out, _ = trader.communicate(timeout=HANG_S)
    assert_all_was_well(config, exchange, [log])
    return Result(trader.returncode, out, log.read_text())


def refusals(done: Result) -> str:
    """Return the last message of a refused start."""
    assert done.code == 22, done.err
    assert "Traceback" not in done.err
    assert KEY not in done.err
    assert SECRET not in done.err
    return done.messages[-1]


def paths(exchange: Exchange) -> set[str]:
    return {each["path"] for each in exchange.requests()}


def test_live_trading_starts_when_every_requirement_is_met(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config)
    done = trade_until_it_orders(config, running)
    assert done.code == 143, done.err
    assert done.json["mode"] == "live"
    assert done.json["warm_start"] is True
    assert done.json["live_after_s"] > 0
    least = 10 if done.json["regime"] == "SIDEWAYS" else 8
    assert done.json["orders"] >= least
    asked = paths(running)
    assert {"/fapi/v1/positionSide/dual", "/fapi/v1/listenKey"} <= asked
    status = json.loads((tmp_path / "state" / "live.json").read_text())
    assert (status["mode"], status["state"]) == ("live", "stopping")
    assert KEY not in done.err
    assert SECRET not in done.err + (tmp_path / "state" / "live.json").read_text()


def test_live_trading_starts_with_an_ed25519_key(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """The PEM is in the environment; Nautilus logs on by websocket with it, and requests no REST
    listen key. The job needs no key, and a key in several lines does not stop it."""
    running = start_exchange(api_secret=public_pem())
    config = write_live_config(tmp_path, running)
    done = job("run", "--config", config, env={"KEY": KEY, "SECRET": ED25519})
    assert done.code == 0, done.err
    done = trade_until_it_orders(config, running, secret=ED25519)
    assert done.code == 143, done.err
    assert done.json["warm_start"] is True
    asked = paths(running)
    assert "/ws-fapi/v1" in asked
    assert "/fapi/v1/listenKey" not in asked
    secret_line = ED25519.splitlines()[1]
    assert secret_line not in done.err + done.out
    for path in tmp_path.rglob("*.json"):
        assert secret_line not in path.read_text()


def test_live_trading_refuses_an_rsa_key_and_paper_ignores_it(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    rsa_key = pem(RSA)
    keys = {"KEY": f"{KEY}\n", "SECRET": rsa_key}
    assert job("run", "--config", config, env=keys).code == 0
    paper = trade_until('"live: ', "--config", config, "--mode", "paper", "--json", env=keys)
    assert paper.code == 143, paper.err
    refusal = refusals(go_live(config, secret=rsa_key))
    assert "api.api_secret in the venue file: it is an RSA key" in refusal
    assert "an Ed25519 key (unencrypted PEM) or an HMAC key" in refusal
    assert rsa_key.splitlines()[1] not in refusal
    assert "/fapi/v2/account" not in paths(running)
    refusal = refusals(go_live(config, key=f"{KEY}\nmore"))
    assert "api.api_key in the venue file: it holds a blank or a line break" in refusal


def test_live_trading_reports_every_missing_requirement_at_once_without_a_node(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(one_way=True, no_trading=True, balance="0")
    venue = {
        "trading": {"leverage": 125, "margin_type": "ISOLATED"},
        "risk": {"max_leverage": 100},
    }
    config = write_live_config(tmp_path, running, venue=venue, warmup={"require": "bars"})
    refusal = refusals(go_live(config))
    for words in (
        "trading.hedge_mode",
        "above risk.max_leverage 100",
        "write proven",
        "canTrade is false",
        "one-way mode",
        "balance is zero",
        "margin type of BTCUSDT is CROSSED",
        "holds no snapshot",
    ):
        assert words in refusal, refusal
    assert "8 requirement(s)" in refusal
    assert refusal.count("  - ") == 8
    # Only a node sends these requests.
    assert not {"/fapi/v1/exchangeInfo", "/fapi/v1/listenKey"} & paths(running)


def test_live_trading_without_keys_requests_no_account(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    done = job("trade", "--config", config, "--mode", "live")
    refusal = refusals(done)
    assert "api.api_key" in refusal
    assert "api.api_secret" in refusal
    assert "/fapi/v2/account" not in paths(running)


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("unknown-key", SECRET, "does not accept api.api_key"),
        (KEY, "another-secret", "api.api_secret does not belong to api.api_key"),
    ],
)
def test_live_trading_with_rejected_keys_says_what_to_check(
    start_exchange: Callable[..., Exchange], tmp_path: Path, key: str, secret: str, words: str
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config)
    refusal = refusals(go_live(config, key=key, secret=secret))
    assert words in refusal
    assert refusal.count("  - ") == 1
    assert secret not in refusal


@pytest.mark.parametrize("skew_ms", [-3_000, 8_000])
def test_live_trading_with_a_wrong_clock_is_refused(
    start_exchange: Callable[..., Exchange], tmp_path: Path, skew_ms: int
) -> None:
    """Nautilus signs by this machine's clock: over 1 s ahead of the exchange, or 5 s behind."""
    running = start_exchange(clock_skew_ms=skew_ms)
    config = write_live_config(tmp_path, running)
    warmed(config)
    assert "the clock offset is above +1 s" in refusals(go_live(config))


def test_live_trading_updates_an_old_snapshot(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """A container that restarts in its pod has only the snapshot of its first start."""
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config, "--until", "-100m")
    before = len(running.klines())
    done = trade_until_it_orders(config, running)
    assert done.code == 143, done.err
    asked = running.klines()[before:]
    assert sum(int(each["params"]["limit"]) for each in asked) < 150


def test_live_trading_refuses_an_old_snapshot_that_cannot_be_updated(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config, "--until", "-100m")
    running.fault("503@klines")
    assert "could not be brought up to date" in refusals(go_live(config, "--deadline", "2s"))


def test_live_trading_refuses_an_unproven_regime(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    warmup = {"streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 60}]}
    config = write_live_config(tmp_path, running, warmup=warmup)
    warmed(config)
    assert "not proven" in refusals(go_live(config))


def test_live_trading_with_an_unreachable_account_exits_with_another_code(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """No requirement is missing: a failing exchange is temporary and has a different exit code."""
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config)
    running.fault("503@/fapi/v2/account")
    done = go_live(config)
    assert done.code == 21, done.err
    assert "Binance does not answer about the account" in done.messages[-1]


def test_live_trading_stores_a_ban_from_the_account_request(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    config = write_live_config(tmp_path, running)
    warmed(config)
    running.fault("418=300@positionSide/dual")
    done = go_live(config)
    assert done.code == 21, done.err
    (until_ms,) = json.loads((tmp_path / "state" / "limits.json").read_text()).values()
    assert until_ms > time.time_ns() // 1_000_000 + 200_000


def test_live_trading_on_spot_is_refused(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    api = {"base_url": running.url, "ws_url": running.ws_url}
    config = write_live_config(tmp_path, running, venue={"market": "spot", "api": api})
    assert "live trading on spot" in refusals(go_live(config))
