"""The trader's state folder: one trader at a time, and write failures are logged once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from loguru import logger
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.trading.strategy import Strategy

from tests.support.commands import job, job_process
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.made_up_market import make_engine
from tests.support.suite import HANG_S
from tests.support.waiting import until, until_async
from warmup_job.errors import LiveRefusedError, TraderError
from warmup_job.handoff import saved_state as saved
from warmup_job.handoff.state_dir import LOCK, StateDir, held_state_dir
from warmup_job.modes import Mode

HOLDER = """
import sys, time
from pathlib import Path
from warmup_job.handoff.state_dir import held_state_dir
with held_state_dir(Path(sys.argv[1]), "live"):
    print("held", flush=True)
    time.sleep(600)
"""


class Remembers(Strategy):
    """A strategy that saves one word, or fails if ``fails`` is set."""

    word = b"first"
    fails = False
    taken = 0
    """How many times its state was taken."""

    def on_save(self) -> dict[str, bytes]:
        self.taken += 1
        if self.fails:
            raise ValueError("nothing to save")
        return {"word": self.word}

    def on_load(self, state: dict[str, bytes]) -> None:
        self.word = state["word"]


class Counting(StateDir):
    """Counts writes, which wait until they may begin."""

    def __init__(self, path: Path, mode: Mode) -> None:
        super().__init__(path, mode)
        self.writes = 0
        self.may_write = threading.Event()
        self.may_write.set()

    def write(self, path: Path, data: bytes) -> bool:
        self.writes += 1
        assert self.may_write.wait(HANG_S)
        return super().write(path, data)


@pytest.fixture
def remembers() -> Iterator[Callable[[], Remembers]]:
    """Make strategies registered with an engine, which on_save needs; all have one id."""
    engines: list[BacktestEngine] = []

    def make() -> Remembers:
        engines.append(make_engine())
        strategy = Remembers()
        engines[-1].add_strategy(strategy)
        return strategy

    yield make
    for engine in engines:
        engine.dispose()


def save(state: StateDir, strategy: Remembers) -> bool:
    return asyncio.run(saved.StateSaver(state, [strategy]).close())


@pytest.fixture
def logged() -> Iterator[list[tuple[str, str]]]:
    """Collect level and message of every log record."""
    lines: list[tuple[str, str]] = []
    sink = logger.add(
        lambda line: lines.append((line.record["level"].name, line.record["message"]))
    )
    yield lines
    logger.remove(sink)


@contextmanager
def another_trader(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the folder for live trading."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_state_dir_second_trader_is_refused_with_the_first_ones_name(
    tmp_path: Path, mode: Mode
) -> None:
    with another_trader(tmp_path) as first:
        with pytest.raises(TraderError) as refused, held_state_dir(tmp_path, mode):
            pytest.fail("two traders have it")
        assert refused.value.exit_code == 21
        message = str(refused.value)
        assert f"a live trader, pid {first.pid} on {socket.gethostname()}, since 20" in message
        assert "WARMUP_STATE_DIR" in message


def test_state_dir_is_free_after_its_trader_was_killed(tmp_path: Path) -> None:
    with another_trader(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with held_state_dir(tmp_path, "live") as state:
            assert state.usable
            record = json.loads((tmp_path / LOCK).read_bytes())
    assert (record["pid"], record["mode"]) == (os.getpid(), "live")


def test_state_dir_is_created_and_free_after_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    for _ in range(2):
        with held_state_dir(folder, "paper") as state:
            assert state.usable
    assert sorted(each.name for each in folder.iterdir()) == [LOCK, "paper"]
    assert list((folder / "paper").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff" * 600, b"a live tra"])
def test_state_dir_unreadable_record_still_refuses_a_second_trader(
    tmp_path: Path, content: bytes
) -> None:
    with another_trader(tmp_path):
        (tmp_path / LOCK).write_bytes(content)
        with pytest.raises(TraderError, match="does not name"), held_state_dir(tmp_path, "paper"):
            pytest.fail("two traders have it")


def unusable(kind: str, folder: Path) -> Path:
    """Return a state folder that cannot be used, not even by root."""
    (folder / "file").write_bytes(b"")
    if kind == "no folder":
        return folder / "file" / "state"
    state = folder / "state"
    state.mkdir()
    if kind == "no folder for the mode":
        for mode in ("paper", "live"):
            (state / mode).write_bytes(b"")
    else:
        (state / LOCK).symlink_to(folder / "file")
    return state


UNUSABLE = ["no folder", "no folder for the mode", "a link in the lock's place"]


@pytest.mark.parametrize("kind", UNUSABLE)
def test_state_dir_live_refuses_an_unusable_folder(tmp_path: Path, kind: str) -> None:
    path = unusable(kind, tmp_path)
    with pytest.raises(LiveRefusedError) as refused, held_state_dir(path, "live"):
        pytest.fail("it was let in")
    assert refused.value.exit_code == 22
    assert str(path) in str(refused.value)
    assert "WARMUP_STATE_DIR" in str(refused.value)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_state_dir_paper_warns_once_and_saves_nothing(
    tmp_path: Path, kind: str, logged: list[tuple[str, str]], remembers: Callable[[], Remembers]
) -> None:
    path, strategy = unusable(kind, tmp_path), remembers()
    with held_state_dir(path, "paper") as state:
        for _ in range(3):
            assert not save(state, strategy)
            assert not state.write(state.path / "paper.json", b"{}")
        assert not saved.load(state, strategy)
    ((level, message),) = logged
    assert level == "WARNING"
    assert str(path) in message
    assert "WARMUP_STATE_DIR" in message


@pytest.mark.parametrize(("mode", "level"), [("paper", "WARNING"), ("live", "ERROR")])
def test_state_dir_loss_and_return_are_logged_once(
    tmp_path: Path,
    mode: Mode,
    level: str,
    logged: list[tuple[str, str]],
    remembers: Callable[[], Remembers],
) -> None:
    strategy = remembers()
    with held_state_dir(tmp_path / "state", mode) as state:
        assert save(state, strategy)
        assert logged == []
        state.folder.rename(tmp_path / "away")
        state.folder.write_bytes(b"")
        for _ in range(3):
            assert not save(state, strategy)
        assert [each for each, _ in logged] == [level]
        assert "WARMUP_STATE_DIR" in logged[0][1]
        state.folder.unlink()
        strategy.word = b"second"
        for _ in range(2):
            assert save(state, strategy)
        assert [each for each, _ in logged] == [level, "INFO"]
        later = remembers()
        assert saved.load(state, later)
    assert later.word == b"second"


def test_state_dir_strategy_that_cannot_be_saved_is_logged_once(
    tmp_path: Path, logged: list[tuple[str, str]], remembers: Callable[[], Remembers]
) -> None:
    strategy = remembers()
    state = StateDir(tmp_path, "paper")
    strategy.fails = True
    for _ in range(3):
        assert not save(state, strategy)
    ours = [message for _, message in logged if "on_save" in message]
    assert len(ours) == 1
    assert "nothing to save" in ours[0]
    strategy.fails = False
    assert save(state, strategy)
    assert "is written again" in logged[-1][1]


# -- while it trades ---------------------------------------------------------------------------


def word_in(state: StateDir) -> bytes | None:
    """Return the word that is on the disk now."""
    files = list(state.folder.glob("Remembers*.json"))
    return base64.b64decode(json.loads(files[0].read_text())["state"]["word"]) if files else None


def test_state_dir_saver_writes_on_request_and_the_newest_state_at_the_end(
    tmp_path: Path, remembers: Callable[[], Remembers]
) -> None:
    state, strategy = StateDir(tmp_path, "paper"), remembers()

    async def trade() -> None:
        saver = saved.StateSaver(state, [strategy])
        running = asyncio.create_task(saver.run())
        saver.request()
        await until_async(lambda: word_in(state) == b"first")
        strategy.word = b"second"
        saver.request()
        await until_async(lambda: word_in(state) == b"second")
        strategy.word = b"last"
        running.cancel()
        assert await saver.close()

    asyncio.run(trade())
    assert word_in(state) == b"last"


def test_state_dir_saver_writes_a_changed_state_only(
    tmp_path: Path, remembers: Callable[[], Remembers]
) -> None:
    state, strategy = Counting(tmp_path, "paper"), remembers()

    async def trade() -> None:
        saver = saved.StateSaver(state, [strategy])
        running = asyncio.create_task(saver.run())
        for word in (b"a", b"a", b"b"):
            strategy.word, strategy.taken = word, 0
            saver.request()
            await until_async(lambda: strategy.taken == 1)
        await until_async(lambda: state.writes == 2)
        running.cancel()

    asyncio.run(trade())


def test_state_dir_saver_slow_disk_delays_no_event_and_loses_no_request(
    tmp_path: Path, remembers: Callable[[], Remembers]
) -> None:
    state, strategy = Counting(tmp_path, "paper"), remembers()

    async def trade() -> None:
        saver = saved.StateSaver(state, [strategy])
        running = asyncio.create_task(saver.run())
        state.may_write.clear()
        saver.request()
        await until_async(lambda: state.writes == 1)  # and the event loop still runs
        for number in range(100):
            strategy.word = b"%d" % number
            saver.request()
        state.may_write.set()
        await until_async(lambda: word_in(state) == b"99")
        assert state.writes == 2
        running.cancel()

    asyncio.run(trade())


def test_state_dir_saver_unfinished_write_does_not_replace_the_last_state(
    tmp_path: Path, remembers: Callable[[], Remembers]
) -> None:
    """The end of a run waits for both, and the event loop for neither."""
    state, strategy = Counting(tmp_path, "paper"), remembers()

    async def trade() -> None:
        saver = saved.StateSaver(state, [strategy])
        running = asyncio.create_task(saver.run())
        state.may_write.clear()
        saver.request()
        await until_async(lambda: state.writes == 1)
        running.cancel()
        strategy.word, strategy.taken = b"last", 0
        closing = asyncio.create_task(saver.close())
        await until_async(lambda: strategy.taken == 1)
        state.may_write.set()
        assert await closing

    asyncio.run(trade())
    assert word_in(state) == b"last"


def test_state_dir_saver_disk_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, remembers: Callable[[], Remembers], logged: list[tuple[str, str]]
) -> None:
    state, strategy = Counting(tmp_path, "live"), remembers()
    state.may_write.clear()
    assert not asyncio.run(saved.StateSaver(state, [strategy], last_s=0.01).close())
    state.may_write.set()
    ((level, message),) = logged
    assert level == "ERROR"
    assert str(state.folder) in message
    assert "may be lost" in message


# -- the command -------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("second", ["paper", "live"])
def test_state_dir_second_trader_exits_with_21_without_any_request(
    start_exchange: Callable[..., Exchange], tmp_path: Path, second: str
) -> None:
    running = start_exchange()
    config = write_config(tmp_path, running.url, ws_url=running.ws_url)
    trade = ("trade", "--config", config, "--root", tmp_path / "snapshot")
    log = tmp_path / "log"
    with job_process(*trade, "--mode", "paper", log=log) as first:
        until(lambda: "live: contiguous" in log.read_text(), process=first)
        report = tmp_path / "state" / f"{second}.json"
        there = report.exists()
        elsewhere = start_exchange()  # any request here comes from the second trader
        other = write_config(tmp_path / "b", elsewhere.url, ws_url=elsewhere.ws_url)
        env = {"WARMUP_VENUE": str(other.with_name("venue.yaml"))}
        done = job(*trade, "--mode", second, env=env)
        assert done.code == 21, done.err
        assert f"a paper trader, pid {first.pid} on " in done.messages[-1]
        assert elsewhere.requests() == []
        assert report.exists() is there
        assert first.poll() is None
        first.kill()
        first.wait()
    again = tmp_path / "again"
    with job_process(*trade, "--mode", "paper", log=again) as third:  # the lock is free
        until(lambda: "live: contiguous" in again.read_text(), process=third)


@pytest.mark.e2e
def test_state_dir_live_trader_exits_with_22_without_any_request(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    state = unusable("no folder", tmp_path)
    config = write_config(
        tmp_path, running.url, ws_url=running.ws_url, trade={"state_dir": str(state)}
    )
    done = job("trade", "--config", config, "--root", tmp_path / "snapshot", "--mode", "live")
    assert done.code == 22, done.err
    assert str(state) in done.messages[-1]
    assert running.requests() == []


@pytest.mark.e2e
def test_state_dir_paper_trades_without_it_and_warns_once(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange()
    state = unusable("no folder", tmp_path)
    config = write_config(
        tmp_path, running.url, ws_url=running.ws_url, trade={"state_dir": str(state)}
    )
    log = tmp_path / "log"
    trade = ("trade", "--config", config, "--root", tmp_path / "snapshot", "--mode", "paper")
    with job_process(*trade, log=log) as trader:
        until(lambda: "live: contiguous" in log.read_text(), process=trader)
        trader.terminate()
        trader.wait(HANG_S)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
    about = [each for each in lines if str(state) in each["message"]]
    assert [each["level"] for each in about] == ["WARNING"]
