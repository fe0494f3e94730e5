"""The options that stand in for keys of warmup.yaml, and the file itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from loguru import logger

if TYPE_CHECKING:
    from warmup_job.plan.warmup_plan import WarmupPlan

_OPTION_HELP = {
    "root": "The snapshot volume.",
    "venue": "Another venue file.",
    "strategy": "Another strategy file, or several: a.yaml,b.yaml.",
    "streams": "What to warm: BTCUSDT:1m:500,ETHUSDT:1h",
    "require": "What the policy demands: proven or bars.",
    "indicators": "The strategy's own: ema:200,mine:10:80 (kind, period, bars).",
    "max_bars": "How far `auto` may go.",
    "max_gap_bars": "Missing bars of the venue's that are let through.",
    "budget_share": "Of the venue's weight a minute, above 0 to 1.",
    "deadline": "How long a run may take: 60s, 5m.",
    "on_failure": "proceed or fail.",
    "keep": "How many snapshots stay.",
    "max_age": "How long bars may be missing: 10m.",
    "state_dir": "The trader's own state.",
    "http_port": "Of /healthz, /readyz and /metrics; left out: none.",
    "on_stop": "Open orders then: keep, cancel_entries or cancel_all.",
    "on_gap": "Open orders while bars cannot be had: as on_stop.",
    "silence": "Halt trading when a websocket stream has sent nothing for this long: 10s.",
    "first_bar": "A newest bar older than a minute at the start: history or on_bar.",
    "replay": "Replay history through on_bar, with orders denied: none or on_bar.",
}


def on_config[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command --config and every option that stands in for a key of it; hand it the plan.

    The variables of these options are read by `warmup_job.config`, which names them in its errors.
    """

    @functools.wraps(command)
    def loaded(config_path: Path, **kwargs: Any) -> R:  # noqa: ANN401  # click's parsed options
        from warmup_job.config import load
        from warmup_job.plan.resolve import resolve

        overrides = {name: kwargs.pop(name) for name in _OPTION_HELP}
        given = {name: str(value) for name, value in overrides.items() if value is not None}
        config = load(config_path, overrides=given)
        for warning in (*config.warnings, *unread_variables(whole_group(), config.variables)):
            logger.warning("{}", warning)
        return command(resolve(config), **kwargs)

    for name, text in reversed(_OPTION_HELP.items()):
        flag = f"--{name.replace('_', '-')}"
        variable = f"  [env var: WARMUP_{name.upper()}]"
        loaded = click.option(flag, name, metavar="VALUE", help=text + variable)(loaded)
    return click.option(
        "--config",
        "config_path",
        envvar="WARMUP_CONFIG",
        show_envvar=True,
        default="configs/warmup.yaml",
        show_default=True,
        type=click.Path(path_type=Path),
    )(loaded)


def unread_variables(
    group: click.Group, known: Iterable[str] = (), prefix: str = "WARMUP_"
) -> list[str]:
    """A line for each variable of ours in the environment that no command reads, nor a file."""
    from warmup_job.config import OPTIONS, unknown_variables

    names = {*known, *(f"WARMUP_{name.upper()}" for name in OPTIONS)}
    for command in (group, *group.commands.values()):
        of_all = command.context_settings.get("auto_envvar_prefix")
        for parameter in command.params:
            written = parameter.envvar or ()
            names.update([written] if isinstance(written, str) else written)
            if of_all and parameter.name:
                names.add(f"{of_all}_{parameter.name.upper()}")
    return unknown_variables(os.environ, names, prefix)


def whole_group() -> click.Group:
    """The command line that the running command belongs to."""
    group = click.get_current_context().find_root().command
    assert isinstance(group, click.Group)  # noqa: S101
    return group


def warn_of_trading(plan: WarmupPlan) -> None:
    """Tell what does not concern this command, but will stop the trader."""
    for problem in plan.trade_problems:
        logger.warning("{} (`trade` refuses to start with this)", problem)


def check_strategies(plan: WarmupPlan) -> None:
    """Import the strategies that are imported: what cannot be is told before anything is asked."""
    if not all(each.is_built_in for each in plan.strategies):
        from warmup_job.trader.imported_strategies import check_importable

        check_importable(plan.strategies)
