"""The exit code of a run."""

from __future__ import annotations

from typing import Literal

import pytest

from warmup_job.errors import (
    ConfigError,
    DataInvalidError,
    DeadlineError,
    ExchangeUnreachableError,
    NotConvergedError,
    RateLimitedError,
    RefusedError,
    StoppedError,
    UnusableVolumeError,
    VolumeError,
    WarmupError,
)
from warmup_job.job.exit_code import exit_code


def test_exit_code_of_a_run_without_error_is_0() -> None:
    assert [exit_code(None, "proceed"), exit_code(None, "fail")] == [0, 0]


@pytest.mark.parametrize(
    ("kind", "code", "hidden"),
    [
        (ExchangeUnreachableError, 10, True),
        (RateLimitedError, 11, True),
        (RefusedError, 12, True),
        (DataInvalidError, 13, True),
        (NotConvergedError, 14, True),
        (VolumeError, 15, True),
        (UnusableVolumeError, 15, False),
        (DeadlineError, 16, True),
        (ConfigError, 2, False),
        (StoppedError, 143, False),
    ],
)
def test_exit_code_of_an_error_is_its_own_unless_proceed_may_hide_it(
    kind: type[WarmupError], code: int, hidden: bool
) -> None:
    error = kind("what went wrong")
    policies: tuple[Literal["proceed", "fail"], ...] = ("fail", "proceed")
    assert [exit_code(error, policy) for policy in policies] == [code, 0 if hidden else code]
