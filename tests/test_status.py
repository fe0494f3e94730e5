"""status.json and the termination message: counters, and unreadable or linked files."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmup_job.snapshot.layout import STAGING, STATUS
from warmup_job.snapshot.status import (
    Status,
    read_status,
    write_status,
    write_termination_message,
)

FAILED = Status(at_ms=2_000, code=10, exit_code=0, message="no answer")
GOOD = Status(at_ms=3_000, code=0, exit_code=0, message="published", snapshot="id")


def test_status_of_a_first_failure_has_no_last_success() -> None:
    status = FAILED.after(None)
    assert (status.failed_in_a_row, status.last_success_ms) == (1, None)


def test_status_counts_failures_since_the_last_success() -> None:
    status = FAILED.after(FAILED.after(GOOD.after(None)))
    assert (status.failed_in_a_row, status.last_success_ms) == (2, 3_000)


def test_status_hidden_by_proceed_counts_as_a_failure() -> None:
    assert FAILED.exit_code == 0
    assert FAILED.after(GOOD.after(None)).failed_in_a_row == 1


def test_status_of_a_success_resets_the_count() -> None:
    status = GOOD.after(FAILED.after(FAILED.after(None)))
    assert (status.failed_in_a_row, status.last_success_ms) == (0, GOOD.at_ms)


def test_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / STAGING).mkdir()
    status = FAILED.after(GOOD.after(None))
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert (tmp_path / STATUS).read_bytes().endswith(b"}\n")
    assert list((tmp_path / STAGING).iterdir()) == []


def test_status_stays_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / STAGING).mkdir()
    write_status(tmp_path, GOOD)
    (tmp_path / STAGING).rmdir()
    write_status(tmp_path, FAILED)
    assert read_status(tmp_path) == GOOD


@pytest.mark.parametrize(
    "content",
    [
        None, b"", b"{}", b"[]", b"\xff", b'{"at_ms": "x"}', b" " * (1 << 20) + b"{}",
        b'{"at_ms": 1, "code": 0, "exit_code": 0, "message": "\xff"}',
    ],
)  # fmt: skip
def test_status_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / STATUS).write_bytes(content)
    assert read_status(tmp_path) is None


def test_status_behind_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / STAGING).mkdir()
    write_status(tmp_path, GOOD)
    (tmp_path / STATUS).rename(tmp_path / "elsewhere")
    (tmp_path / STATUS).symlink_to(tmp_path / "elsewhere")
    assert read_status(tmp_path) is None


def test_termination_message_is_cut_at_4096_bytes(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    write_termination_message("é" * 4096, path)
    assert path.read_bytes() == "é".encode() * 2048


def test_termination_message_creates_no_file(tmp_path: Path) -> None:
    write_termination_message("gone", tmp_path / "missing")
    write_termination_message("gone", tmp_path)
    assert list(tmp_path.iterdir()) == []
