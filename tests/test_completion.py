"""What a shell completes after ``warmup-job``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tests.support.commands import clean_env
from tests.support.suite import HANG_S, REPO
from warmup_job.cli.group import cli

STARTING_WITH_1 = [f"BTCUSDT:1{unit}" for unit in ["s", "m", "5m", "h", "2h", "d", "w", "M"]]


def completed(*arguments: str) -> list[str]:
    """What is offered for the last argument."""
    shell = ShellComplete(cli, {}, "warmup-job", "_WARMUP_JOB_COMPLETE")
    *before, incomplete = arguments
    return [item.value for item in shell.get_completions(list(before), incomplete)]


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        (("ru",), ["run"]),
        (("tra",), ["trade", "trader"]),
        (("trader", "fl"), ["flatten"]),
        (("run", "--strea"), ["--streams"]),
        (("trade", "--mode", "l"), ["live"]),
        (("run", "--on-failure", ""), ["proceed", "fail"]),
        (("run", "--streams", "eth"), ["ETHUSDT"]),
        (
            ("run", "--streams", "BTCUSDT:1"),
            [f"BTCUSDT:1{x}" for x in ["s", "m", "5m", "h", "2h", "d", "w", "M"]],
        ),
        (("run", "--streams", "BTCUSDT:1m:a"), ["BTCUSDT:1m:auto"]),
        (("run", "--streams", "BTCUSDT:1m,SOLUSDT:4"), ["BTCUSDT:1m,SOLUSDT:4h"]),
        (("run", "--streams", "a:b:c:d"), []),
    ],
)
def test_completion_offers(arguments: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*arguments) == offered


def test_completion_of_a_path_is_left_to_the_shell() -> None:
    shell = ShellComplete(cli, {}, "warmup-job", "_WARMUP_JOB_COMPLETE")
    for option in ("--config", "--venue", "--root"):
        (item,) = shell.get_completions(["run", option], "confi")
        assert item.type in {"file", "dir"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_program(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_WARMUP_JOB_COMPLETE=" + f"{shell}_complete" in done.output
    assert "warmup-job" in done.output


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("typed", "offered"), [("ins", "inspect"), ("run --streams ET", "ETHUSDT")]
)
def test_bash_accepts_the_script_and_completes_with_it(
    tmp_path: Path, typed: str, offered: str
) -> None:
    program = tmp_path / "warmup-job"
    program.write_text(
        f"#!{sys.executable}\nfrom warmup_job.__main__ import main\nif __name__ == '__main__':\n"
        "    main()\n"
    )
    program.chmod(0o755)
    script = CliRunner().invoke(cli, ["completion", "bash"]).output
    probe = (
        f"{script}\nCOMP_WORDS=(warmup-job {typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        f"_warmup_job_completion warmup-job {typed.rsplit(maxsplit=1)[-1]} x\n"
        'echo "offered: ${COMPREPLY[*]}"; echo "breaks: $COMP_WORDBREAKS"'
    )
    paths = {"PYTHONPATH": str(REPO), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", probe], cwd=REPO, env=clean_env(**paths),
        capture_output=True, text=True, check=False, timeout=HANG_S,
    )  # fmt: skip
    assert f"offered: {offered}\n" in done.stdout, done.stdout + done.stderr
    assert ":" not in done.stdout.partition("breaks: ")[2], "a stream has colons"
