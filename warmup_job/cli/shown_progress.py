"""Show how far a run is: a bar on a terminal, a line every 15 s in a log."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
from loguru import logger

from warmup_job.cli.log_options import LogSettings
from warmup_job.process.long_wait import LOG_EVERY_S
from warmup_job.process.terminal import can_redraw

if TYPE_CHECKING:
    from warmup_job.job.run_progress import RunProgress

_DRAW_EVERY_S = 0.25
_FORM = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} bars{postfix}"


@asynccontextmanager
async def shown_progress(
    progress: RunProgress, *, every_s: float = LOG_EVERY_S, draws: bool = True
) -> AsyncIterator[None]:
    """Show ``progress`` on stderr while the block runs.

    Args:
        progress: What to show.
        every_s: Seconds between two lines, if no bar is drawn.
        draws: Whether a bar is drawn if stderr is a terminal.
    """
    context = click.get_current_context(silent=True)
    settings = None if context is None else context.find_object(LogSettings)
    if settings is not None and settings.is_quiet:
        yield
        return
    show = _draw(progress) if draws and can_redraw(sys.stderr) else _log(progress, every_s)
    task = asyncio.create_task(show, name="progress")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _log(progress: RunProgress, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        logger.info("{_progress}", event="run.progress", _progress=progress.line())


async def _draw(progress: RunProgress) -> None:
    await asyncio.sleep(_DRAW_EVERY_S)  # a shorter run needs none, and not the import either
    from tqdm import tqdm

    with tqdm(total=progress.total, desc="fetching", bar_format=_FORM, leave=False) as bar:
        while True:
            bar.total = max(progress.total, progress.fetched)
            bar.n = progress.fetched
            bar.set_postfix_str(progress.left_text())  # it draws
            await asyncio.sleep(_DRAW_EVERY_S)
