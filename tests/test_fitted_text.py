"""Results fit the terminal, and stay as they are in a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import job
from tests.support.terminals import in_terminal
from warmup_job.cli.fitted_text import fitted_lines

STATUS = (
    "live: every stream is contiguous\n"
    "  account     confirmed: the account agrees with what the trader believes; last event 3.2 s\n"
    "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL: live to 2026-05-01T00:00:00Z; it is late"
)


@pytest.mark.parametrize("columns", [60, 80])
def test_long_lines_continue_below_their_text(columns: int) -> None:
    lines = fitted_lines(STATUS, columns)
    assert max(map(len, lines)) <= columns
    assert lines[1].startswith("  account     confirmed: ")
    assert lines[2].startswith(" " * 14)
    assert lines[2][14] != " "
    assert " ".join(" ".join(lines).split()) == " ".join(STATUS.split()), "no word is lost"


def test_without_a_terminal_lines_stay_whole() -> None:
    assert fitted_lines(STATUS, None) == STATUS.splitlines()


@pytest.mark.e2e
def test_plan_fits_a_terminal_and_has_stable_columns_in_a_pipe(tmp_path: Path) -> None:
    arguments = ("plan", "--config", "configs/demo.yaml", "--streams", "BTCUSDT:1m,ETHUSDT:1h:5000")
    for columns in (40, 100):
        shown = in_terminal(*arguments, env={"COLUMNS": str(columns)}, columns=columns)
        assert max(map(len, shown.splitlines())) <= columns, shown
        assert "ETHUSDT 1h" in shown
    piped = job(*arguments, env={"COLUMNS": "40"}).out.splitlines()
    assert piped[0].split() == ["stream", "bars", "pages", "weight", "about", "disk", "from"]
    assert piped[2].startswith("ETHUSDT 1h              5000")
