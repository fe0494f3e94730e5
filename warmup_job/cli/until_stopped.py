"""Run a command's coroutine until it ends or a signal stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from warmup_job.errors import StoppedError


def until_stopped[T](work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` and return its result; SIGTERM and SIGINT cancel it.

    Raises:
        StoppedError: A signal cancelled ``work``.
    """

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, lambda: task.cancel() if task else None)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise StoppedError("stopped by a signal; nothing is half-published") from None
