"""An operator pauses, resumes and flattens a running trader."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import EARLY_S, Exchange, before_the_minute
from tests.support.operators import CALM, WILD, operated, operated_live, snapshot_for_live
from tests.support.oracle import Bounds
from tests.support.suite import HANG_S
from tests.support.waiting import until
from warmup_job.handoff.reporting.journal_entries import (
    OrderEnded,
    OrderOpened,
    StateEntered,
    read_journal,
)

pytestmark = pytest.mark.e2e
LATE = Bounds(unprotected_ms=20_000, duplicate_ms=20_000)
"""It does not hear of a fill, and compares the account every few seconds."""


def is_live(report: dict[str, Any]) -> bool:
    return bool(report["state"] == "live" and report["orders_open"] >= 8)


def test_pause_holds_entries_back_over_a_restart_until_resume(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=CALM)
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    state_dir = tmp_path / "state"
    with operated(config, "paper", state_dir) as trader:
        trader.until(is_live)
        assert trader.ask("pause").code == 0
        report = trader.until(lambda report: not report["orders_open"])
        assert report["state"] == "paused"
        assert "by the operator" in report["why"]
        assert not report["trading"]
        assert trader.stop() == 143
    journal = read_journal(state_dir, "paper")
    states = [each.state for each in journal if isinstance(each, StateEntered)]
    assert states[-3:] == ["live", "paused", "stopping"]
    opened = {each.order: each for each in journal if isinstance(each, OrderOpened)}
    assert {(each.side, each.book) for each in opened.values()} == {
        ("BUY", "LONG"), ("SELL", "SHORT"),
    }  # fmt: skip
    assert {each.order for each in journal if isinstance(each, OrderEnded)} == opened.keys()
    with operated(config, "paper", state_dir) as trader:
        wishes = set()

        def is_paused(report: dict[str, Any]) -> bool:
            wishes.add(report["operator"])
            return bool(report["state"] == "paused")

        assert not trader.until(is_paused)["orders_open"]
        assert wishes == {"paused"}  # from its first report on
        assert trader.ask("resume").code == 0
        trader.until(is_live)
        assert trader.stop() == 143
    with operated(config, "paper", state_dir) as trader:
        trader.until(is_live)


def test_first_line_of_status_is_of_now_and_resume_names_the_state_that_follows(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=CALM)
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    options = ("--state-dir", tmp_path / "state")
    with operated(config, "paper", tmp_path / "state") as trader:
        trader.until(is_live)
        assert trader.ask("pause").code == 0
        assert job("trader", "resume", *options).out.startswith("resumed; live: contiguous to ")
        running.fault("ws-mute")
        first = trader.until(lambda report: report["state"] == "degraded")["why"]
        words = first.rpartition(" for ")[0]
        assert words.endswith("no websocket message")
        assert job("trader", "resume", *options).out.startswith("resumed; degraded: ")
        trader.until(lambda report: report["why"].startswith(words) and report["why"] != first)
        assert trader.stop() == 143


def test_pause_that_the_disk_refused_is_written_as_soon_as_it_can_be(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=CALM)
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    wish = tmp_path / "state" / "operator.json"
    with operated(config, "paper", tmp_path / "state") as trader:
        trader.until(is_live)
        wish.mkdir()  # no file can replace it
        assert trader.ask("pause").code == 0
        wish.rmdir()
        until(wish.is_file)
        assert json.loads(wish.read_text())["state"] == "paused"
        assert trader.stop() == 143


def test_flatten_closes_everything_and_stays_paused_over_a_restart(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """On paper, where positions end with the process."""
    running = start_exchange(now_ms=before_the_minute(EARLY_S), volatility_bps=WILD)
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    state_dir = tmp_path / "state"
    with operated(config, "paper", state_dir) as trader:
        trader.until(lambda report: report["positions_open"])
        flat = trader.ask("flatten")
        assert flat.code == 0, flat.err
        closed = flat.json["flat"]["closed"]
        assert closed
        assert all(Decimal(each["quantity"]) > 0 and each["price"] for each in closed)
        report = flat.json["report"]
        assert (report["positions_open"], report["orders_open"]) == (0, 0)
        assert report["operator"] == "paused"
        assert trader.stop() == 143
    with operated(config, "paper", state_dir) as trader:
        report = trader.until(lambda report: report["state"] == "paused")
        assert not report["orders_open"]
        assert trader.ask("resume").code == 0
        trader.until(is_live)


def test_live_flatten_ends_when_the_exchange_reports_flat_also_after_a_kill(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """The exchange refuses new orders for a while; the trader is killed meanwhile and goes on."""
    running = start_exchange(volatility_bps=WILD)
    config = snapshot_for_live(tmp_path, running)
    state_dir = tmp_path / "state"
    with operated_live(config, running) as trader:
        trader.until(lambda report: report["positions_open"])
        running.fault("reject=-2010@POST/order")
        with job_process("trader", "flatten", "--state-dir", state_dir) as command:
            until(lambda: "was refused" in trader.log.read_text(), trader.log.read_text)
            trader.process.kill()
            assert command.wait(HANG_S) == 21
        complete = trader.log.read_text().rpartition("\n")[0].splitlines()
        lines = [json.loads(each) for each in complete]
        refused = [each for each in lines if "was refused" in each["message"]]
        assert refused[0]["level"] == "WARNING"
    assert running.account()["positions"]
    running.clear_faults()
    with operated_live(config, running) as trader:
        trader.until(lambda report: report["operator"] == "paused")
        account = running.account()
        assert not account["positions"]
        assert not account["orders"]
        assert trader.stop() == 143
    closing = [each["client_id"] for each in account["journal"] if each["event"] == "order"]
    assert {each[0] for each in closing} <= {"E", "T", "S", "F"}  # each order has an owner


def test_live_flatten_closes_what_the_trader_has_not_heard_of(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """The user data stream is mute, and the exchange refuses to close a part beside other exits."""
    running = start_exchange(volatility_bps=WILD, closing_orders="reject")
    config = snapshot_for_live(tmp_path, running)
    with operated_live(config, running, LATE) as trader:
        trader.until(is_live)
        running.fault("user-mute")
        until(lambda: running.account()["positions"], "a position", process=trader.process)
        flat = trader.ask("flatten")
        assert flat.code == 0, flat.err
        account = running.account()
        assert not account["positions"]
        until(lambda: not running.account()["orders"], "no orders", process=trader.process)
        trader.until(lambda report: report["state"] in {"paused", "degraded"})
