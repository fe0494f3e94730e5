"""What several commands take and print: --json, --until, values that are checked by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from warmup_job.errors import ConfigError

as_json_option = click.option(
    "--json", "as_json", envvar="WARMUP_JSON", show_envvar=True, is_flag=True, help="For machines."
)


def until_ms(until: str | None, now_ms: int, option: str = "--until") -> int:
    from warmup_job.market.times import parse_when

    return now_ms if until is None else checked(option, lambda: parse_when(until, now_ms))


def checked[T](option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
