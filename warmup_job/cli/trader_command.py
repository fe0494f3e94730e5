"""``warmup-job trader``: pause, resume, flatten and inspect a running trader."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from warmup_job.cli.fitted_text import echo_fitted
from warmup_job.cli.sectioned_command import FittingGroup, SectionedCommand, examples
from warmup_job.cli.shared_options import as_json_option
from warmup_job.errors import TraderError

if TYPE_CHECKING:
    from warmup_job.trader.control_messages import ControlCommand, ControlMessage

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def _on_state_dir[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that name the trader's folder."""
    for option in (
        as_json_option,
        click.option(
            "--config", "config_path", envvar="WARMUP_CONFIG", show_envvar=True,
            default="configs/warmup.yaml", show_default=True, type=click.Path(path_type=Path),
            help="The trader's warmup.yaml, which names the folder; not read with --state-dir.",
        ),
        click.option(
            "--state-dir", envvar="WARMUP_STATE_DIR", show_envvar=True,
            type=click.Path(path_type=Path), help="The trader's trade.state_dir.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(cls=FittingGroup)
def trader() -> None:
    """Pause, resume, flatten or inspect the trader that runs on a state folder.

    The commands talk to it by a unix socket in trade.state_dir, on paper and live. They exit with
    21 if no trader answers.
    """


@trader.command(
    cls=SectionedCommand, epilog=examples("warmup-job trader pause --state-dir ./state")
)
@_on_state_dir
def pause(state_dir: Path | None, config_path: Path, as_json: bool) -> None:
    """Cancel all entries and send no more; keep exits. A restart does not change that."""
    from warmup_job.trader.status_text import pause_line

    message = _ask("pause", state_dir, config_path)
    _report(message, as_json, pause_line(message.report))


@trader.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job trader resume --state-dir ./state",
        "warmup-job trader resume --after-drawdown --json",
    ),
)
@click.option(
    "--after-drawdown", is_flag=True,
    help="Also lift the stop that max_drawdown_pct has set; the drawdown starts again at 0 %.",
)  # fmt: skip
@_on_state_dir
def resume(
    state_dir: Path | None, config_path: Path, *, as_json: bool, after_drawdown: bool
) -> None:
    """Trade again after a pause, a flatten or a drawdown; print the state that follows."""
    from warmup_job.trader.status_text import resume_lines

    message = _ask("resume", state_dir, config_path, after_drawdown=after_drawdown)
    _report(message, as_json, "\n".join(resume_lines(message.report, message.lifted)))


@trader.command(
    cls=SectionedCommand, epilog=examples("warmup-job trader flatten --config configs/warmup.yaml")
)
@_on_state_dir
def flatten(state_dir: Path | None, config_path: Path, as_json: bool) -> None:
    """Close all positions of the traded instruments, and stay paused.

    Entries and take profits are cancelled, the positions are closed by reduce-only market orders,
    and when the exchange reports no position any more, stop losses are cancelled too. Ctrl-C ends
    this command only (130): the trader goes on.
    """
    sent: list[bool] = []
    steps: Counter[str] = Counter()

    def show(step: str) -> None:
        steps[step] += 1
        if steps[step] == 1:
            click.echo(step, err=True)

    try:
        message = _ask(
            "flatten", state_dir, config_path, lambda: sent.append(True), on_progress=show
        )
    except KeyboardInterrupt:
        _show_repeated(steps)
        click.echo(_interrupted(is_sent=bool(sent)), err=True)
        click.get_current_context().exit(_INTERRUPTED)
    _show_repeated(steps)
    flat = message.flat
    if as_json or flat is None or not flat.flat:
        _report(message, as_json, "")
    else:
        _report(message, as_json, "\n".join(flat.lines()))
    if flat is not None and not flat.flat:
        raise TraderError(f"not flat: {flat.why_not}")


@trader.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job trader status --state-dir ./state", "warmup-job trader status --json"
    ),
)
@_on_state_dir
def status(state_dir: Path | None, config_path: Path, as_json: bool) -> None:
    """Print the trader's report."""
    from warmup_job.trader.status_text import status_lines

    message = _ask("status", state_dir, config_path)
    if message.report is not None:
        _report(message, as_json, "\n".join(status_lines(message.report)))


def _show_repeated(steps: Counter[str]) -> None:
    """Print how often each step came that came again."""
    for step, count in steps.items():
        if count > 1:
            click.echo(f"{count} times: {step}", err=True)


def _interrupted(*, is_sent: bool) -> str:
    if not is_sent:
        return "interrupted before the trader had the request: nothing was closed"
    return (
        "interrupted, but the trader goes on closing positions: `warmup-job trader status` shows "
        "how far it is, `warmup-job trader pause` ends it"
    )


def _ask(
    command: ControlCommand,
    state_dir: Path | None,
    config_path: Path,
    on_sending: Callable[[], object] = lambda: None,
    on_progress: Callable[[str], object] = lambda _: None,
    *,
    after_drawdown: bool = False,
) -> ControlMessage:
    from warmup_job.trader.control_client import ask_trader

    if state_dir is None:
        from warmup_job.config import load

        state_dir = load(config_path).trade.state_dir
    message = ask_trader(state_dir, command, on_progress, on_sending, after_drawdown=after_drawdown)
    if message.error:
        raise TraderError(f"the trader refuses the request: {message.error}")
    return message


def _report(message: ControlMessage, as_json: bool, text: str) -> None:
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(message), ensure_ascii=False, indent=2))
    elif text:
        echo_fitted(text)
    if not message.kept:
        click.echo(
            "WARNING: the trader cannot write its state folder, so a restart forgets this", err=True
        )
