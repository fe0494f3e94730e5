"""``warmup-job exchange``: the local exchange to run against."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click
from loguru import logger

from warmup_job.cli.config_options import unread_variables, whole_group
from warmup_job.cli.shared_options import until_ms
from warmup_job.errors import ConfigError


@click.command(context_settings={"auto_envvar_prefix": "WARMUP_EXCHANGE", "show_default": True})
@click.option("--host", default="127.0.0.1", show_envvar=True)
@click.option("--port", default=8080, show_envvar=True, type=click.IntRange(0, 65535),
              help="0: any free one.")  # fmt: skip
@click.option("--seed", default=1, show_envvar=True, help="One deterministic market per seed.")
@click.option("--replay", "replay", multiple=True, metavar="FILE", show_envvar=True,
              help="Serve recorded klines (csv.gz); may be given several times.")  # fmt: skip
@click.option("--now", show_envvar=True, help="The exchange's clock at the start: ISO time or ms.")
@click.option("--speed", default=1.0, show_envvar=True,
              help="How many of its seconds pass in one of yours.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="SPEC", show_envvar=True,
              help="What goes wrong: 429=30@klines (docs/local-exchange.md).")  # fmt: skip
@click.option("--latency-ms", default=0, show_envvar=True, help="Of every REST answer.")
@click.option("--weight-limit", type=int, show_envvar=True,
              help="Request weight a minute; left out, Binance's.")  # fmt: skip
@click.option("--volatility-bps", default=10.0, show_envvar=True, help="Of one minute.")
@click.option("--api-key", show_envvar=True, help="The account's; left out: local-key.")
@click.option(
    "--api-secret",
    show_envvar=True,
    help="The account's HMAC secret, or the PEM of an Ed25519 public key. Default: local-secret.",
)
@click.option("--one-way", is_flag=True, show_envvar=True, help="The account has no hedge mode.")
@click.option("--no-trading", is_flag=True, show_envvar=True, help="The account may not trade.")
@click.option("--balance", default="10000", show_envvar=True, help="The account's, in USDT.")
def exchange(
    port: int,
    host: str,
    now: str | None,
    replay: tuple[str, ...],
    **options: Any,  # noqa: ANN401  # the rest have ExchangeOptions' own names
) -> None:
    """A local Binance to run against: REST and websockets, USD-M futures and spot, an account."""
    from warmup_job.local_binance.server import ExchangeOptions, serve

    for warning in unread_variables(whole_group(), prefix="WARMUP_EXCHANGE_"):
        logger.warning("{}", warning)
    now_ms = None if now is None else until_ms(now, time.time_ns() // 1_000_000, "--now")
    settings = ExchangeOptions(
        host=host, port=port, replay=replay, now_ms=now_ms,
        **{name: value for name, value in options.items() if value is not None},
    )  # fmt: skip

    def ready(running: Any) -> None:  # noqa: ANN401
        click.echo(f"a local Binance is up: REST {running.url}, websockets {running.ws_url}")

    try:
        asyncio.run(serve(settings, ready))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error}): choose another --host or --port"
        ) from None
