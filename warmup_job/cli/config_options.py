"""--config, and the options that override keys of warmup.yaml."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from loguru import logger

from warmup_job.catalog.installed_nautilus import installed_nautilus
from warmup_job.cli.renamed_option import RenamedOption
from warmup_job.cli.sectioned_command import SectionedCommand

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from warmup_job.config import DeclaredKey
    from warmup_job.plan.warmup_plan import WarmupPlan

_SECTIONS = {
    "venue": "Files",
    "strategy": "Files",
    "warmup": "The warm-up (section warmup)",
    "snapshot": "The volume (section snapshot)",
    "trade": "The trader (section trade)",
}


class ConfigCommand(SectionedCommand):
    """A command with an option for every key of warmup.yaml that affects it.

    The options are made from the keys' declarations when click first asks for them, because they
    take an import that ``warmup-job --help`` does not need. Options that do not affect the command
    are hidden; they are accepted with a warning until the next version.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own options, then the keys' options, then --help."""
        from warmup_job.config import OPTIONS

        *own, help_option = super().get_params(ctx)
        keys = [_key_option(name, key, self.name) for name, key in OPTIONS.items()]
        return [*own, *keys, help_option]

    def section_of(self, name: str) -> str:
        """Return the section of warmup.yaml that the key's option overrides, or `super`'s."""
        from warmup_job.config import OPTIONS

        key = OPTIONS.get(name)
        return super().section_of(name) if key is None else _SECTIONS[key.path[0]]


def _key_option(name: str, key: DeclaredKey, command: str | None) -> click.Option:
    notes = [f"env var: {key.variable}"]
    if key.default:
        notes.append(f"default: {key.default}")
    if key.limits:
        notes.append(key.limits)
    metavar = f"[{'|'.join(key.choices)}]" if key.choices else key.form.upper()
    text = f"{key.description}  [{'; '.join(notes)}]"

    def complete(
        context: click.Context, _option: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from warmup_job.cli.completed_values import completed_value

        return completed_value(key, context, incomplete)

    if command not in key.commands:
        return click.Option([key.flag, name], metavar=metavar, help=text, hidden=True)
    if key.former_flag is None:
        return click.Option([key.flag, name], metavar=metavar, help=text, shell_complete=complete)
    return RenamedOption(
        [key.flag, name], old_flag=key.former_flag, old_variable=key.former_variable,
        envvar=key.variable, metavar=metavar, help=text, shell_complete=complete,
    )  # fmt: skip


def on_config[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a `ConfigCommand` --config, and pass it the plan that the configuration resolves to.

    `warmup_job.config` reads the variables of the keys' options and names them in its errors.
    """

    @functools.wraps(command)
    def loaded(config_path: Path, **kwargs: Any) -> R:  # noqa: ANN401  # click's parsed options
        from warmup_job.config import OPTIONS, load
        from warmup_job.plan.resolve import resolve

        overrides = {name: kwargs.pop(name) for name in OPTIONS}
        given = {name: value for name, value in overrides.items() if value is not None}
        running = click.get_current_context().command.name
        for name in given:
            if running not in OPTIONS[name].commands:
                logger.warning(
                    "{option} has no effect on {command}; the next version will refuse it",
                    event="config.option_without_effect",
                    option=OPTIONS[name].flag,
                    command=running,
                )
        config = load(config_path, overrides=given)
        for warning in (*config.warnings, *unread_variables(whole_group(), config.variables)):
            logger.warning("{_problem}", event="config.warning", _problem=warning)
        return command(resolve(config), **kwargs)

    return click.option(
        "--config",
        "config_path",
        envvar="WARMUP_CONFIG",
        show_envvar=True,
        default="configs/warmup.yaml",
        show_default=True,
        type=click.Path(path_type=Path),
        help="warmup.yaml. An option below overrides its variable, a variable overrides the file.",
    )(loaded)


def unread_variables(
    group: click.Group, known: Iterable[str] = (), prefix: str = "WARMUP_"
) -> list[str]:
    """Return a line for each variable in the environment that neither a command nor a file reads.

    Args:
        group: The whole command line.
        known: Further variables that are read.
        prefix: What the names of the variables begin with.
    """
    from warmup_job.config import OPTIONS, unknown_variables

    names = {*known, *(key.variable for key in OPTIONS.values())}
    names.update(key.former_variable for key in OPTIONS.values() if key.former_variable)
    for command in (group, *group.commands.values()):
        prefix_of_all = command.context_settings.get("auto_envvar_prefix")
        for parameter in command.params:
            if isinstance(parameter.envvar, str):
                names.add(parameter.envvar)
            if isinstance(parameter, RenamedOption) and parameter.old_variable:
                names.add(parameter.old_variable)
            if prefix_of_all and parameter.name:
                names.add(f"{prefix_of_all}_{parameter.name.upper()}")
    return unknown_variables(os.environ, names, prefix)


def whole_group() -> click.Group:
    """Return the group that the running command belongs to."""
    group = click.get_current_context().find_root().command
    assert isinstance(group, click.Group)  # noqa: S101
    return group


def warn_of_trading(plan: WarmupPlan) -> None:
    """Log the problems that do not affect this command but make `trade` refuse to start."""
    for problem in plan.trade_problems:
        logger.warning(
            "{problem} (`trade` refuses to start with this)",
            event="config.trading_problem",
            problem=problem,
        )


def check_strategies(plan: WarmupPlan) -> None:
    """Import the strategies that are not built in; without Nautilus none can be imported.

    Raises:
        ConfigError: A strategy or its configuration cannot be imported or used.
    """
    if all(each.is_built_in for each in plan.strategies):
        return
    if installed_nautilus() is None:
        logger.info(
            "nautilus_trader is not installed here, so the trader is the first to import {classes}",
            event="config.strategies_not_imported",
            classes=", ".join(
                dict.fromkeys(each.class_name for each in plan.strategies if not each.is_built_in)
            ),
        )
    else:
        from warmup_job.trader.imported_strategies import check_importable

        check_importable(plan.strategies)
