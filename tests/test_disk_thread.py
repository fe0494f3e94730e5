"""The thread for what waits for the disk."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.support.suite import HANG_S
from tests.support.waiting import until_async
from warmup_job.handoff.disk_thread import DiskThread


def test_disk_thread_keeps_the_order_and_leaves_out_what_is_cancelled_before_its_turn() -> None:
    done: list[str] = []
    began, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        assert may_end.wait(HANG_S)
        done.append("slow")

    async def run() -> None:
        disk = DiskThread("disk")
        disk.start(slow)
        cancelled = disk.start(lambda: done.append("cancelled"))
        last = disk.start(lambda: done.append("last"))
        await until_async(began.is_set)
        cancelled.cancel()
        await asyncio.sleep(0)  # the cancellation is passed on
        may_end.set()
        await last

    asyncio.run(run())
    assert done == ["slow", "last"]


def test_disk_thread_passes_an_error_on_and_goes_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    async def run() -> str:
        disk = DiskThread("disk")
        with pytest.raises(ValueError, match="no"):
            await disk.start(fail)
        return await disk.start(lambda: "next")

    assert asyncio.run(run()) == "next"
