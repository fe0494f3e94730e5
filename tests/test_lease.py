"""The lease: one holder at a time, whatever happens to it, and no second one unnoticed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.suite import HANG_S
from warmup_job.errors import VolumeError
from warmup_job.snapshot import lease as leases
from warmup_job.snapshot.lease import Lease, acquire_lease
from warmup_job.snapshot.publish import prepare_volume


async def take(
    root: Path, *, timeout_s: float = HANG_S, waits: list[str] | None = None
) -> Lease | str:
    noted = waits if waits is not None else []
    return await acquire_lease(root, lambda name: name, timeout_s=timeout_s, on_wait=noted.append)


async def all_wait(waits: list[str], count: int) -> None:
    """Wait until ``count`` jobs have reported that they wait."""
    async with asyncio.timeout(HANG_S):
        while len(waits) < count:
            await asyncio.sleep(0.01)


@contextmanager
def held(root: Path) -> Iterator[Lease]:
    """Hold the lease in this process."""
    prepare_volume(root)
    lease = asyncio.run(take(root))
    assert isinstance(lease, Lease)
    yield lease


HOLDER = """
import asyncio, sys, time
from pathlib import Path
from warmup_job.snapshot.lease import acquire_lease
asyncio.run(acquire_lease(Path(sys.argv[1]), lambda name: name, timeout_s=300, on_wait=print))
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def another_holder(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the lease."""
    prepare_volume(root)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_lease_waiter_gets_the_result_of_the_holder(tmp_path: Path) -> None:
    waits: list[str] = []

    async def both() -> list[Lease | str]:
        waiting = [asyncio.create_task(take(tmp_path, waits=waits)) for _ in range(5)]
        await all_wait(waits, 5)
        lease.release("20260101T000000Z-0123abcd")
        return list(await asyncio.gather(*waiting))

    with held(tmp_path) as lease:
        assert asyncio.run(both()) == ["20260101T000000Z-0123abcd"] * 5
    assert len(waits) == 5
    assert all(name.endswith(f":{os.getpid()}") for name in waits)


def test_lease_without_waiting_is_a_run_of_ones_own(tmp_path: Path) -> None:
    with held(tmp_path) as lease:
        lease.release("20260101T000000Z-0123abcd")
    with held(tmp_path) as later:
        assert later.record.generation == lease.record.generation + 1
        later.release()


def test_lease_of_a_holder_without_a_result_goes_to_one_waiter(tmp_path: Path) -> None:
    waits: list[str] = []

    async def both() -> list[Lease | str]:
        waiting = [asyncio.create_task(take(tmp_path, timeout_s=3, waits=waits)) for _ in range(3)]
        await all_wait(waits, 3)
        lease.release()
        return list(await asyncio.gather(*waiting, return_exceptions=True))  # type: ignore[arg-type]

    with held(tmp_path) as lease:
        followed = asyncio.run(both())
    (follower,) = [each for each in followed if isinstance(each, Lease)]
    follower.release()
    late = [each for each in followed if isinstance(each, VolumeError)]
    assert len(late) == 2
    assert "another job" in str(late[0])


def test_lease_of_a_killed_holder_is_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The takeover does not wait until the lease is stale, which it never is here."""
    monkeypatch.setattr(leases, "STALE_S", 2 * HANG_S)
    with another_holder(tmp_path) as other:
        other.kill()
        other.wait()
        with held(tmp_path) as lease:
            lease.release()


def test_lease_of_a_living_holder_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE_S", 5.0)
    with (
        another_holder(tmp_path) as other,
        pytest.raises(VolumeError, match=rf":{other.pid}\) kept the volume"),
    ):
        asyncio.run(take(tmp_path, timeout_s=11))


def test_lease_of_a_frozen_holder_is_taken_over_and_it_cannot_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_S", 3600.0)
    monkeypatch.setattr(leases, "STALE_S", 0.3)
    with held(tmp_path) as stopped:
        with stopped.guard():
            stopped.check_held()
        with held(tmp_path) as successor:
            assert successor.record.generation == stopped.record.generation + 1
            with pytest.raises(VolumeError, match="another job took over"), stopped.guard():
                pytest.fail("it got the lock without the lease")
            stopped.release("20260101T000000Z-0123abcd")
            record = json.loads((tmp_path / ".lease").read_bytes())
            assert record["generation"] == successor.record.generation
            assert record["result"] is None
            with successor.guard():
                successor.check_held()
            successor.release()


@pytest.mark.parametrize("content", [b"", b"half a lea", b"[]", b"\xff" * 600, b"9" * 400])
def test_lease_that_cannot_be_read_has_no_holder(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lease").write_bytes(content)
    with held(tmp_path) as lease:
        lease.release()


@pytest.mark.parametrize("name", [".lease", ".lock"])
def test_lease_link_is_not_followed(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    root = tmp_path / "volume"
    prepare_volume(root)
    (root / name).symlink_to(outside)
    with pytest.raises(VolumeError, match="cannot be written"):
        asyncio.run(take(root))
    assert outside.read_text() == "mine"


def test_lease_can_be_taken_by_the_whole_group(tmp_path: Path) -> None:
    with held(tmp_path) as lease:
        for name in (".lease", ".lock"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o664
        lease.release()


def test_lease_cancelled_waiter_releases_the_lock(tmp_path: Path) -> None:
    async def cancelled() -> None:
        waits: list[str] = []
        waiting = asyncio.create_task(take(tmp_path, waits=waits))
        await all_wait(waits, 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with held(tmp_path) as lease:
        asyncio.run(cancelled())
        with lease.guard():
            lease.check_held()
        lease.release()
