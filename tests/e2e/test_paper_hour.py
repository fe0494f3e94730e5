"""An hour of the paper trader over two restarts (SIGTERM and SIGKILL), on a faster clock."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job, job_process
from tests.support.exchange import running_exchange
from tests.support.seam import MINUTE_MS, MINUTES, SPOT_GRID, imported_file
from tests.support.suite import HANG_S

pytestmark = pytest.mark.e2e
SPEED = 90
START_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z: the same market each time
BARS = 22  # live minutes of each run: 3 × 21 minutes in total
ENDS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)
MOST_QUOTE, MOST_HELD = Decimal(1500), Decimal("0.03")
GRID = SPOT_GRID | {
    "instrument_id": str(MINUTES.instrument_id), "bar_type": str(MINUTES), "grid_step_bps": 5,
    "sl_steps": 6, "recenter_trigger_bps": 15.0, "max_inventory_quote": str(MOST_QUOTE),
    "max_position_size": str(MOST_HELD),
    "max_bar_staleness_seconds": 10**9,  # by this machine's clock every bar is old
}  # fmt: skip


@dataclass(frozen=True)
class Life:
    """One run of the trader: its exit code, its strategy's journal, and its log."""

    code: int
    journal: list[dict[str, Any]]
    log: list[str]

    def noted(self, *kinds: str) -> list[dict[str, Any]]:
        return [each for each in self.journal if each["kind"] in kinds]

    @property
    def opens(self) -> list[int]:
        """Return the open times of its bars, in order of arrival."""
        return [each["open_ms"] for each in self.noted("history", "bar")]

    def filled(self, leg: str) -> int:
        return sum(each["order_id"].startswith(leg) for each in self.noted("OrderFilled"))


def live_until(trader: Any, journal: Path, ending: signal.Signals) -> int:
    """Run the trader until its strategy has enough bars and trades, then end it."""
    deadline = time.monotonic() + HANG_S
    while not is_enough(journal):
        assert trader.poll() is None, "the trader has ended"
        assert time.monotonic() < deadline, "bars, quotes or fills do not come"
        time.sleep(0.5)
    trader.send_signal(ending)
    return int(trader.wait(HANG_S))


def is_enough(journal: Path) -> bool:
    """Return whether a run has enough to judge; its duration does not matter."""
    text = journal.read_text() if journal.exists() else ""
    if text.count('"kind":"bar"') < BARS:
        return False
    life = Life(0, [json.loads(line) for line in text.splitlines()], [])
    quotes = life.noted("bar")[-1]["quotes"]
    return bool(quotes > 1000 and life.filled("E") >= 5 and life.filled("T") >= 3)


def test_paper_hour_over_two_restarts(tmp_path: Path) -> None:
    lives = live_through(tmp_path)
    it_was_an_hour_and_each_life_had_every_bar_once(lives)
    nothing_went_wrong(lives)
    every_life_traded_and_none_sent_anything_twice(lives)
    what_was_held_had_its_exits_and_was_within_the_caps(lives)
    the_centre_and_what_was_earned_survived(lives)


def live_through(folder: Path) -> list[Life]:
    """Run the trader three times in a row on one state and one exchange."""
    lives = []
    with running_exchange(speed=SPEED, seed=11, now_ms=START_MS) as running:
        for at, ending in enumerate(ENDS):
            journal, log = folder / f"journal-{at}", folder / f"log-{at}"
            grid = GRID | {"journal": str(journal)}
            classes = ("tests.support.audited:Audited", "tests.support.audited:AuditedConfig")
            path = imported_file(folder, running, [(*classes, grid)], streams={"1m": 400})
            options = ("--config", path, "--root", folder / "snapshot")
            done = job("run", *options)
            assert done.code == 0, done.err
            with job_process("trade", *options, "--mode", "paper", "--json", log=log) as trader:
                code = live_until(trader, journal, ending)
            noted = [json.loads(line) for line in journal.read_text().splitlines()]
            lives.append(Life(code, noted, log.read_text().splitlines()))
    return lives


def it_was_an_hour_and_each_life_had_every_bar_once(lives: list[Life]) -> None:
    live = [life.noted("bar") for life in lives]
    assert sum(bars[-1]["open_ms"] - bars[0]["open_ms"] for bars in live) >= 60 * MINUTE_MS
    assert all(bars[-1]["quotes"] > 1000 for bars in live)
    for life in lives:
        assert {after - before for before, after in pairwise(life.opens)} == {MINUTE_MS}
    for before, after in pairwise(lives):
        assert after.opens[0] <= before.opens[-1] < after.opens[-1], "a minute nobody has seen"


def nothing_went_wrong(lives: list[Life]) -> None:
    assert [life.code for life in lives] == [143, -signal.SIGKILL, 143]
    for life in lives:
        errors = [line for line in life.log if "[ERROR]" in line or '"level": "ERROR"' in line]
        assert all("stopped by a signal" in line for line in errors), errors
        assert not [line for line in life.log if "Traceback" in line or "taken over" in line]
        # Entries that still waited for the order rates when the trader stopped, and exits that were
        # resized while another one filled: what is held has its exits, see below.
        denied = {each["reason"] for each in life.noted("OrderDenied")}
        denied.discard("trading is halted: only orders that close a position may leave")
        assert all("would increase position" in reason for reason in denied), denied
        unexplained = [
            each
            for each in life.noted("OrderRejected")
            if not each["post_only"] and "in the market" not in each["reason"]
        ]
        assert not unexplained


def every_life_traded_and_none_sent_anything_twice(lives: list[Life]) -> None:
    ids = Counter(each["order_id"] for life in lives for each in life.noted("OrderSubmitted"))
    assert set(ids.values()) == {1}
    for life in lives:
        assert life.filled("E") >= 5
        assert life.filled("T") >= 3
        looks = life.noted("look")
        for look in looks:
            rungs = Counter(map(tuple, look["entries"]))
            assert all(count == 1 for count in rungs.values()), "the same rung twice"
            assert max(Counter(book for book, _ in rungs).values(), default=0) <= 3
        # A bar lasts two thirds of a second here, which may be too short for a busy machine.
        assert any(look["entries"] for look in looks[1 : BARS // 2]), "the ladder does not stand"


def what_was_held_had_its_exits_and_was_within_the_caps(lives: list[Life]) -> None:
    for life in lives:
        bare: set[str] = set()  # a change of the exit's size may be in flight
        quotes = 0
        for bar, look in zip(life.noted("bar"), life.noted("look"), strict=False):
            for book in ("LONG", "SHORT"):
                lots = [Decimal(lot[2]) for lot in look["lots"] if lot[1] == book]
                assert sum(lots) == Decimal(look["held"][book]) <= MOST_HELD
                assert Decimal(look["quote"][book]) <= MOST_QUOTE
            if bar["quotes"] < quotes + 10:
                continue  # the machine stood still, and two bars came at once
            quotes = bar["quotes"]
            before, bare = bare, {
                key
                for key, _, quantity, exits in look["lots"]
                if {Decimal(each) for each in exits.values()} != {Decimal(quantity)}
            }  # fmt: skip
            assert not before & bare, "held for a minute without its exits"


def the_centre_and_what_was_earned_survived(lives: list[Life]) -> None:
    assert not lives[0].noted("loaded")
    for before, after in pairwise(lives):
        (loaded,) = after.noted("loaded")
        # A killed trader may have created the state but not yet written it.
        assert loaded["kept"] in [each["kept"] for each in before.noted("saved")[-2:]]
        assert Decimal(loaded["kept"]["realised"]) != 0
        assert loaded["kept"]["center"] is not None
