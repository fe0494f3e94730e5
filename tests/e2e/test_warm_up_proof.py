"""Situations of the proof: how many bars are fetched, what is published, and when orders leave."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job, job_process, trade_until
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S
from tests.support.waiting import until
from warmup_job.catalog.packed_bars import float_columns
from warmup_job.catalog.stored_bars import StoredBars
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.manifest import seal
from warmup_job.snapshot.verify import find_problems, open_snapshot

pytestmark = pytest.mark.e2e
MINUTE_MS = 60_000
NOW_MS = 1_780_000_203_000
SETTINGS = DetectorSettings(ema_fast=20, ema_slow=50, adx_len=14, atr_len=14, hysteresis_bps=10)


def flat_market(folder: Path, minutes: int) -> str:
    """A recording in which, after a wild hour, nothing moves: nothing can be told from it."""
    first_ms = NOW_MS // MINUTE_MS * MINUTE_MS - minutes * MINUTE_MS
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "flat.csv.gz"
    with gzip.open(file, "wt", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["open_time", *"ohlcv", "close_time", "q", "count", "tb", "tq", "ignore"])
        for i in range(minutes + 5):
            price = 50_000 * (1 + (i < 60) * (i % 2) * 0.5)
            text = f"{price:.2f}"
            open_ms = first_ms + i * MINUTE_MS
            row = [open_ms, text, text, text, text, "1.000", open_ms + 59_999, text, 1, "0.500"]
            writer.writerow([*row, text, 0])
    return f"um:BTCUSDT:1m:{file}"


def proven_config(folder: Path, running: Exchange, **warmup: Any) -> Path:
    wishes = {"require": "proven", "on_failure": "fail"} | warmup
    return write_config(folder / "config", running.url, ws_url=running.ws_url, warmup=wishes)


@pytest.mark.parametrize(("require", "expected"), [("proven", ["BTCUSDT 1m"]), ("bars", [])])
def test_verdict_is_logged_only_for_a_stream_that_must_be_proven(
    start_exchange: Callable[..., Exchange], tmp_path: Path, require: str, expected: list[str]
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    streams = [
        {"symbol": "BTCUSDT", "interval": "1m"},
        {"symbol": "ETHUSDT", "interval": "1m", "bars": 70},
    ]
    config = proven_config(tmp_path, running, require=require, streams=streams)
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    assert all(stream["certificate"] for stream in done.json["manifest"]["streams"])
    verdicts = [line.partition(":")[0] for line in done.messages if "proven" in line.lower()]
    assert verdicts == expected


def test_auto_fetches_bars_until_the_certificate_is_proven(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    root = tmp_path / "snapshot"
    done = job("run", "--config", proven_config(tmp_path, running), "--root", root, "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    certificate = stream["certificate"]
    assert stream["bar_count"] == certificate["bars"]
    assert certificate["proven"] is True
    assert certificate["possible"] == [certificate["regime"]]
    assert max(certificate["ema_fast_error_bps"], certificate["ema_slow_error_bps"]) < 0.01
    assert certificate["adx_error"] < 0.01
    (verdict,) = [line for line in done.messages if "proven" in line]
    for word in ("since bar", "fast EMA within", "slow EMA within", "ADX within", "ATR within"):
        assert word in verdict

    # Anybody can hold it against the bars.
    snapshot = open_snapshot(root)
    stored = StoredBars(snapshot.catalog, stream["bar_type"])
    window = Window.of(*float_columns(stored.tables(), ("high", "low", "close")))
    bounds = Bounds(certificate["lowest"], certificate["highest"])
    assert (
        certify(Evidence.of(SETTINGS, window), bounds) == snapshot.manifest.streams[0].certificate
    )
    assert bounds.low <= window.bounds.low <= window.bounds.high <= bounds.high


def test_unproven_bars_are_published_as_degraded_with_a_message(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """In a market that stands still what was before is never forgotten."""
    running = start_exchange(replay=(flat_market(tmp_path, 1400),), now_ms=NOW_MS)
    config = proven_config(tmp_path, running, max_bars=1200)
    root = tmp_path / "snapshot"
    done = job("run", "--config", config, "--root", root, "--json")
    assert done.code == 14, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert stream["bar_count"] == 1200
    assert stream["certificate"]["proven"] is False
    assert len(stream["certificate"]["possible"]) > 1
    assert any("raise warmup.max_bars" in reason for reason in done.json["manifest"]["degraded"])
    asked = [int(each["params"]["limit"]) for each in running.klines()]
    assert sum(asked) == 1200  # extended backwards, no row twice
    assert job("verify", root).code == 0
    proceed = job("run", "--config", config, "--root", root, "--on-failure", "proceed")
    assert proceed.code == 0
    assert any("exiting 0 because" in line for line in proceed.messages)


@pytest.mark.parametrize(("bars", "code"), [(70, 14), (600, 0)])
def test_fixed_number_of_bars_is_kept_and_gets_a_verdict(
    start_exchange: Callable[..., Exchange], tmp_path: Path, bars: int, code: int
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": bars}]
    config = proven_config(tmp_path, running, streams=streams)
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == code, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert stream["bar_count"] == bars
    assert stream["certificate"]["proven"] == (code == 0)


def test_every_interval_has_its_own_certificate(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    streams = [{"symbol": "BTCUSDT", "interval": name} for name in ("1m", "1h", "1d")]
    config = proven_config(tmp_path, running, streams=streams)
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    found = {each["interval"]: each["certificate"] for each in done.json["manifest"]["streams"]}
    assert set(found) == {"1m", "1h", "1d"}
    assert all(certificate["proven"] for certificate in found.values())
    assert found["1m"] != found["1h"]


def test_whole_history_counts_as_proof(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(replay=(flat_market(tmp_path, 100),), now_ms=NOW_MS)
    config = proven_config(tmp_path, running)
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert (stream["from_listing"], stream["bar_count"]) == (True, 100)
    assert (stream["certificate"]["exact"], stream["certificate"]["proven"]) == (True, True)
    assert job("verify", tmp_path / "snapshot").code == 0


def test_declared_indicators_get_their_bar_count(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    declared = [
        {"kind": "sma", "period": 300},
        {"kind": "ema", "period": 100},
        {"kind": "mine", "period": 9, "bars": 1100},
        {"kind": "adx", "period": 14, "interval": "1h"},
    ]
    config = proven_config(tmp_path, running, indicators=declared)
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    needed = {each["kind"]: each["bars_needed"] for each in stream["indicators"]}
    assert needed["sma"] == 300
    assert 700 < needed["ema"] < 900  # e-folds every 50 bars, from the width of all prices
    assert needed["mine"] == 1100
    assert "adx" not in needed  # of another interval
    assert stream["bar_count"] == 1497

    short = proven_config(tmp_path, running, indicators=declared, max_bars=1000)
    done = job("run", "--config", short, "--root", tmp_path / "other", "--json")
    assert done.code == 14
    assert "mine 9 needs 1100 bars, but there are 1000" in done.json["message"]


def test_certificate_of_other_bars_is_corrupt(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=NOW_MS)
    config, root = proven_config(tmp_path, running), tmp_path / "snapshot"
    assert job("run", "--config", config, "--root", root).code == 0
    snapshot = open_snapshot(root)
    raw = json.loads((snapshot.folder / "manifest.json").read_bytes())
    for name, value in (("met_bar", 3), ("regime", "UP"), ("highest", 9e9), ("bars", 120)):
        changed = json.loads(json.dumps(raw))
        certificate = changed["streams"][0]["certificate"]
        certificate[name] = "DOWN" if certificate[name] == value else value
        reseal(snapshot.folder / "manifest.json", changed)
        assert find_problems(open_snapshot(root)) == [
            f"{raw['streams'][0]['bar_type']}: its certificate does not match its bars"
        ], name
    blocked = job("trade", "--config", config, "--root", root, "--mode", "paper")
    assert blocked.code == 20, blocked.err


def reseal(path: Path, changed: dict[str, Any]) -> None:
    """Write a manifest that says something else, with a right digest of its own."""
    import msgspec

    from warmup_job.snapshot.manifest import Manifest

    path.write_bytes(seal(msgspec.convert(changed, Manifest)))


def test_plan_prints_the_maximum_number_of_bars(exchange: Exchange, tmp_path: Path) -> None:
    done = job("plan", "--config", proven_config(tmp_path, exchange))
    assert done.code == 0
    assert "auto: 70 to 3000, until it is proven" in done.out
    for word in ("slow EMA", "fast EMA", "ADX", "ATR"):
        assert word in done.out


def test_orders_are_denied_until_the_certificate_is_proven(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 75}]
    config = proven_config(tmp_path, running, streams=streams, on_failure="proceed")
    root = tmp_path / "snapshot"
    assert job("run", "--config", config, "--root", root).code == 0
    state = ("--state-dir", tmp_path / "state")
    trading = ("--config", config, "--root", root, "--mode", "paper", "--json", *state)
    done = trade_until("No entries: trading is not active", *trading)
    assert any("not proven" in line for line in done.messages), done.err
    assert done.json["orders"] == 0
    proven = trade_until("Ladder around", *trading, "--streams", "BTCUSDT:1m")
    assert proven.json["orders"] > 0, proven.err


def test_cold_start_is_proven_before_an_order_is_sent(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Neither a snapshot nor an exchange that answers: the bars and the bounds come later."""
    running = start_exchange()
    running.fault("503@klines")
    config = proven_config(tmp_path, running, on_failure="proceed", deadline="5s")
    log = tmp_path / "log"
    with job_process("trade", "--config", config, "--root", tmp_path / "none", "--mode", "paper",
                     "--json", "--state-dir", tmp_path / "state", log=log) as trader:  # fmt: skip
        until(lambda: "STARTING COLD" in log.read_text(), "cold")
        running.clear_faults()
        until(lambda: "Ladder around" in log.read_text(), "a ladder")
        trader.terminate()
        out, _ = trader.communicate(timeout=HANG_S)
    done = json.loads(out)
    assert done["warm_start"] is False
    assert done["orders"] > 0


# -- study -----------------------------------------------------------------------------------------


def test_study_of_a_recording(recordings: Path) -> None:
    source = recordings / "um" / "LINKUSDT-1m-202602.csv.gz"
    done = job("study", source, "--bars", "70,300,499", "--step", "5", "--json")
    assert done.code == 0, done.err
    rows = {row["bars"]: row for row in done.json[source.name]}
    assert 0.10 < rows[70]["wrong"] < 0.13
    assert rows[70]["wrong_of_trending"] > 0.15
    assert rows[499]["wrong"] == 0
    assert (rows[70]["proven"], rows[499]["proven"]) == (0, 1)
    assert "300" in job("study", source, "--bars", "300", "--step", "50").out


def test_study_of_a_file_that_is_no_series(tmp_path: Path) -> None:
    done = job("study", tmp_path)
    assert done.code == 2
    assert "neither a recording" in done.err
    assert job("study", tmp_path, "--bars", "many").code == 2
