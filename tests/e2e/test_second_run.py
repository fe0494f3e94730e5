"""The second run: what the volume has is not fetched again, and the result is the same."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.second_run import EARLY_MS, MINUTE_MS, Situation, digest
from warmup_job.snapshot.verify import find_problems, open_snapshot

pytestmark = pytest.mark.e2e


def limits(running: Exchange) -> list[int]:
    return [int(request["params"]["limit"]) for request in running.klines()]


@pytest.mark.parametrize(("minutes", "asked"), [(1, 6), (7, 12), (400, 405)])
def test_second_run_fetches_only_the_bars_closed_since(
    situation: Situation, minutes: int, asked: int
) -> None:
    situation.at(EARLY_MS)
    first = situation.run()
    running = situation.at(EARLY_MS + minutes * MINUTE_MS)
    second = situation.run()
    assert limits(running) == [asked]
    assert digest(second) != digest(first)
    assert digest(second) == situation.whole()
    snapshot = open_snapshot(situation.root)
    assert snapshot.folder == second.folder
    assert find_problems(snapshot) == []


def test_second_run_without_new_bars_requests_only_the_time(situation: Situation) -> None:
    situation.at(EARLY_MS)
    first = situation.run()
    running = situation.at(EARLY_MS + 20_000)
    second = situation.run()
    assert [request["path"] for request in running.requests()] == ["/fapi/v1/time"]
    assert second.published is None
    assert second.folder == first.folder
    assert len(list((situation.root / "snapshots").iterdir())) == 1


def test_second_run_with_full_fetches_everything(situation: Situation) -> None:
    situation.at(EARLY_MS)
    first = situation.run()
    running = situation.at(EARLY_MS + 5_000)
    second = situation.run(full=True)
    assert limits(running) == [499]
    assert second.published is not None
    assert (digest(second), second.folder != first.folder) == (digest(first), True)


def test_second_run_prints_that_the_snapshot_is_up_to_date(
    situation: Situation, tmp_path: Path
) -> None:
    running = situation.at(EARLY_MS)
    config = write_config(tmp_path / "config", running.url)
    first = job("run", "--config", config, "--root", situation.root, "--json")
    again = job("run", "--config", config, "--root", situation.root, "--json")
    assert (first.code, again.code) == (0, 0)
    assert (first.json["published"], again.json["published"]) == (True, False)
    assert again.json["snapshot"] == first.json["snapshot"]
    assert "up to date" in again.json["message"]


def test_second_run_after_too_long_fetches_everything(situation: Situation) -> None:
    situation.at(EARLY_MS)
    situation.run()
    running = situation.at(EARLY_MS + 495 * MINUTE_MS)
    second = situation.run()
    assert limits(running) == [499]
    assert digest(second) == situation.whole()


@pytest.mark.parametrize(("before", "after"), [(100, 700), (700, 100), (1200, 4000)])
def test_second_run_with_another_number_of_bars_fetches_only_the_missing_rows(
    situation: Situation, before: int, after: int
) -> None:
    def streams(bars: int) -> list[dict[str, Any]]:
        return [{"symbol": "BTCUSDT", "interval": "1m", "bars": bars}]

    situation.at(EARLY_MS)
    situation.run(streams=streams(before))
    running = situation.at(EARLY_MS + 2 * MINUTE_MS)
    second = situation.run(streams=streams(after))
    spent = sum(limits(running))
    assert spent == 7 + max(0, after - before - 2)  # no row twice, but for the last ones
    assert digest(second) == situation.whole(streams=streams(after))


def test_second_run_with_one_new_stream(situation: Situation) -> None:
    old = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 100}]
    more = [*old, {"symbol": "ETHUSDT", "interval": "5m", "bars": 80},
            {"symbol": "BTCUSDT", "interval": "1m", "bars": 60, "price": "mark"}]  # fmt: skip
    situation.at(EARLY_MS)
    situation.run(streams=old)
    situation.at(EARLY_MS + MINUTE_MS)
    situation.run(streams=more)
    running = situation.at(EARLY_MS + 3 * MINUTE_MS)
    third = situation.run(streams=more)
    assert sorted(limits(running)) == [5, 7, 7]  # no 5m kline has closed: only its last ones
    assert digest(third) == situation.whole(streams=more)


# -- the venue changes its mind, or has no rows ----------------------------------------------------


def recording(path: Path, changed: dict[int, str], rows: int = 900) -> str:
    """A recording of ``rows`` minutes; ``changed`` gives the close of some, by their index."""
    first_ms = EARLY_MS // MINUTE_MS * MINUTE_MS
    path.mkdir(parents=True)
    file = path / "BTCUSDT-1m-made.csv.gz"
    with gzip.open(file, "wt", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["open_time", *"ohlcv", "close_time", "q", "count", "tb", "tq", "ignore"])
        for i in range(rows):
            open_ms = first_ms + i * MINUTE_MS
            close = changed.get(i, f"{50_000 + i % 7}.10")
            prices = ["50003.00", "50020.00", "49990.00", close]
            row = [open_ms, *prices, "5.000", open_ms + 59_999, "250015.00000", 9, "1.000"]
            writer.writerow([*row, "50003.00000", 0])
    return f"um:BTCUSDT:1m:{file}"


@pytest.mark.parametrize(
    ("revised", "asked", "expected"),
    [
        ({}, [6], None),
        ({599: "50009.90"}, [6], "Binance changed 1 of the last 5 bars"),
        ({596: "50009.90", 598: "50009.80"}, [6], "Binance changed 2 of the last 5 bars"),
        # Even the oldest that was asked for again is another: how far back does it go?
        ({595: "50009.90"}, [6, 300], None),
    ],
)
def test_second_run_uses_the_revised_bars_of_the_venue(
    situation: Situation, revised: dict[int, str], asked: list[int], expected: str | None
) -> None:
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 300}]
    first_ms = EARLY_MS // MINUTE_MS * MINUTE_MS
    before = recording(situation.folder / "before", {})
    after = recording(situation.folder / "after", revised)
    situation.at(first_ms + 600 * MINUTE_MS + 5_000, replay=(before,))
    situation.run(streams=streams)
    running = situation.at(first_ms + 601 * MINUTE_MS + 5_000, replay=(after,))
    second = situation.run(streams=streams)
    assert limits(running) == asked
    assert any(expected in line for line in situation.log if expected) == (expected is not None)
    assert digest(second) == situation.whole(streams=streams)


OUTAGE_MS = 1_679_661_600_000  # 2023-03-24T12:40Z: spot lacks 80 minutes from here on


@pytest.mark.parametrize(
    ("first_min", "second_min"),
    [(-30, -1), (-10, 3), (-1, 40), (0, 79), (3, 50), (10, 81), (-2, 83), (81, 83), (82, 84),
     (84, 90), (85, 86), (100, 250)],
)  # fmt: skip
def test_second_run_across_an_outage(
    situation: Situation, recordings: Path, first_min: int, second_min: int
) -> None:
    """Before it, in it and after it: always what a whole fetch would have given."""
    replay = (str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),)
    wanted: dict[str, Any] = {
        "market": "spot", "streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 120}],
    }  # fmt: skip
    situation.at(OUTAGE_MS + first_min * MINUTE_MS + 5_000, replay=replay)
    situation.run(**wanted)
    situation.at(OUTAGE_MS + second_min * MINUTE_MS + 5_000, replay=replay)
    second = situation.run(**wanted)
    assert digest(second) == situation.whole(**wanted)


# -- a snapshot that is no ground to stand on ------------------------------------------------------


def test_second_run_does_not_reuse_an_altered_snapshot(situation: Situation) -> None:
    situation.at(EARLY_MS)
    first = situation.run()
    assert first.folder is not None
    (bars,) = first.folder.rglob("bar/*/*.parquet")
    content = bytearray(bars.read_bytes())
    content[200] ^= 1
    bars.write_bytes(content)
    running = situation.at(EARLY_MS + MINUTE_MS)
    second = situation.run()
    assert limits(running) == [499]
    assert any("was altered" in line for line in situation.log)
    assert find_problems(open_snapshot(situation.root)) == []
    assert digest(second) == situation.whole()


def test_second_run_does_not_reuse_a_degraded_snapshot(
    situation: Situation, recordings: Path
) -> None:
    replay = (str(recordings / "spot" / "BTCUSDT-1m-20230310-20230408.csv.gz"),)
    wanted: dict[str, Any] = {
        "market": "spot", "streams": [{"symbol": "BTCUSDT", "interval": "1m", "bars": 300}],
        "max_gap_bars": 0, "on_failure": "proceed",
    }  # fmt: skip
    situation.at(OUTAGE_MS + 100 * MINUTE_MS, replay=replay)
    assert situation.run(**wanted).errors
    running = situation.at(OUTAGE_MS + 100 * MINUTE_MS + 10_000, replay=replay)
    assert situation.run(**wanted).errors
    assert 300 in limits(running)


def test_second_run_on_another_venue_reuses_nothing(
    situation: Situation, start_exchange: Callable[..., Exchange]
) -> None:
    situation.at(EARLY_MS)
    situation.run()
    elsewhere = Situation(situation.folder, start_exchange)
    running = elsewhere.at(EARLY_MS + MINUTE_MS)
    elsewhere.run()
    assert limits(running) == [499]


def test_second_run_reuses_a_long_series(situation: Situation) -> None:
    """Over several row groups, and past the length that is kept in memory."""
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 52_345}]
    situation.at(EARLY_MS, weight_limit=100_000)
    first = situation.run(streams=streams)
    assert list((situation.root / ".staging").iterdir()) == []
    running = situation.at(EARLY_MS + 3 * MINUTE_MS, weight_limit=100_000)
    second = situation.run(streams=streams)
    assert limits(running) == [8]
    assert digest(second) != digest(first)
    assert digest(second) == situation.whole(streams=streams)
    assert first.folder is not None
    assert find_problems(open_snapshot(situation.root)) == []


@pytest.mark.parametrize(
    "jumps_min", [(-60, 1), (1440, -1440, 1), (60, -1, -1), (-1, 525_600, -525_600)]
)
def test_second_run_after_a_clock_jump(situation: Situation, jumps_min: tuple[int, ...]) -> None:
    """What a run publishes is current, whole and of its time, whatever the exchange said before."""
    streams = [{"symbol": "BTCUSDT", "interval": "1m", "bars": 80}]
    now_ms = EARLY_MS
    situation.at(now_ms)
    made = [situation.run(streams=streams)]
    for jump_min in jumps_min:
        now_ms += jump_min * MINUTE_MS
        situation.at(now_ms)
        made.append(situation.run(streams=streams))
        snapshot = open_snapshot(situation.root)
        assert snapshot.folder == made[-1].folder
        assert find_problems(snapshot, now_ms=now_ms, max_age_ms=MINUTE_MS) == []
        assert snapshot.manifest.streams[0].last_close == now_ms // MINUTE_MS * MINUTE_MS - 1
        assert digest(made[-1]) == situation.whole(streams=streams)
    ids = [outcome.folder.name for outcome in made if outcome.folder is not None]
    assert len(set(ids)) == len(made)
