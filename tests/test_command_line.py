"""The command line: which options a command shows, renamed options, options without effect."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.support.commands import job
from warmup_job.cli.group import cli
from warmup_job.config import OPTIONS

WARMUP = {"venue", "strategy", "streams", "require", "indicators", "max_bars", "budget_share"}
FETCHING = WARMUP | {"max_gap_bars", "deadline", "on_failure", "root"}
TRADING = {
    "max_age", "state_dir", "http_port", "http_host", "on_stop", "on_gap", "silence", "first_bar",
    "replay_history", "trader_id", "order_id_tag",
}  # fmt: skip
WAIT = {"wait_for_snapshot"}


def shown_options(command: str) -> dict[str, click.Option]:
    """The options in a command's help, by name."""
    context = click.Context(cli.commands[command], info_name=command)
    return {
        parameter.name: parameter
        for parameter in cli.commands[command].get_params(context)
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name
    }


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("plan", WARMUP),
        ("run", FETCHING | {"keep"}),
        ("trade", FETCHING | TRADING | WAIT),
        ("up", FETCHING | TRADING | {"keep"}),  # which waits for its own job
    ],
)
def test_a_command_shows_the_options_that_affect_it(command: str, keys: set[str]) -> None:
    assert shown_options(command).keys() & OPTIONS.keys() == keys


def test_help_has_type_choices_range_default_and_variable() -> None:
    options = shown_options("trade")
    assert options["on_stop"].metavar == "[keep|cancel_entries|cancel_all]"
    assert options["silence"].metavar == "DURATION"
    assert options["budget_share"].metavar == "FRACTION"
    assert str(options["silence"].help).endswith(
        "[env var: WARMUP_SILENCE; default: 10s; 1s to 10m]"
    )
    assert str(options["budget_share"].help).endswith(
        "[env var: WARMUP_BUDGET_SHARE; default: 0.5; above 0, at most 1]"
    )


def test_every_option_has_a_help_text() -> None:
    for command in cli.commands:
        for name, option in shown_options(command).items():
            assert option.help, f"{command} {name}"


def test_a_flag_means_one_thing() -> None:
    meaning: dict[str, str] = {}
    for command in cli.commands:
        for name, option in shown_options(command).items():
            value = name.removesuffix("_ms")
            for flag in option.opts:
                assert meaning.setdefault(flag, value) == value, flag


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("arguments", "environ", "old", "new"),
    [
        (("run", "--every", "x"), {}, "--every", "--repeat-every"),
        (("run",), {"WARMUP_EVERY": "x"}, "WARMUP_EVERY", "WARMUP_REPEAT_EVERY"),
        (("trade", "--mode", "paper", "--for", "x"), {}, "--for", "--stop-after"),
        (("trade", "--mode", "paper"), {"WARMUP_FOR": "x"}, "WARMUP_FOR", "WARMUP_STOP_AFTER"),
        (("trade", "--mode", "paper", "--replay", "x"), {}, "--replay", "--replay-history"),
        (
            ("trade", "--mode", "paper"),
            {"WARMUP_REPLAY": "x"},
            "WARMUP_REPLAY",
            "WARMUP_REPLAY_HISTORY",
        ),
    ],
)
def test_an_old_flag_or_variable_still_works_with_a_warning(
    arguments: tuple[str, ...], environ: dict[str, str], old: str, new: str
) -> None:
    done = job(*arguments, env=environ)
    *warnings, error = done.messages
    assert warnings == [f"{old} is now {new}; the next version will not accept {old}"]
    flag = f"--{new.removeprefix('WARMUP_').lower().replace('_', '-')}" if environ else new
    choices = "none, on_bar" if flag == "--replay-history" else ""
    wrong = f"'x' is not one of {choices}" if choices else "'x' is not a duration: write 60s, 5m"
    assert error.startswith(f"{flag}: {wrong}")
    assert done.code == 2


@pytest.mark.e2e
def test_old_flags_of_verify_and_study_still_work_with_a_warning(tmp_path: Path) -> None:
    done = job("verify", tmp_path, "--for", tmp_path / "none.yaml")
    assert done.messages == [
        "--for is now --config; the next version will not accept --for",
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory",
    ]
    assert done.code == 2
    done = job("study", tmp_path, "--every", "0")
    assert "--every is now --step; the next version will not accept --every" in done.err
    assert "Invalid value for '--step': 0 is not in the range x>=1." in done.err
    assert done.code == 2


@pytest.mark.e2e
def test_a_new_flag_wins_over_the_old_one_and_over_old_variables() -> None:
    done = job("run", "--every", "5m", "--repeat-every", "y", env={"WARMUP_EVERY": "z"})
    assert done.messages[-1].startswith("--repeat-every: 'y' is not a duration")
    done = job("run", "--every", "5x", env={"WARMUP_REPEAT_EVERY": "5m"})
    assert done.messages[-1].startswith("--repeat-every: '5x' is not a duration")
    done = job("run", env={"WARMUP_REPEAT_EVERY": "5y", "WARMUP_EVERY": "5m"})
    assert done.messages[-1].startswith("--repeat-every: '5y' is not a duration")


@pytest.mark.e2e
def test_an_option_without_effect_is_accepted_with_a_warning() -> None:
    done = job("plan", "--config", "configs/demo.yaml", "--keep", "4")
    assert done.code == 0
    assert "--keep has no effect on plan; the next version will refuse it" in done.messages
