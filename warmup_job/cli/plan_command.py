"""``warmup-job plan``."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from warmup_job.cli.config_options import check_strategies, on_config, warn_of_trading
from warmup_job.cli.shared_options import as_json_option, print_json, until_ms
from warmup_job.market.times import utc_text

if TYPE_CHECKING:
    from warmup_job.config import WarmupConfig


@click.command()
@on_config
@click.option(
    "--until", envvar="WARMUP_UNTIL", show_envvar=True, help="-3m, an ISO time, or ms: not now."
)
@as_json_option
def plan(config: WarmupConfig, until: str | None, as_json: bool) -> None:
    """Show what would be fetched, and what it costs, without asking the exchange for a kline."""
    from warmup_job.plan.streams import memory_text, plan_streams, weight_budget, weights

    now_ms = time.time_ns() // 1_000_000
    warn_of_trading(config)
    check_strategies(config)
    plans = plan_streams(config, min(now_ms, until_ms(until, now_ms)))
    budget = weight_budget(config)
    spent = weights(config, plans)
    weight = spent.total
    if as_json:
        streams = [
            {
                "symbol": plan.symbol,
                "interval": plan.interval.name,
                "price": plan.price,
                "bars": plan.bars,
                "reason": plan.reason,
                "pages": [page._asdict() for page in plan.pages],
                "weight": plan.weight,
                "bounds_weight": plan.bounds_weight,
                "seconds": plan.seconds(budget),
                "disk_bytes": plan.disk_bytes,
            }
            for plan in plans
        ]
        print_json(
            {
                "streams": streams,
                "weights": asdict(spent),
                "weight": weight,
                "weight_per_minute": budget,
            }
        )
        return
    head = f"{'stream':<20}{'bars':>8}{'pages':>7}{'weight':>8}{'about':>8}{'disk':>10}"
    click.echo(f"{head}  from")
    for plan in plans:
        click.echo(
            f"{plan.name:<20}{plan.bars:>8}{len(plan.pages):>7}{plan.weight:>8}"
            f"{plan.seconds(budget):>6.1f} s{plan.disk_bytes // 1024:>6} KiB"
            f"  {utc_text(plan.first_open_ms)}  ({plan.reason})"
        )
    for detector in dict.fromkeys(plan.detector for plan in plans if plan.auto):
        if detector is not None:
            click.echo(memory_text(detector))
    minutes = max(0, weight - 1) // budget
    waits = f"about {minutes} min of waiting for it" if minutes else "no waiting for it"
    click.echo(
        f"weight {weight} of {budget} a minute ({config.warmup.budget_share:.0%} of the venue's "
        f"{config.venue.rate_limits.weight_per_minute}): {waits}\n"
        f"  klines {spent.klines}, highest and lowest prices {spent.bounds}, exchangeInfo "
        f"{spent.exchange_info}, time {spent.time}"
    )
