"""The operator's wish, and the socket by which the trader takes it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.support.commands import Result, job, job_process
from tests.support.suite import HANG_S
from tests.support.waiting import until_async
from warmup_job.errors import TraderError
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.reporting.flatten_report import ClosedPosition, FlatReport
from warmup_job.handoff.reporting.report import Report
from warmup_job.handoff.state_dir import StateDir
from warmup_job.modes import OperatorState
from warmup_job.trader.control_client import ask_trader
from warmup_job.trader.control_messages import ControlMessage
from warmup_job.trader.control_server import controlled
from warmup_job.trader.control_socket import SOCKET, connect_socket, listening_socket

REPORT = Report(state="live", why="", mode="paper", at_ms=2_000, since_ms=1_000, started_ms=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a state folder whose path is too long for a unix socket's address."""
    made = tmp_path / ("a" * 100) / ("b" * 100)
    made.mkdir(parents=True)
    return made


@asynccontextmanager
async def trader(folder: Path) -> AsyncIterator[OperatorControl]:
    """Serve the socket of a folder."""
    state_dir = StateDir(folder, "paper")
    operator = OperatorControl(state_dir)
    async with controlled(state_dir, operator, lambda: REPORT):
        yield operator


def with_trader[T](folder: Path, act: Callable[[OperatorControl], Awaitable[T]]) -> T:
    async def run() -> T:
        async with trader(folder) as operator:
            return await act(operator)

    return asyncio.run(run())


# -- the wish --------------------------------------------------------------------------------------


def kept(operator: OperatorControl, state: OperatorState) -> bool:
    return asyncio.run(operator.take(state, "uid 0"))


def test_wish_survives_a_restart(folder: Path) -> None:
    assert OperatorControl(StateDir(folder, "live")).state == "trading"
    assert kept(OperatorControl(StateDir(folder, "live")), "paused")
    again = OperatorControl(StateDir(folder, "live"))
    assert again.state == "paused"
    assert "uid 0" in again.reason
    assert kept(again, "trading")
    assert not OperatorControl(StateDir(folder, "live")).reason


def test_end_of_a_flatten_that_cannot_be_written_is_written_later(folder: Path) -> None:
    """Or the trader would close every position at a restart weeks later."""
    operator = OperatorControl(StateDir(folder, "live"))
    away = folder.with_name("away")
    with asyncio.Runner() as runner:
        assert runner.run(operator.take("flattening", "uid 0"))
        folder.rename(away)
        folder.write_text("")  # the volume is gone
        operator.flattened(FlatReport(flat=True))
        assert not runner.run(operator.write())
        folder.unlink()
        away.rename(folder)
        assert OperatorControl(StateDir(folder, "live")).state == "flattening"
        assert runner.run(operator.write())
    again = OperatorControl(StateDir(folder, "live"))
    assert (again.state, "uid 0" in again.reason) == ("paused", True)


class SlowDisk(StateDir):
    """Writes when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "live")
        self.is_writing, self.may_write = threading.Event(), threading.Event()

    def write(self, path: Path, data: bytes) -> bool:
        self.is_writing.set()
        assert self.may_write.wait(HANG_S)
        return super().write(path, data)


def test_disk_that_hangs_delays_a_wish_for_a_limited_time_and_gets_the_newest_one_later(
    folder: Path,
) -> None:
    disk = SlowDisk(folder)
    seen = []

    async def flatten_and_resume() -> None:
        operator = OperatorControl(disk, write_s=0.01)
        operator.on_change = lambda: seen.append(operator.state)
        assert not await operator.take("flattening")
        assert not await operator.take("trading")
        disk.may_write.set()
        async with asyncio.timeout(HANG_S):
            while not await operator.write():
                await asyncio.sleep(0.01)

    asyncio.run(flatten_and_resume())
    assert seen == ["flattening", "trading"]
    assert json.loads((folder / "operator.json").read_text())["state"] == "trading"


def test_slow_disk_delays_the_wish_and_not_the_event_loop(folder: Path) -> None:
    disk = SlowDisk(folder)

    async def pause() -> str:
        operator = OperatorControl(disk, write_s=HANG_S)
        asked = asyncio.create_task(operator.take("paused"))
        await until_async(disk.is_writing.is_set)
        before = operator.state
        disk.may_write.set()
        assert await asked
        assert operator.state == "paused"
        return before

    assert asyncio.run(pause()) == "trading"


@pytest.mark.parametrize("content", [b"", b"{", b'{"state":"asleep","since_ms":1}', b"\xff"])
def test_unreadable_wish_counts_as_a_pause(folder: Path, content: bytes) -> None:
    (folder / "operator.json").write_bytes(content)
    assert OperatorControl(StateDir(folder, "live")).state == "paused"


def test_wish_that_cannot_be_written_is_acted_on_and_reported(tmp_path: Path) -> None:
    seen = []
    operator = OperatorControl(StateDir(tmp_path / "file" / "below", "live"))
    (tmp_path / "file").write_text("")
    operator.on_change = lambda: seen.append(operator.state)
    assert not kept(operator, "paused")
    assert seen == ["paused"]


# -- the socket ------------------------------------------------------------------------------------


def test_requests_arrive_over_a_path_that_is_too_long_for_a_socket(folder: Path) -> None:
    async def act(operator: OperatorControl) -> list[ControlMessage]:
        paused = await asyncio.to_thread(ask_trader, folder, "pause")
        assert operator.reason.startswith("no entries, by the operator")
        assert f"uid {os.getuid()}" in operator.reason
        asked = await asyncio.to_thread(ask_trader, folder, "status")
        resumed = await asyncio.to_thread(ask_trader, folder, "resume")
        assert not operator.reason
        return [paused, asked, resumed]

    assert len(os.fsencode(folder)) > 108
    for message in with_trader(folder, act):
        assert message.done
        assert message.kept
        assert message.report == REPORT


def test_folder_may_have_another_path_than_the_traders(folder: Path, tmp_path: Path) -> None:
    """As in another container that has mounted the same volume."""
    (tmp_path / "mounted").symlink_to(folder)

    async def act(_: OperatorControl) -> ControlMessage:
        return await asyncio.to_thread(ask_trader, tmp_path / "mounted", "status")

    assert with_trader(folder, act).report == REPORT


def test_flatten_answers_when_it_is_flat(folder: Path) -> None:
    closed = ClosedPosition(position="BTCUSDT-PERP.BINANCE-LONG", quantity=1)  # type: ignore[arg-type]

    async def act(operator: OperatorControl) -> tuple[list[str], ControlMessage]:
        def flatten() -> None:
            if operator.state == "flattening":
                operator.progress("closing")
                operator.flattened(FlatReport(flat=True, closed=(closed,)))

        operator.on_change = flatten
        steps: list[str] = []
        message = await asyncio.to_thread(ask_trader, folder, "flatten", steps.append)
        assert operator.state == "paused"
        return steps, message

    steps, message = with_trader(folder, act)
    assert steps == ["closing"]
    assert message.flat == FlatReport(flat=True, closed=(closed,))
    assert OperatorControl(StateDir(folder, "paper")).state == "paused"


def test_resume_ends_a_flatten_that_waits(folder: Path) -> None:
    async def act(operator: OperatorControl) -> ControlMessage:
        begun = asyncio.Event()
        operator.on_change = begun.set
        waiting = asyncio.create_task(asyncio.to_thread(ask_trader, folder, "flatten"))
        await begun.wait()
        await asyncio.to_thread(ask_trader, folder, "resume")
        return await waiting

    flat = with_trader(folder, act).flat
    assert flat is not None
    assert not flat.flat
    assert "trading" in flat.why_not


def test_socket_is_for_its_user_only_and_goes_with_the_trader(folder: Path) -> None:
    async def act(_: OperatorControl) -> int:
        return stat.S_IMODE((folder / SOCKET).stat().st_mode)

    before = os.umask(0)
    try:
        assert with_trader(folder, act) == 0o600
    finally:
        os.umask(before)
    assert not (folder / SOCKET).exists()


def test_socket_of_a_dead_trader_is_replaced(folder: Path) -> None:
    with listening_socket(folder):
        (folder / SOCKET).rename(folder / "kept")
    (folder / "kept").rename(folder / SOCKET)
    with pytest.raises(TraderError, match=r"no trader listens at .*: start one"):
        ask_trader(folder, "status")

    async def act(_: OperatorControl) -> ControlMessage:
        return await asyncio.to_thread(ask_trader, folder, "status")

    assert with_trader(folder, act).report == REPORT


def test_client_that_leaves_or_sends_garbage_harms_nobody(folder: Path) -> None:
    def misbehave() -> bytes:
        with connect_socket(folder) as leaving:
            leaving.sendall(b'{"command":"flatten"}\n')
        with connect_socket(folder) as long:
            long.sendall(b"x" * 100)
        with connect_socket(folder) as other:
            other.sendall(b'nonsense\n{"command":"sell"}\n{"command":"status"}\n')
            lines = other.makefile("rb")
            return b"".join(next(lines) for _ in range(3))

    async def act(operator: OperatorControl) -> bytes:
        answers = await asyncio.to_thread(misbehave)
        operator.flattened(FlatReport(flat=True))
        return answers

    first, second, third = with_trader(folder, act).splitlines()
    assert "not a request" in json.loads(first)["error"]
    assert "not a request" in json.loads(second)["error"]
    assert json.loads(third)["report"]["state"] == "live"


def test_trader_without_a_usable_folder_has_no_socket(tmp_path: Path) -> None:
    async def run() -> None:
        state_dir = StateDir(tmp_path, "paper", usable=False)
        async with controlled(state_dir, OperatorControl(state_dir), lambda: REPORT):
            pass

    asyncio.run(run())
    assert not list(tmp_path.iterdir())


def test_trader_that_ends_during_a_flatten_is_named(folder: Path) -> None:
    async def run() -> None:
        async with trader(folder) as operator:
            begun = asyncio.Event()
            operator.on_change = begun.set
            waiting = asyncio.create_task(asyncio.to_thread(ask_trader, folder, "flatten"))
            await begun.wait()
        with pytest.raises(TraderError, match="goes on when it starts again"):
            await waiting
        assert OperatorControl(StateDir(folder, "paper")).state == "flattening"

    asyncio.run(run())


def test_request_counts_as_sent_before_the_trader_has_it(folder: Path) -> None:
    """Or an interruption between the two would say that nothing was closed."""
    with listening_socket(folder) as listener, ExitStack() as peers:
        listener.setblocking(True)

        def answer() -> None:
            peer = peers.enter_context(listener.accept()[0])
            with pytest.raises(BlockingIOError):
                peer.recv(1, socket.MSG_DONTWAIT)
            peer.sendall(msgspec.json.encode(ControlMessage(done=True)) + b"\n")

        assert ask_trader(folder, "flatten", on_sending=answer).done


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["pause", "resume", "flatten", "status"])
def test_command_without_a_trader_exits_with_21(tmp_path: Path, command: str) -> None:
    done = job("trader", command, "--state-dir", tmp_path)
    assert done.code == 21
    assert f"no trader listens at {tmp_path}" in done.err
    assert "start one" in done.err


def test_command_finds_the_folder_in_the_configuration(tmp_path: Path) -> None:
    done = job("trader", "status", "--config", "configs/demo.yaml")
    assert done.code == 21
    assert ".demo/state" in done.err
    done = job("trader", "status", env={"WARMUP_STATE_DIR": str(tmp_path)})
    assert str(tmp_path) in done.err
    assert job("trader", "status", "--config", tmp_path / "none.yaml").code == 2
    assert job("trader", "sell").code == 2


@pytest.mark.parametrize("flat", [True, False])
def test_flatten_command_prints_what_was_closed_or_exits_with_21(
    folder: Path, *, flat: bool
) -> None:
    closed = ClosedPosition(
        position="BTCUSDT-PERP.BINANCE-LONG", quantity=Decimal("0.020"), price=Decimal("50000.1")
    )

    async def act(operator: OperatorControl) -> Result:
        def flatten() -> None:
            if operator.state != "flattening":
                return
            operator.progress("cancelling entries")
            if flat:
                operator.flattened(FlatReport(flat=True, closed=(closed,), orders_left=1))
            else:
                operator.set("paused")

        operator.on_change = flatten
        return await asyncio.to_thread(job, "trader", "flatten", "--state-dir", folder)

    done = with_trader(folder, act)
    assert "cancelling entries" in done.err
    if flat:
        assert done.code == 0
        assert done.out.splitlines() == [
            "closed 0.020 of BTCUSDT-PERP.BINANCE-LONG at 50000.1",
            (
                "flat: the exchange reports no position; 1 exit(s) are still being cancelled; the "
                "trader stays paused"
            ),
        ]
    else:
        assert done.code == 21
        assert "not flat: the operator has changed it to paused" in done.err
        assert not done.out


def test_flatten_prints_a_step_that_comes_again_once_and_how_often_it_came(folder: Path) -> None:
    async def act(operator: OperatorControl) -> Result:
        def flatten() -> None:
            if operator.state == "flattening":
                for _ in range(7):
                    operator.progress("closing 0.02 of LONG")
                    operator.progress("the order to close LONG was refused: -2019 Margin")
                operator.flattened(FlatReport(flat=True))

        operator.on_change = flatten
        return await asyncio.to_thread(job, "trader", "flatten", "--state-dir", folder)

    assert with_trader(folder, act).err.splitlines() == [
        "closing 0.02 of LONG",
        "the order to close LONG was refused: -2019 Margin",
        "7 times: closing 0.02 of LONG",
        "7 times: the order to close LONG was refused: -2019 Margin",
    ]


def test_interrupted_flatten_says_that_the_trader_goes_on(folder: Path) -> None:
    async def act(operator: OperatorControl) -> tuple[int, str]:
        begun = asyncio.Event()
        operator.on_change = begun.set
        with job_process("trader", "flatten", "--state-dir", folder) as command:
            await begun.wait()
            operator.progress("closing")
            assert await asyncio.to_thread(command.stderr.readline) == "closing\n"
            command.send_signal(signal.SIGINT)
            _, err = await asyncio.to_thread(command.communicate, timeout=HANG_S)
            assert operator.state == "flattening"
            return command.returncode, err

    code, err = with_trader(folder, act)
    assert code == 130
    assert "the trader goes on closing positions" in err
    assert "Aborted" not in err


def test_lifting_a_drawdown_stop_before_the_strategies_have_started_is_refused(
    folder: Path,
) -> None:
    async def act(operator: OperatorControl) -> tuple[Result, str]:
        operator.set("paused")
        command = ("trader", "resume", "--after-drawdown", "--state-dir", folder)
        return await asyncio.to_thread(job, *command), operator.state

    done, state = with_trader(folder, act)
    assert done.code == 21
    assert "it has only begun to start" in done.err
    assert state == "paused"


def test_pause_of_a_trader_that_cannot_write_its_folder_warns(tmp_path: Path) -> None:
    async def act(operator: OperatorControl) -> Result:
        (tmp_path / "operator.json").mkdir()  # it cannot be replaced by a file
        return await asyncio.to_thread(job, "trader", "pause", "--state-dir", tmp_path)

    done = with_trader(tmp_path, act)
    assert done.code == 0
    assert "paused: entries are held back, exits stay" in done.out
    assert "a restart forgets this" in done.err
