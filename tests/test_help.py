"""Help, examples, --quiet and --verbose, colours, and output whose reader goes away."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support.commands import clean_env, job
from tests.support.suite import HANG_S, REPO
from tests.support.terminals import in_terminal
from warmup_job.cli.group import cli


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def command_at(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return found


def examples_of(command: click.Command) -> list[str]:
    joined = (command.epilog or "").replace("\\\n", "")
    return re.findall(r"^ +(warmup-job [^#\n&>]*)", joined, re.MULTILINE)


ALL = list(commands())


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal(path: tuple[str, ...], columns: int) -> None:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(
        cli, [*path, "--help"], prog_name="warmup-job"
    )
    assert done.exit_code == 0, done.output
    head = done.output.partition("Examples:")[0]  # an example stays on its line, to be copied
    long = [line.strip() for line in head.splitlines() if len(line) > columns]
    assert all(re.fullmatch(r"(-\w, )?--[\w-]+( \S+)?", line) for line in long), long
    assert "\x1b" not in done.output


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_each_example_of_a_help_can_be_parsed(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = command_at(path)
    examples = examples_of(command)
    assert examples or path == ("trader",)
    (tmp_path / "configs").symlink_to(REPO / "configs")
    for folder in ("snapshot", "state"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    for example in examples:
        arguments = shlex.split(example)[1:]
        asked: click.Command = cli
        while isinstance(asked, click.Group):
            assert arguments[0] in asked.commands, example
            asked = asked.commands[arguments.pop(0)]
        assert not path or asked is command
        context = asked.make_context(asked.name, arguments)  # raises on what it does not know
        config = context.params.get("config_path")
        assert config is None or Path(config).is_file(), example


@pytest.mark.e2e
@pytest.mark.parametrize("example", examples_of(cli.commands["plan"]))
def test_each_example_of_plan_runs(example: str) -> None:
    done = job(*shlex.split(example)[1:])
    assert done.code == 0, done.err
    assert "BTCUSDT" in done.out


def test_options_are_in_sections() -> None:
    for name in ("run", "trade", "up", "exchange"):
        done = CliRunner().invoke(cli, [name, "--help"])
        titles = re.findall(r"^(\S.*):$", done.output, re.MULTILINE)
        assert titles[0] == "Options"
        assert titles[-1] == "Output"
        assert len(titles) >= 5


@pytest.mark.e2e
@pytest.mark.parametrize("arguments", [("-q", "plan"), ("plan", "--quiet"), ("-v", "plan", "-q")])
def test_quiet_works_before_and_after_the_command(arguments: tuple[str, ...]) -> None:
    probe = ("--config", "configs/demo.yaml", "--streams", "BTCUSDT:1m:9")
    done = job(*arguments, *probe, "--keep", "4", "--log-level", env={"WARMUP_LOG_LEVEL": "INFO"})
    assert done.code == 2  # --log-level is the group's
    done = job(*arguments, *probe, "--keep", "4")
    assert [line for line in done.messages if "--keep has no effect" in line]
    assert done.code == 0


@pytest.mark.e2e
def test_a_file_in_place_of_a_volume_or_a_missing_recording_is_named(tmp_path: Path) -> None:
    file = tmp_path / "warmup.yaml"
    file.touch()
    assert f"{file} is not a folder: name the snapshot volume" in job("verify", file).out
    (line,) = job("exchange", "--replay", tmp_path / "none.csv.gz").messages
    assert line.endswith("none.csv.gz: not a readable kline recording: there is no such file")


@pytest.mark.e2e
def test_a_terminal_gets_colours_unless_it_has_none_or_no_color_is_set(tmp_path: Path) -> None:
    arguments = ("inspect", str(tmp_path))
    assert "\x1b[" in in_terminal(*arguments, env={"TERM": "xterm"})
    assert "\x1b[" not in in_terminal(*arguments, env={"TERM": "dumb"})
    plain = in_terminal(*arguments, env={"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[" not in plain
    assert "holds no snapshot" in plain


@pytest.mark.e2e
@pytest.mark.parametrize(
    "arguments", [("--help",), ("trade", "--help"), ("plan", "--config", "configs/demo.yaml")]
)
def test_output_whose_reader_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "warmup_job", *arguments], cwd=REPO, env=clean_env(),
        stdout=write_end, stderr=subprocess.PIPE, text=True, check=False, timeout=HANG_S,
    )  # fmt: skip
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")
