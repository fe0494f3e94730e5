"""How a run ended: its worst error, and the snapshot that it leaves current."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.snapshots import make
from warmup_job.errors import (
    DataInvalidError,
    ExchangeUnreachableError,
    NotConvergedError,
    RefusedError,
    WarmupError,
)
from warmup_job.job.run_job import Outcome
from warmup_job.snapshot.verify import open_snapshot


def test_job_outcome_without_errors_has_no_worst_error() -> None:
    assert Outcome().worst is None


@pytest.mark.parametrize(
    "errors",
    [
        [DataInvalidError("13"), NotConvergedError("14")],
        [NotConvergedError("14"), RefusedError("12"), ExchangeUnreachableError("10")],
    ],
)
def test_job_outcome_worst_error_has_the_highest_exit_code(errors: list[WarmupError]) -> None:
    worst = Outcome(errors=errors).worst
    assert isinstance(worst, NotConvergedError)


def test_job_outcome_without_a_snapshot_has_no_folder() -> None:
    assert Outcome(errors=[DataInvalidError("nothing is good")]).folder is None


def test_job_outcome_folder_is_the_published_snapshot(tmp_path: Path) -> None:
    published = make(tmp_path)
    assert Outcome(published=published).folder == published.folder


def test_job_outcome_folder_is_the_current_snapshot_if_nothing_was_added(tmp_path: Path) -> None:
    make(tmp_path)
    current = open_snapshot(tmp_path)
    assert Outcome(up_to_date=current).folder == current.folder
