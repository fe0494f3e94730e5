"""The exit code of a run (docs/reference/exit-codes.md). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from warmup_job.errors import WarmupError


def exit_code(error: WarmupError | None, on_failure: Literal["proceed", "fail"]) -> int:
    """Choose the exit code of a run.

    Args:
        error: The run's worst error; None: it succeeded.
        on_failure: ``proceed`` turns the errors that allow it (10 to 16) into 0, so that a failed
            warm-up does not block the bot's start.
    """
    if error is None or (on_failure == "proceed" and error.may_proceed):
        return 0
    return error.exit_code
