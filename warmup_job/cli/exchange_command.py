"""``warmup-job exchange``: the local exchange to run against."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click
from loguru import logger

from warmup_job.cli.config_options import unread_variables, whole_group
from warmup_job.cli.sectioned_command import SectionedCommand, examples
from warmup_job.cli.shared_options import until_ms
from warmup_job.errors import ConfigError
from warmup_job.process.os_errors import cause_of

_ACCOUNT = (
    "api_key api_secret one_way no_trading balance closing_orders fill_pieces hide_reduce_only "
    "most_algo_orders"
)
_SECTIONS = {
    **dict.fromkeys(("seed", "replay", "now", "speed", "volatility_bps", "funding"), "The market"),
    **dict.fromkeys(("faults", "latency_ms", "weight_limit"), "Faults and limits"),
    **dict.fromkeys(_ACCOUNT.split(), "The account"),
}


@click.command(
    cls=SectionedCommand,
    context_settings={"auto_envvar_prefix": "WARMUP_EXCHANGE", "show_default": True},
    sections=_SECTIONS,
    epilog=examples(
        "warmup-job exchange --port 8080 --seed 7",
        "warmup-job exchange --speed 60 --now 2026-05-01T00:00:00Z",
        "warmup-job exchange --fault 429=30s@klines --weight-limit 600",
    ),
)
@click.option("--host", default="127.0.0.1", show_envvar=True, help="Address to listen on.")
@click.option("--port", default=8080, show_envvar=True, type=click.IntRange(0, 65535),
              help="Port to listen on; 0: any free port.")  # fmt: skip
@click.option("--seed", default=1, show_envvar=True, help="The same seed gives the same market.")
@click.option("--replay", "replay", multiple=True, metavar="FILE", show_envvar=True,
              help="Serve recorded klines (csv.gz); may be given several times.")  # fmt: skip
@click.option("--now", show_envvar=True, metavar="WHEN",
              help="The exchange's time at its start: ISO 8601, Unix ms, or -1h30m.")  # fmt: skip
@click.option("--speed", default=1.0, show_envvar=True,
              help="Seconds of the exchange's clock that pass in one second.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="SPEC", show_envvar=True,
              help="A fault, e.g. 429=30s@klines (docs/reference/local-exchange.md).")  # fmt: skip
@click.option("--latency-ms", default=0, show_envvar=True,
              help="Delay every REST request by this many ms.")  # fmt: skip
@click.option("--weight-limit", type=int, show_envvar=True,
              help="Request weight per minute. Omit for Binance's.")  # fmt: skip
@click.option("--volatility-bps", default=10.0, show_envvar=True,
              help="Volatility per minute, bps.")  # fmt: skip
@click.option("--api-key", show_envvar=True, help="The account's API key. Default: local-key.")
@click.option(
    "--api-secret",
    show_envvar=True,
    help="The account's HMAC secret, or the PEM of an Ed25519 public key. Default: local-secret.",
)
@click.option("--one-way", is_flag=True, show_envvar=True, help="The account has no hedge mode.")
@click.option("--no-trading", is_flag=True, show_envvar=True, help="The account may not trade.")
@click.option("--balance", default="10000", show_envvar=True, help="Balance of the account, USDT.")
@click.option("--closing-orders", default="expire", show_envvar=True,
              type=click.Choice(["expire", "reject"]),
              help="A closing order larger than its position: accept or refuse it.")  # fmt: skip
@click.option("--fill-pieces", default=1, show_envvar=True, type=click.IntRange(1, 100),
              help="Fill each order in at least this many pieces.")  # fmt: skip
@click.option("--hide-reduce-only", is_flag=True, show_envvar=True,
              help="Show closing orders of hedge mode with reduceOnly: false.")  # fmt: skip
@click.option("--most-algo-orders", default=200, show_envvar=True, type=click.IntRange(1, 1000),
              help="Algo orders that the account may have.")  # fmt: skip
@click.option("--funding", multiple=True, metavar="SPEC", show_envvar=True,
              help="Funding of a symbol: SYMBOL=RATE/HOURS, e.g. BTCUSDT=-0.0003/4.")  # fmt: skip
def exchange(
    port: int,
    host: str,
    now: str | None,
    replay: tuple[str, ...],
    **options: Any,  # noqa: ANN401  # the rest have ExchangeOptions' own names
) -> None:
    """Run a local Binance: REST and websockets, USD-M futures and spot, with an account."""
    from warmup_job.local_binance.exchange_options import ExchangeOptions
    from warmup_job.local_binance.server import serve

    for warning in unread_variables(whole_group(), prefix="WARMUP_EXCHANGE_"):
        logger.warning("{_problem}", event="config.warning", _problem=warning)
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
            f"cannot listen on {host}:{port} ({cause_of(error)}): choose another --host or --port"
        ) from None
