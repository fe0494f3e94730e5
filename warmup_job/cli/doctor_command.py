"""``warmup-job doctor``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from warmup_job.cli.config_options import unread_variables, whole_group
from warmup_job.cli.sectioned_command import SectionedCommand, examples
from warmup_job.cli.shared_options import as_json_option, print_json
from warmup_job.cli.until_stopped import until_stopped
from warmup_job.errors import ConfigError, help_page
from warmup_job.process.terminal import shows_colours, terminal_columns

if TYPE_CHECKING:
    from warmup_job.config import WarmupConfig
    from warmup_job.doctor.finding import Finding
    from warmup_job.plan.warmup_plan import WarmupPlan

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
_COLUMNS = 100
_REMEDY = "correct the file, the option or the variable (see docs/reference/configuration.md)"


@click.command(
    cls=SectionedCommand,
    epilog=examples(
        "warmup-job doctor --config configs/warmup.yaml",
        "warmup-job doctor --mode live --json",
    ),
)
@click.option("--config", "config_path", envvar="WARMUP_CONFIG", show_envvar=True,
              default="configs/warmup.yaml", show_default=True, type=click.Path(path_type=Path),
              help="warmup.yaml. Its keys' WARMUP_… variables override it.")  # fmt: skip
@click.option("--root", metavar="PATH", help="The snapshot volume, instead of snapshot.root.")
@click.option("--state-dir", "state_dir", metavar="PATH",
              help="The trader's state folder, instead of trade.state_dir.")  # fmt: skip
@click.option("--mode", type=click.Choice(["paper", "live"]), default="paper", show_default=True,
              help="live: also check keys, account and what else live trading requires. Nothing "
              "is ordered or changed.")  # fmt: skip
@as_json_option
def doctor(
    config_path: Path, root: str | None, state_dir: str | None, mode: str, as_json: bool
) -> None:
    """Check everything that a start needs, and say what to do about what is wrong.

    Checked are versions, configuration, strategies, folders, proxy, DNS, TLS, the exchange, its
    clock, weight and symbols, and the websocket. The exit code is the worst one of the checks; 0
    if there are only warnings.
    """
    given = {"root": root, "state_dir": state_dir}
    overrides = {name: value for name, value in given.items() if value is not None}
    sys.exit(until_stopped(_examined(config_path, overrides, live=mode == "live", as_json=as_json)))


async def _examined(
    config_path: Path, overrides: dict[str, str], *, live: bool, as_json: bool
) -> int:
    """Make the checks, print each finding when it is there, and return the worst exit code."""
    from warmup_job.doctor.finding import worst_code

    found: list[Finding] = []
    async for finding in _findings(config_path, overrides, live=live):
        found.append(finding)
        if not as_json:
            _print(finding)
    code = worst_code(found)
    if as_json:
        checks = [msgspec.to_builtins(each) for each in found]
        print_json({"ok": code == 0, "exit_code": code, "checks": checks})
        return code
    counts = {
        verdict: sum(each.verdict == verdict for each in found)
        for verdict in ("failed", "warning", "skipped", "ok")
    }
    click.echo(f"{', '.join(f'{n} {verdict}' for verdict, n in counts.items())}; exit code {code}")
    if code:
        click.echo(f"help: {help_page(code)}")
    return code


async def _findings(
    config_path: Path, overrides: dict[str, str], *, live: bool
) -> AsyncIterator[Finding]:
    from warmup_job.config import load
    from warmup_job.doctor.examination import examine, without_configuration
    from warmup_job.doctor.finding import failed
    from warmup_job.plan.resolve import resolve

    try:
        config = load(config_path, overrides=overrides)
        plan = resolve(config)
    except ConfigError as error:
        yield failed("configuration", error, _REMEDY)
        for finding in without_configuration():
            yield finding
        return
    for finding in _configuration_findings(config_path, config, plan):
        yield finding
    async for finding in examine(plan, config.venue.url_problems(), live=live):
        yield finding


def _configuration_findings(path: Path, config: WarmupConfig, plan: WarmupPlan) -> list[Finding]:
    """Return what is odd about a configuration that can be used."""
    from warmup_job.doctor.finding import passed, warned

    urls = config.venue.url_problems()
    of_hosts = (*urls.live, *urls.warnings)
    lines = [*config.warnings, *unread_variables(whole_group(), config.variables)]
    lines += [f"`trade` refuses to start: {line}" for line in plan.trade_problems]
    shown = [line for line in lines if not (of_hosts and line.endswith(of_hosts))]
    found = [warned("configuration", line, _REMEDY) for line in shown]
    return found or [passed("configuration", f"{path} can be used")]


def _print(finding: Finding) -> None:
    from warmup_job.doctor.finding_table import table_lines

    columns = terminal_columns(sys.stdout) or _COLUMNS
    first, *rest = table_lines(finding, columns)
    if shows_colours(sys.stdout):
        verdict = click.style(finding.verdict, fg=_COLOURS[finding.verdict])
        first = verdict + first[len(finding.verdict) :]
    click.echo("\n".join([first, *rest]))
