"""docs/reference/refusals.md, row by row, with the requests counted on the server's side."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Result, job, job_process, trade_until
from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.suite import HANG_S
from tests.support.terminals import in_terminal
from tests.support.volumes import bars_for_nautilus
from tests.support.waiting import until

pytestmark = pytest.mark.e2e
MINUTE_MS = 60_000


def run(exchange: Exchange, folder: Path, **warmup: Any) -> Result:
    """One run of one page under ``fail``."""
    settings = {
        "on_failure": "fail",
        "streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 99}],
    }
    config = write_config(folder / "config", exchange.url, warmup=settings | warmup)
    done = job("run", "--config", config, "--root", folder / "snapshot", "--json")
    assert "Traceback" not in done.err
    return done


def asked(running: Exchange) -> list[dict[str, Any]]:
    """The requests for klines: of bars, and of the months that give the bounds."""
    return [each for each in running.requests() if each["path"].endswith("lines")]


def times_s(requests: list[dict[str, Any]]) -> list[float]:
    return [each["time"] / 1000 for each in requests]


@pytest.mark.parametrize("status", ["429", "418"])
def test_rate_limit_is_waited_out_when_the_deadline_allows(
    start_exchange: Callable[..., Exchange], tmp_path: Path, status: str
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault(f"{status}=2@klines/BTCUSDT/1m:times=1")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    (refused,) = [each["time"] for each in asked(running) if each["status"] == int(status)]
    last = max(each["time"] for each in asked(running))
    assert last - refused >= 2_000
    assert len(asked(running)) == 3  # the bars, the months, and again what was refused


@pytest.mark.parametrize("status", ["429", "418"])
def test_rate_limit_beyond_the_deadline_is_reported_and_a_restart_sends_nothing(
    start_exchange: Callable[..., Exchange], tmp_path: Path, status: str
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault(f"{status}=300@klines/BTCUSDT/1m:times=1")
    done = run(running, tmp_path, deadline="20s")
    assert done.code == 11
    assert done.json["code"] == 11
    assert "until 20" in " ".join(done.messages)
    assert len(running.klines()) == 1
    assert not (tmp_path / "snapshot" / "current").exists()

    before = len(running.requests())
    again = run(running, tmp_path, deadline="20s")
    assert again.code == 11
    assert "No request was sent" in " ".join(again.messages)
    assert len(running.requests()) == before


def test_rate_limit_holds_back_the_other_requests(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Twenty pages wanted, the third refused: what had not been sent yet waits too."""
    running = start_exchange(latency_ms=100)
    running.fault("418=6@klines:after=2:times=1")
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 499 * 40}]
    done = run(running, tmp_path, streams=streams)
    assert done.code == 0, done.err
    entries = asked(running)
    banned = next(each["time"] for each in entries if each["status"] == 418)
    # No more than what was on its way when the answer came.
    assert sum(banned < e["time"] < banned + 5_900 for e in entries) < 16  # at once
    assert len(entries) >= 41


def test_ban_is_respected_by_the_next_job_after_a_kill(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("418=12@klines/BTCUSDT/1m:times=1")  # longer than a start takes
    config = write_config(tmp_path, running.url, warmup={"on_failure": "fail"})
    root = tmp_path / "snapshot"
    with job_process("run", "--config", config, "--root", root) as process:
        until((root / "limits.json").exists, "a note of the ban")
        process.kill()
    banned_at = running.klines()[0]["time"]
    count = len(running.requests())
    done = job("run", "--config", config, "--root", root)
    assert done.code == 0, done.err
    after = running.requests()[count:]
    assert min(each["time"] for each in after) >= banned_at + 11_900


def test_ban_is_waited_out_by_the_trader_before_it_builds_its_node(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    root = tmp_path / "snapshot"
    assert job("run", "--config", config, "--root", root).code == 0
    until_ms = time.time_ns() // 1_000_000 + 6_000
    (root / "limits.json").write_text(json.dumps({running.url: until_ms}))
    count = len(running.requests())
    done = trade_until(
        '"live: ', "--config", config, "--root", root, "--state-dir", tmp_path / "state",
        "--mode", "paper",
    )  # fmt: skip
    assert done.code == 143, done.err
    first = running.requests()[count]["time"]
    assert first + (time.time_ns() // 1_000_000 - running.now_ms()) >= until_ms - 100


def test_ban_without_retry_after_is_read_from_the_message_and_stored(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """A proxy drops Retry-After: without the message it would be asked again after a minute."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("banned=2h@klines/BTCUSDT/1m:times=1")
    done = run(running, tmp_path, deadline="5m")
    assert done.code == 11
    assert len(running.klines()) == 1
    limits = json.loads((tmp_path / "snapshot" / "limits.json").read_text())
    left_ms = limits[running.url] - time.time_ns() // 1_000_000
    assert 3_600_000 < left_ms <= 7_200_000
    assert any("it says: Way too many requests; IP banned until" in m for m in done.messages)


MANY = [
    {"symbol": symbol, "interval": interval, "bars": 99}
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "AVAXUSDT", "LINKUSDT", "FILUSDT", "XRPUSDT")
    for interval in ("1m", "3m", "5m", "15m", "30m", "1h")
]


@pytest.mark.parametrize(
    ("fault", "words", "remembered"),
    [
        ("403", ("firewall", "HTTPS_PROXY"), True),
        ("451", ("region", "testnet", "HTTPS_PROXY", "it says: Service unavailable"), False),
    ],
)
def test_refusal_of_the_client_stops_every_stream(
    start_exchange: Callable[..., Exchange], tmp_path: Path, fault: str, words: tuple[str, ...],
    remembered: bool,
) -> None:  # fmt: skip
    """42 streams: of those that were not on their way yet, none asks."""
    running = start_exchange(latency_ms=300)
    running.fault(f"{fault}@*lines")
    done = run(running, tmp_path, streams=MANY, deadline="5m")
    assert done.code == 12
    assert 1 <= len(asked(running)) <= 16
    assert all(word in " ".join(done.messages) for word in words)
    file = tmp_path / "snapshot" / "limits.json"
    assert file.exists() == remembered
    if remembered:
        left_ms = json.loads(file.read_text())[running.url] - time.time_ns() // 1_000_000
        assert 300_000 < left_ms <= 600_000
        before = len(running.requests())
        again = run(running, tmp_path, deadline="20s")
        assert again.code == 11
        assert any(str(file) in message for message in again.messages)
        assert len(running.requests()) == before


def test_stored_ban_of_more_than_three_days_is_ignored(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Longer than any ban: the file was written by a wrong clock, or by hand."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    folder = tmp_path / "snapshot"
    folder.mkdir()
    until_ms = time.time_ns() // 1_000_000 + 4 * 24 * 3_600_000
    (folder / "limits.json").write_text(json.dumps({running.url: until_ms}))
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    assert any("limits.json" in m and "3 days" in m for m in done.messages)


def test_retry_after_of_months_counts_as_three_days(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("429=9999999@klines:times=1")
    done = run(running, tmp_path)
    assert done.code == 11
    limits = json.loads((tmp_path / "snapshot" / "limits.json").read_text())
    left_ms = limits[running.url] - time.time_ns() // 1_000_000
    assert 2 * 24 * 3_600_000 < left_ms <= 3 * 24 * 3_600_000


def test_halted_symbol_is_retried_and_its_message_is_shown(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("symbol-status@klines:times=2")
    assert run(running, tmp_path).code == 0
    running.fault("symbol-status@klines/ETHUSDT")
    streams = [
        {"symbol": symbol, "interval": "1m", "bars": 99} for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    done = run(running, tmp_path, streams=streams)
    assert done.code == 13
    assert any("ETHUSDT" in m and "Invalid symbol status" in m for m in done.messages)
    assert [each["symbol"] for each in done.json["manifest"]["streams"]] == ["BTCUSDT"]


@pytest.mark.parametrize(
    "fault",
    [
        "500", "503", "html=502", "html=524", "reset", "cut=0.5", "truncate=0.5", "html", "empty",
        "null", "object", "shape=short", "shape=types", "shape=strings", "duplicate", "disorder",
        "nan", "negative", "forming",
    ],
)  # fmt: skip
def test_transient_fault_is_retried(
    start_exchange: Callable[..., Exchange], tmp_path: Path, fault: str
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault(f"{fault}@klines:times=2")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    # The bars and the months, and again what failed twice: a forming month is one that is right.
    assert len(asked(running)) == (3 if fault == "forming" else 4)
    assert done.json["manifest"]["streams"][0]["bar_count"] == 99


@pytest.mark.parametrize("fault", ["503", "html", "reset"])
def test_exchange_with_errors_is_retried_until_it_recovers(
    start_exchange: Callable[..., Exchange], tmp_path: Path, fault: str
) -> None:
    """More often than six times, ever more slowly."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault(f"{fault}@klines")
    config = write_config(tmp_path, running.url, warmup={"on_failure": "fail", "deadline": "10m"})
    with job_process("run", "--config", config, "--root", tmp_path / "snapshot") as process:
        until(lambda: len(running.klines()) > 6, "asked seven times")
        running.clear_faults()
        _, log = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, log
    assert "answers again after" in log
    asked_s = times_s(running.klines())
    gaps = [later - earlier for earlier, later in zip(asked_s, asked_s[1:], strict=False)]
    for number, gap in enumerate(gaps[:6]):  # 0.25 s · 2ⁿ · (0.5 to 1.5), up to 4 s
        assert min(0.125 * 2**number, 2) <= gap + 0.01


def test_unreachable_exchange_is_logged_once_and_every_15_s(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("refuse:for=1h")
    config = write_config(tmp_path, running.url, warmup={"on_failure": "fail", "deadline": "10m"})
    log = tmp_path / "log"
    with job_process("run", "--config", config, "--root", tmp_path / "s", log=log) as process:
        until(lambda: "; still retrying" in log.read_text(), "said again")
        process.terminate()
        process.communicate(timeout=HANG_S)
    text = "\n".join(json.loads(line)["message"] for line in log.read_text().splitlines())
    assert text.count("retrying until the deadline") == 1
    assert text.count("cannot reach") == 1


def test_unreachable_exchange_until_the_deadline_exits_with_10(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Not 16, the deadline's own: what is missing is the exchange, not time."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("refuse:for=1h")
    config = write_config(tmp_path, running.url, warmup={"on_failure": "fail", "deadline": "15s"})
    done = job("run", "--config", config, "--root", tmp_path / "snapshot")
    assert done.code == 10, done.err
    assert not (tmp_path / "snapshot" / "current").exists()


def test_invalid_data_are_requested_six_times(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("shape=types@klines")
    done = run(running, tmp_path)
    assert done.code == 13
    assert len(running.klines()) == 6
    assert not (tmp_path / "snapshot" / "current").exists()


def test_missing_answer_ends_with_the_deadline(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("stall@klines")
    done = run(running, tmp_path, deadline="3s")
    assert done.code == 16


def test_hole_is_requested_once_more(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("missing=3@klines/BTCUSDT/1m:times=1")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert (stream["bar_count"], stream["gaps"]) == (99, [])


def test_late_venue_is_waited_for(start_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    running = start_exchange(now_ms=before_the_minute(1.5))
    running.fault("late=2s@klines")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    assert done.json["manifest"]["streams"][0]["gaps"] == []


def test_prices_finer_than_the_tick_are_never_rounded(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S))
    running.fault("fine@klines")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    (instrument,) = done.json["manifest"]["instruments"]
    assert (stream["price_precision"], instrument["price_precision"]) == (3, 2)
    bars = bars_for_nautilus(tmp_path / "snapshot", stream["bar_type"])
    lows = [str(bar.low) for bar in bars]
    assert sum(not low.endswith("0") for low in lows) == 1


@pytest.mark.parametrize("skew", ["+300s", "-300s"])
def test_host_clock_minutes_off_changes_nothing(
    start_exchange: Callable[..., Exchange], tmp_path: Path, skew: str
) -> None:
    running = start_exchange()  # goes by this machine's clock
    running.fault(f"skew={skew}")
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    (page,) = running.klines()
    assert 0 < page["time"] - stream["last_close"] <= MINUTE_MS
    (offset_line,) = [line for line in done.messages if line.startswith("clock offset")]
    offset = re.match(
        r"clock offset ([+-]\d+) ms ± (\d+) ms; using the exchange's clock", offset_line
    )
    assert offset is not None, offset_line
    assert int(offset[1]) == pytest.approx(-int(skew[:-1]) * 1000, abs=int(offset[2]) + 1)
    assert offset_line.endswith(
        "Synchronise this machine by NTP: live trading signs with its clock"
    )


def test_clock_offset_within_its_error_is_not_logged(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(latency_ms=300)  # both go by the same clock
    done = run(running, tmp_path)
    assert done.code == 0, done.err
    assert not [line for line in done.messages if line.startswith("clock offset")]


def test_mark_prices_have_their_own_precision(exchange: Exchange, tmp_path: Path) -> None:
    streams = [
        {"symbol": "BTCUSDT", "interval": "1m", "bars": 50, "price": "mark"},
        {"symbol": "BTCUSDT", "interval": "1m", "bars": 50},
    ]
    done = run(exchange, tmp_path, streams=streams)
    assert done.code == 0, done.err
    mark, last = done.json["manifest"]["streams"]
    assert mark["bar_type"] == "BTCUSDT-PERP.BINANCE-1-MINUTE-MARK-EXTERNAL"
    assert (mark["price_precision"], last["price_precision"]) == (8, 2)
    assert job("verify", tmp_path / "snapshot").code == 0


def test_two_processes_share_one_budget_without_a_429(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Both want more than is left of the minute; neither goes over, and both finish."""
    running = start_exchange(weight_limit=60, now_ms=before_the_minute(9))
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 9_000}]
    config = write_config(
        tmp_path,
        running.url,
        venue={"rate_limits": {"weight_per_minute": 60}},
        warmup={"on_failure": "fail", "streams": streams, "deadline": "4m"},
    )
    with (
        job_process("run", "--config", config, "--root", tmp_path / "a") as one,
        job_process("run", "--config", config, "--root", tmp_path / "b") as two,
    ):
        for process in (one, two):
            _, log = process.communicate(timeout=HANG_S)
            assert process.returncode == 0, log
    assert {each["status"] for each in running.requests()} == {200}
    assert max(running.minutes().values()) <= 60
    assert len(running.minutes()) >= 2


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_a_run_on_a_terminal_draws_how_long_it_still_takes(
    start_exchange: Callable[..., Exchange], tmp_path: Path, term: str, drawn: bool
) -> None:
    running = start_exchange(latency_ms=400)
    config = write_config(tmp_path, running.url)
    shown = in_terminal(
        "run", "--config", str(config), "--root", str(tmp_path / "snapshot"), env={"TERM": term}
    )
    assert "published" in shown
    assert bool(re.search(r"fetching +\d+% \|.* bars, about 1 s left", shown)) == drawn, shown
