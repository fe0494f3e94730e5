"""The tree of errors holds the public promise about exit codes: docs/reference/exit-codes.md."""

from __future__ import annotations

from tests.support.error_tree import all_of
from warmup_job import errors
from warmup_job.errors import UnusableVolumeError, WarmupError

PASSING = {10, 11, 12, 13, 14, 15, 16}
"""Exit codes that `on_failure: proceed` turns into 0 with a warning."""


def test_errors_proceed_hides_exactly_the_codes_10_to_16() -> None:
    kinds = {each for each in all_of(WarmupError) if each.__module__ == errors.__name__}
    assert {each.exit_code for each in kinds} == {1, 2, *PASSING, 20, 21, 22, 143}
    hidden = {each for each in kinds if each.may_proceed}
    # Retrying does not help for a volume that can never be written.
    assert hidden == {each for each in kinds if each.exit_code in PASSING} - {UnusableVolumeError}
