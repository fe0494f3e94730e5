"""Situations of the warm-up job, as a process against an exchange."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Result, clean_env, job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.recordings import recorded_rows
from tests.support.suite import HANG_S, REPO
from tests.support.volumes import bars_for_nautilus
from tests.support.waiting import until
from warmup_job.market.interval import INTERVAL_NAMES, Interval

pytestmark = pytest.mark.e2e
BAR_TYPE = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
MINUTE_MS = 60_000


def nothing_current(root: Path) -> bool:
    return not (root / "current").is_symlink() and not list(root.glob("snapshots/*"))


def one_clear_line(result: Result, *words: str) -> None:
    """No traceback, and one line of the log that says all of ``words``."""
    assert "Traceback" not in result.err + result.out
    assert any(all(word in line for word in words) for line in result.messages), result.err


def test_published_snapshot_can_be_read_by_any_reader(exchange: Exchange, tmp_path: Path) -> None:
    root = tmp_path / "snapshot"
    done = job("run", "--config", "configs/demo.yaml", "--root", root, "--json", env=exchange.env())
    assert done.code == 0, done.err
    report = done.json
    assert report["code"] == 0
    assert report["manifest"]["streams"][0]["bar_count"] == 499

    assert job("verify", root, "--max-age", "5m").code == 0
    inspected = job("inspect", root, "--json").json
    assert inspected["content_digest"] == report["manifest"]["content_digest"]
    status = json.loads((root / "status.json").read_text())
    assert (status["code"], status["snapshot"]) == (0, report["snapshot"])

    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    catalog = ParquetDataCatalog(str(root / "current" / "catalog"))
    bars = catalog.bars(bar_types=[BAR_TYPE])
    assert len(bars) == 499
    closes_ms = [round(bar.ts_event / 1e6) for bar in bars]
    assert {after - before for before, after in zip(closes_ms, closes_ms[1:], strict=False)} == {
        MINUTE_MS
    }
    assert 0 <= exchange.now_ms() - closes_ms[-1] < MINUTE_MS + 20_000
    (instrument,) = catalog.instruments()
    assert str(instrument.id) == "BTCUSDT-PERP.BINANCE"
    assert instrument.ts_init == (closes_ms[0] + 1 - MINUTE_MS) * 1_000_000


def test_equal_bars_give_an_equal_digest_and_equal_bytes(
    exchange: Exchange, tmp_path: Path
) -> None:
    until = str(exchange.now_ms() // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS)
    manifests = []
    for name in ("one", "two"):
        done = job(
            "run", "--config", "configs/demo.yaml", "--root", tmp_path / name, "--until", until,
            "--json", env=exchange.env(),
        )  # fmt: skip
        manifests.append(done.json["manifest"])
    first, second = manifests
    assert first["content_digest"] == second["content_digest"]
    assert first["files"] == second["files"]


def test_terminal_shows_the_progress(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """While the first answer is still missing; a run that is soon done shows none."""
    exchange = start_exchange(faults=("stall@klines",))
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    arguments = ["run", "--config", "configs/demo.yaml", "--root", str(tmp_path / "snapshot")]
    with subprocess.Popen(
        [sys.executable, "-m", "warmup_job", *arguments],
        cwd=REPO, env=clean_env(**exchange.env()),
        stderr=theirs, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = ""
        try:
            while " 0/499" not in shown:
                shown += os.read(ours, 100_000).decode()
            exchange.clear_faults()
            while True:  # until the job has closed its end
                shown += os.read(ours, 100_000).decode()
        except OSError:  # Linux' way to say that the other end is closed
            out, _ = process.communicate(timeout=HANG_S)
        finally:
            process.kill()
            os.close(ours)
    assert " 0/499" in shown
    assert process.returncode == 0, shown
    assert out.startswith("published ")


def test_dry_run_does_everything_but_publish(exchange: Exchange, tmp_path: Path) -> None:
    root = tmp_path / "snapshot"
    done = job(
        "run", "--config", "configs/demo.yaml", "--root", root, "--dry-run", env=exchange.env()
    )
    assert done.code == 0, done.err
    assert done.out.startswith("dry run: would publish 499 bars of BTCUSDT 1m to ")
    assert not root.exists()


def test_plan_sends_no_request(start_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    running = start_exchange()
    config = write_config(
        tmp_path,
        running.url,
        warmup={"streams": [{"symbol": "ETHUSDT", "interval": "1h", "bars": 2000}]},
    )
    done = job("plan", "--config", config, "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["streams"]
    assert (stream["symbol"], stream["bars"], len(stream["pages"])) == ("ETHUSDT", 2000, 5)
    assert stream["weight"] == 4 * 2 + 1
    assert running.requests() == []


def test_several_streams_and_one_bad_symbol(exchange: Exchange, tmp_path: Path) -> None:
    streams = [
        {"symbol": "BTCUSDT", "interval": "1m", "bars": 120},
        {"symbol": "NOSUCHUSDT", "interval": "1m", "bars": 10},
        {"symbol": "ETHUSDT", "interval": "1h", "bars": 30},
        {"symbol": "BTCUSDT", "interval": "1M", "bars": 5},
    ]
    config = write_config(tmp_path, exchange.url, warmup={"streams": streams, "on_failure": "fail"})
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 12
    one_clear_line(done, "NOSUCHUSDT", "correct it")
    counts = {
        (stream["symbol"], stream["interval"]): stream["bar_count"]
        for stream in done.json["manifest"]["streams"]
    }
    assert counts == {("BTCUSDT", "1m"): 120, ("ETHUSDT", "1h"): 30, ("BTCUSDT", "1M"): 5}
    assert job("verify", tmp_path / "snapshot").code == 0


@pytest.mark.parametrize(
    ("name", "now_ms", "most"),
    [
        ("um/BTCUSDT-1m-20260430-20260502.csv.gz", None, 3000),
        # Two halts of FILUSDT that day: rows of zero volume are data like any other.
        ("um/FILUSDT-1m-202410.csv.gz", 1_730_152_830_000, 600),  # 2024-10-28T22:00:30Z
    ],
)
def test_every_stored_bar_is_the_recorded_one_digit_for_digit(
    start_exchange: Callable[..., Exchange],
    recordings: Path,
    tmp_path: Path,
    name: str,
    now_ms: int | None,
    most: int,
) -> None:
    symbol = Path(name).name.split("-")[0]
    running = start_exchange(replay=(str(recordings / name),), now_ms=now_ms)
    forming_ms = running.now_ms() // MINUTE_MS * MINUTE_MS
    rows = recorded_rows(recordings / name)
    closed = [row for row in rows if int(row["open_time"]) < forming_ms][-most:]
    streams = [{"symbol": symbol, "interval": "1m", "bars": len(closed)}]
    config = write_config(tmp_path, running.url, warmup={"streams": streams})
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 0, done.err

    bars = bars_for_nautilus(tmp_path / "snapshot", BAR_TYPE.replace("BTCUSDT", symbol))
    assert len(bars) == len(closed) > 500
    for bar, row in zip(bars, closed, strict=True):
        stored = [str(value) for value in (bar.open, bar.high, bar.low, bar.close)]
        assert stored == [row[name] for name in ("open", "high", "low", "close")]
        assert Decimal(str(bar.volume)) == Decimal(row["volume"])
        assert bar.ts_event == bar.ts_init == int(row["close_time"]) * 1_000_000
    assert all(round(bar.ts_event / 1e6) < forming_ms for bar in bars)
    assert (symbol == "FILUSDT") == any(Decimal(row["volume"]) == 0 for row in closed)


@pytest.mark.parametrize("allowed", [0, 80])
def test_recorded_outage_is_a_gap_of_the_venue(
    start_exchange: Callable[..., Exchange], recordings: Path, tmp_path: Path, allowed: int
) -> None:
    """2023-03-24: spot lacks 80 minutes, and the last kline before them closes early."""
    running = start_exchange(
        replay=(str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),),
        now_ms=1_679_670_000_000,  # 2023-03-24T15:00Z
    )
    config = write_config(
        tmp_path,
        running.url,
        venue={"market": "spot"},
        warmup={
            "streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 300}],
            "max_gap_bars": allowed,
            "on_failure": "fail",
        },
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == (13 if allowed == 0 else 0), done.err
    manifest = done.json["manifest"]
    (stream,) = manifest["streams"]
    assert stream["bar_count"] == 300  # older bars took the place of those that never were
    (gap,) = stream["gaps"]
    assert gap == [1_679_661_600_000, 1_679_666_340_000, 80]
    assert bool(manifest["degraded"]) == (allowed == 0)
    assert job("verify", tmp_path / "snapshot").code == 0


def test_window_that_begins_in_an_outage_is_complete(
    start_exchange: Callable[..., Exchange], recordings: Path, tmp_path: Path
) -> None:
    """Its oldest minute never was: older ones take the place of all that are missing."""
    running = start_exchange(
        replay=(str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),),
        now_ms=1_679_683_200_000,  # 2023-03-24T18:40Z: 300 minutes ago nothing was traded
    )
    config = write_config(
        tmp_path,
        running.url,
        venue={"market": "spot"},
        warmup={
            "streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 300}],
            "max_gap_bars": 80,
            "on_failure": "fail",
        },
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert stream["bar_count"] == 300
    assert [gap[2] for gap in stream["gaps"]] == [80]


@pytest.mark.parametrize(("interval", "bars"), [("1w", 3000), ("1M", 30_000), ("1d", 25_000)])
def test_more_bars_requested_than_exist(
    exchange: Exchange, tmp_path: Path, interval: str, bars: int
) -> None:
    streams = [{"symbol": "BTCUSDT", "interval": interval, "bars": bars}]
    config = write_config(tmp_path, exchange.url, warmup={"on_failure": "fail", "streams": streams})
    assert job("plan", "--config", config).code == 0
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert stream["from_listing"] is True


def test_young_symbol_gives_the_bars_it_has(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        exchange.url,
        warmup={"streams": [{"symbol": "BTCUSDT", "interval": "1M", "bars": 500}]},
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert stream["from_listing"] is True
    assert 10 < stream["bar_count"] < 500
    one_clear_line(done, "the symbol is young")


# -- bad input -------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("policy", ["fail", "proceed"])
def test_unreachable_exchange_exits_with_10(tmp_path: Path, policy: str) -> None:
    config = write_config(
        tmp_path,
        f"http://127.0.0.1:{free_port()}",
        warmup={"on_failure": policy, "deadline": "10s"},
    )
    root = tmp_path / "snapshot"
    done = job("run", "--config", config, "--root", root, "--json")
    assert done.json["code"] == 10
    assert done.code == (10 if policy == "fail" else 0)
    one_clear_line(done, "cannot reach", "check the network")
    assert any("exiting 0 because" in line for line in done.messages) == (policy == "proceed")
    assert nothing_current(root)
    assert json.loads((root / "status.json").read_text())["code"] == 10


def test_unknown_symbol_exits_with_12(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        exchange.url,
        warmup={"on_failure": "fail"},
        strategy={"symbol": "BTCUSD-PERP.BINANCE"},
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 12
    one_clear_line(done, "the symbol BTCUSD (did you mean BTCUSDT?): correct it")
    assert nothing_current(tmp_path / "snapshot")


@pytest.mark.parametrize("policy", ["fail", "proceed"])
@pytest.mark.parametrize(
    ("stream", "near"),
    [
        ({"interval": "7m"}, "5m"),
        ({"interval": "1Min"}, "1m"),
        ({"interval": "1s"}, "only spot"),
        ({"symbol": "btcusdt"}, "did you mean BTCUSDT"),
    ],
)
def test_impossible_stream_exits_with_2_without_a_request(
    start_exchange: Callable[..., Exchange],
    tmp_path: Path,
    policy: str,
    stream: dict[str, str],
    near: str,
) -> None:
    running = start_exchange()
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 10} | stream]
    warmup = {"on_failure": policy, "streams": streams}
    config = write_config(tmp_path, running.url, warmup=warmup)
    for command in ("run", "plan"):
        done = job(command, "--config", config, "--root", tmp_path / "snapshot")
        assert done.code == 2, done.err
        one_clear_line(done, "warmup.streams[0]", near)
    assert running.requests() == []


@pytest.mark.parametrize("policy", ["fail", "proceed"])
def test_malformed_config_always_exits_with_2(
    exchange: Exchange, tmp_path: Path, policy: str
) -> None:
    config = write_config(
        tmp_path, exchange.url, warmup={"on_failure": policy, "max_bar": 5, "deadline": "soon"}
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 2
    text = " ".join(done.messages)
    assert "warmup.max_bar: unknown key; did you mean max_bars?" in text
    assert "deadline" in text
    assert "Traceback" not in done.err


@pytest.mark.parametrize("policy", ["fail", "proceed"])
def test_unwritable_root_is_reported_before_any_request_and_never_hidden(
    start_exchange: Callable[..., Exchange], tmp_path: Path, policy: str
) -> None:
    running = start_exchange()
    (tmp_path / "file").write_text("in the way")
    config = write_config(tmp_path, running.url, warmup={"on_failure": policy})
    done = job("run", "--config", config, "--root", tmp_path / "file" / "snapshot")
    assert done.code == 15
    one_clear_line(done, "cannot be written", "--root")
    assert running.requests() == []


def test_deadline_ends_the_run(start_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    running = start_exchange(latency_ms=5000)
    config = write_config(tmp_path, running.url, warmup={"on_failure": "fail", "deadline": "500ms"})
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 16
    one_clear_line(done, "warmup.deadline", "500 ms")
    assert nothing_current(tmp_path / "snapshot")


def test_sigterm_ends_the_run_at_once_and_publishes_nothing(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """It does not wait for the answer, which never comes, nor for the deadline."""
    running = start_exchange(faults=("stall",))
    config = write_config(tmp_path, running.url, warmup={"deadline": "1h"})
    with job_process("run", "--config", config, "--root", tmp_path / "snapshot") as process:
        running.await_request()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 143, err
    assert len(running.requests()) == 1  # after some seconds it would have asked again
    assert "Traceback" not in err + out
    assert nothing_current(tmp_path / "snapshot")


@pytest.mark.parametrize("when", ["early", "volume", "request", "klines", "publish", "pause"])
def test_sigterm_ends_repeated_runs(
    start_exchange: Callable[..., Exchange], tmp_path: Path, when: str
) -> None:
    """Whether it comes in a request, in the middle of a publish, or in the pause."""
    running = start_exchange()
    root, log = tmp_path / "snapshot", tmp_path / "log"
    reached: dict[str, Callable[[], object]] = {
        "early": lambda: True,
        "volume": root.exists,
        "request": running.requests,
        "klines": running.klines,
        "publish": lambda: [*root.glob("snapshots/*")],
        "pause": lambda: "next run in" in log.read_text(),
    }
    arguments = ("run", "--config", "configs/demo.yaml", "--root", root, "--repeat-every", "1h")
    with job_process(*arguments, env=running.env(), log=log) as process:
        until(reached[when], when)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANG_S)
    err = log.read_text()
    assert process.returncode in {143, -signal.SIGTERM}, err  # before Python has a handler: killed
    if (root / "current").is_symlink():
        assert job("verify", root).code == 0


def test_duplicate_streams_are_fetched_once(exchange: Exchange, tmp_path: Path) -> None:
    done = job(
        "run", "--config", "configs/demo.yaml", "--root", tmp_path / "snapshot", "--json",
        "--streams", "BTCUSDT:1m:50,BTCUSDT:1m:90,BTCUSDT-PERP.BINANCE:1m:90", env=exchange.env(),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert [stream["bar_count"] for stream in done.json["manifest"]["streams"]] == [90]


@pytest.mark.parametrize(
    ("market", "instrument"), [("spot", "BTCUSDT-PERP.BINANCE"), ("um", "BTCUSDT.BINANCE")]
)
def test_strategy_of_another_market_exits_with_2(
    exchange: Exchange, tmp_path: Path, market: str, instrument: str
) -> None:
    config = write_config(
        tmp_path, exchange.url, venue={"market": market}, strategy={"symbol": instrument}
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 2
    one_clear_line(done, instrument, "does not belong to the venue's market")


def test_weight_spent_by_others_behind_the_ip_is_respected(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """40 of 60 are gone, our share is 30: the first answer says so, and no kline is asked for.

    Though this machine's clock is in another minute.
    """
    now_ms = time.time_ns() // 1_000_000
    running = start_exchange(weight_limit=60, now_ms=(now_ms // MINUTE_MS - 3) * MINUTE_MS + 5_000)
    for _ in range(4):  # somebody else: 10 each
        page = f"{running.url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500"
        urllib.request.urlopen(page).close()
    config = write_config(
        tmp_path,
        running.url,
        venue={"rate_limits": {"weight_per_minute": 60}},
        warmup={"on_failure": "fail", "deadline": "8s"},
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 16, done.err
    assert len(running.klines()) == 4
    assert [each["status"] for each in running.requests()] == [200] * 5


@pytest.mark.parametrize("market", ["um", "spot"])
def test_every_interval_of_binance_is_published(
    exchange: Exchange, tmp_path: Path, market: str
) -> None:
    names = [name for name in INTERVAL_NAMES if market == "spot" or name != "1s"]
    streams = [{"symbol": "BTCUSDT", "interval": name, "bars": 7} for name in names]
    config = write_config(
        tmp_path,
        exchange.url,
        venue={"market": market},
        warmup={"on_failure": "fail", "streams": streams, "max_gap_bars": 0},
    )
    done = job("run", "--config", config, "--root", tmp_path / "snapshot", "--json")
    assert done.code == 0, done.err
    stored = done.json["manifest"]["streams"]
    assert [stream["interval"] for stream in stored] == names
    for stream in stored:
        interval = Interval.parse(stream["interval"])
        assert stream["bar_count"] == 7
        assert interval.floor(stream["first_open"]) == stream["first_open"]
        assert interval.close_ms(interval.shift(stream["first_open"], 6)) == stream["last_close"]
    assert job("verify", tmp_path / "snapshot").code == 0


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add", "manifest", "link"])
def test_verify_reports_damage(exchange: Exchange, tmp_path: Path, damage: str) -> None:
    root = tmp_path / "snapshot"
    job("run", "--config", "configs/demo.yaml", "--root", root, env=exchange.env())
    (parquet,) = (root / "current" / "catalog" / "data" / "bar").rglob("*.parquet")
    raw = parquet.read_bytes()
    if damage == "flip":
        parquet.write_bytes(raw[:500] + bytes([raw[500] ^ 1]) + raw[501:])
    elif damage == "truncate":
        parquet.write_bytes(raw[:-10])
    elif damage == "remove":
        parquet.unlink()
    elif damage == "add":
        (parquet.parent / "stray.parquet").write_bytes(raw)
    elif damage == "manifest":
        edit(root / "current" / "manifest.json", lambda m: m["streams"][0].update(bar_count=7))
    else:
        (root / "current").unlink()
        (root / "current").symlink_to("/etc")
    done = job("verify", root, "--json")
    assert done.code == 20
    words = {
        "flip": "altered", "truncate": "bytes, not", "remove": "is missing",
        "add": "not listed", "manifest": "checksum of the manifest", "link": "is not a snapshot",
    }  # fmt: skip
    assert words[damage] in " ".join(done.json["problems"])
    assert "Traceback" not in done.err


def test_verify_refuses_a_stale_snapshot_by_its_age(exchange: Exchange, tmp_path: Path) -> None:
    root = tmp_path / "snapshot"
    arguments = ("run", "--config", "configs/demo.yaml", "--root", root, "--until", "-30m")
    assert job(*arguments, env=exchange.env()).code == 0
    assert job("verify", root, "--max-age", "1h").code == 0
    done = job("verify", root, "--max-age", "5m")
    assert done.code == 20
    assert "stale" in done.out


def test_verify_without_a_snapshot_exits_with_20(tmp_path: Path) -> None:
    done = job("verify", tmp_path)
    assert done.code == 20
    assert "holds no snapshot: run `warmup-job run` first" in done.out
