"""Options and value types that several commands share, and how they print JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from warmup_job.errors import ConfigError

as_json_option = click.option(
    "--json", "as_json", envvar="WARMUP_JSON", show_envvar=True, is_flag=True, help="Print JSON."
)
until_option = click.option(
    "--until", envvar="WARMUP_UNTIL", show_envvar=True, metavar="WHEN",
    help="Pretend it is this time: -3m, -1h30m, ISO 8601, or Unix ms.",
)  # fmt: skip


def to_duration_ms(
    _ctx: click.Context, parameter: click.Parameter, value: str | None
) -> int | None:
    """Convert an option such as ``1h30m`` to ms; a callback of `click.option`.

    Raises:
        ConfigError: ``value`` is not a duration.
    """
    from warmup_job.config import duration_ms

    return None if value is None else checked(parameter.opts[0], lambda: duration_ms(value))


def until_ms(until: str | None, now_ms: int, option: str = "--until") -> int:
    """Return the UTC ms that an option such as --until names; ``now_ms`` if it is not given.

    Raises:
        ConfigError: ``until`` is not a point in time.
    """
    from warmup_job.market.times import parse_when

    return now_ms if until is None else checked(option, lambda: parse_when(until, now_ms))


def checked[T](option: str, parse: Callable[[], T]) -> T:
    """Call ``parse`` and name ``option`` in its error.

    Raises:
        ConfigError: ``parse`` raised ``ValueError``.
    """
    try:
        return parse()
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def print_json(value: object) -> None:
    """Print ``value`` as indented JSON on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
