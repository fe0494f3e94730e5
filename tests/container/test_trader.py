"""The trader in its container, on a snapshot that it cannot write."""

from __future__ import annotations

import json

import pytest

from tests.support.containers import (
    Engine,
    ExchangeContainer,
    health,
    mounts,
    wait_until,
    wait_until_healthy,
)

PROBED = {"WARMUP_HTTP_PORT": "8081", "WARMUP_MODE": "paper"}
SECRET = "an-api-secret-of-nobody-5f1d"
KEY = "an-api-key-of-nobody-77aa"


def test_trader_reads_the_snapshot_and_stops_cleanly(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    assert engine.run("run", volumes=mounts(volume)).code == 0
    (snapshot,) = engine.snapshots(volume)
    state = engine.volume()
    trader = engine.start(
        "trade", "--json", environment=PROBED, volumes=mounts(volume, "ro", state=state),
        healthcheck=health("http://127.0.0.1:8081/readyz"), mem_limit="768m",
    )  # fmt: skip
    wait_until_healthy(trader)
    trader.kill("SIGTERM")
    done = engine.end(trader, 30)
    assert done.code == 143, done.err
    assert any(f"snapshot {snapshot} verified" in line for line in done.messages)
    assert done.json["warm_start"] is True
    kept = engine.look(state, "print(open('/snapshot/paper.json').read())")
    assert json.loads(kept)

    again = engine.start(
        "trade", environment=PROBED, volumes=mounts(volume, "ro", state=state),
        healthcheck=health("http://127.0.0.1:8081/readyz"),
    )  # fmt: skip
    wait_until_healthy(again)
    assert f"snapshot {snapshot} verified" in again.logs().decode()


def test_trader_without_a_snapshot_fetches_the_bars_itself(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    trader = engine.start(
        "trade", environment=PROBED | {"WARMUP_ON_FAILURE": "proceed"},
        volumes=mounts(volume, "ro", state=engine.volume()), healthcheck=health(),
    )  # fmt: skip
    wait_until_healthy(trader)  # by the image's own check: its event loop turns
    wait_until(trader, "live: contiguous")


def test_trader_refuses_an_altered_snapshot(
    engine: Engine, exchange: ExchangeContainer, volume: str
) -> None:
    assert engine.run("run", volumes=mounts(volume)).code == 0
    engine.look(
        volume,
        "import glob; p, = glob.glob('/snapshot/current/catalog/data/bar/*/*.parquet'); "
        "open(p, 'r+b').write(b'X')",
    )
    done = engine.run("trade", environment=PROBED, volumes=mounts(volume, "ro", state=volume))
    assert done.code == 20, done.err


@pytest.mark.parametrize(("mode", "code"), [("live", 22), ("paper", 143)])
def test_trader_unwritable_state_volume_stops_only_live_trading(
    engine: Engine, exchange: ExchangeContainer, volume: str, mode: str, code: int
) -> None:
    assert engine.run("run", volumes=mounts(volume)).code == 0
    read_only = mounts(volume, "ro") | {engine.volume(): {"bind": "/state", "mode": "ro"}}
    trader = engine.start("trade", environment=PROBED | {"WARMUP_MODE": mode}, volumes=read_only)
    if code == 143:
        wait_until(trader, "live: contiguous")
        trader.kill("SIGTERM")
    done = engine.end(trader, 60)
    assert done.code == code, done.err
    (message,) = [each for each in done.messages if "/state" in each]
    assert "Read-only file system" in message
    assert "WARMUP_STATE_DIR" in message


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_trader_shows_no_secrets(
    engine: Engine, exchange: ExchangeContainer, volume: str, mode: str
) -> None:
    """Not in the log, the state, the snapshot or the image; the exchange turns this key away."""
    assert engine.run("run", volumes=mounts(volume)).code == 0
    state = engine.volume()
    keys = {"BINANCE_API_KEY": KEY, "BINANCE_API_SECRET": SECRET}
    venue = {"WARMUP_CONFIG": "configs/warmup.yaml", "WARMUP_VENUE": "/state/venue.yaml"}
    engine.look(
        state,
        "s = open('/app/configs/venues/simulated.yaml').read(); "
        "s = s.replace('${WARMUP_EXCHANGE_API_KEY:-local-key}', '${BINANCE_API_KEY}'); "
        "s = s.replace('${WARMUP_EXCHANGE_API_SECRET:-local-secret}', '${BINANCE_API_SECRET}'); "
        "open('/snapshot/venue.yaml', 'w').write(s)",
    )
    trader = engine.start(
        "trade",
        environment=PROBED | {"WARMUP_MODE": mode} | keys | venue,
        volumes=mounts(volume, "ro", state=state),
    )  # fmt: skip
    if mode == "paper":
        wait_until(trader, "live: contiguous")
        trader.kill("SIGTERM")
    done = engine.end(trader, 60)
    assert done.code == (22 if mode == "live" else 143), done.err
    output = done.out + done.err
    for where in (volume, state):
        output += engine.look(
            where,
            "import glob; print(*(open(p, 'rb').read() for p in glob.glob('/snapshot/**/*', "
            "recursive=True, include_hidden=True) if __import__('os').path.isfile(p)))",
        )
    assert KEY not in output
    assert SECRET not in output
