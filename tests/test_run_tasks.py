"""The tasks of a run: how a failure ends it, and what its end cancels."""

from __future__ import annotations

import asyncio

from tests.support.waiting import until_async
from warmup_job.handoff.run_tasks import RunTasks


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _fail(text: str) -> None:
    raise ValueError(text)


def test_first_failure_ends_the_run_and_each_is_reported() -> None:
    async def run() -> None:
        seen: list[str] = []

        def on_failure(error: BaseException) -> None:
            seen.append(str(error))
            tasks.fail(error)

        tasks = RunTasks(on_failure)
        tasks.open()
        for text in ("first", "second"):
            tasks.start(_fail(text), text)
        await until_async(lambda: seen == ["first", "second"])
        assert str(tasks.error) == "first"
        assert tasks.failed.done()

    asyncio.run(run())


def test_end_of_a_run_cancels_its_tasks_and_ignores_what_fails_later() -> None:
    async def run() -> None:
        errors: list[BaseException] = []
        tasks = RunTasks(errors.append)
        tasks.open()
        ordinary = tasks.start(_for_ever(), "ordinary")
        last = tasks.start(_for_ever(), "last", to_the_end=True)
        tasks.cancel()
        await until_async(ordinary.cancelled)
        tasks.start(_fail("late"), "late")
        await until_async(lambda: errors)
        tasks.fail(errors[0])
        assert tasks.error is None
        assert not last.done()
        tasks.cancel_last()
        await until_async(last.cancelled)

    asyncio.run(run())
