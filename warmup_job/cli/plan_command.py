"""``warmup-job plan``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from warmup_job.cli.config_options import (
    ConfigCommand,
    check_strategies,
    on_config,
    warn_of_trading,
)
from warmup_job.cli.fitted_text import echo_fitted, fitted_lines
from warmup_job.cli.sectioned_command import examples
from warmup_job.cli.shared_options import as_json_option, print_json, until_ms, until_option
from warmup_job.market.times import utc_text
from warmup_job.process.terminal import terminal_columns

if TYPE_CHECKING:
    from warmup_job.plan.stream_pages import StreamPages
    from warmup_job.plan.warmup_plan import WarmupPlan


_TABLE_COLUMNS = 83  # without the reason of a stream


@click.command(
    cls=ConfigCommand,
    epilog=examples(
        "warmup-job plan --config configs/demo.yaml",
        "warmup-job plan --config configs/demo.yaml --streams BTCUSDT:1m:500,ETHUSDT:1h:200",
        "warmup-job plan --config configs/demo.yaml --json",
    ),
)
@on_config
@until_option
@as_json_option
def plan(resolved: WarmupPlan, until: str | None, as_json: bool) -> None:
    """Show which klines a run would fetch and what they cost, without fetching any."""
    from warmup_job.plan.detector_memory import memory_text
    from warmup_job.plan.request_weights import bounds_weight, request_weights
    from warmup_job.plan.stream_pages import pages_at

    now_ms = time.time_ns() // 1_000_000
    warn_of_trading(resolved)
    check_strategies(resolved)
    at_ms, market = min(now_ms, until_ms(until, now_ms)), resolved.venue.market
    requests = [pages_at(each, market, at_ms) for each in resolved.streams]
    venue = resolved.venue
    budget, spent = venue.weight_budget, request_weights(market, requests)
    weight = spent.total
    if as_json:
        streams = [
            {
                "symbol": each.plan.stream.symbol,
                "interval": each.plan.stream.interval.name,
                "price": each.plan.stream.price,
                "bars": each.plan.bars,
                "reason": each.plan.reason,
                "pages": [page._asdict() for page in each.pages],
                "weight": each.weight,
                "bounds_weight": bounds_weight(market, each.plan),
                "seconds": each.seconds(budget),
                "disk_bytes": each.plan.disk_bytes,
            }
            for each in requests
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
    columns = terminal_columns(sys.stdout)
    click.echo("\n".join(plan_table(requests, budget, columns)))
    for detector in dict.fromkeys(each.detector for each in resolved.streams if each.auto):
        if detector is not None:
            echo_fitted(memory_text(detector))
    minutes = max(0, weight - 1) // budget
    waits = f"about {minutes} min of waiting" if minutes else "no waiting"
    echo_fitted(
        f"weight {weight} of {budget} per minute ({venue.budget_share:.0%} of the venue's "
        f"{venue.weight_per_minute}): {waits}\n"
        f"  klines {spent.klines}, highest and lowest prices {spent.bounds}, exchangeInfo "
        f"{spent.exchange_info}, time {spent.time}"
    )


def plan_table(
    requests: Iterable[StreamPages], weight_budget: int, columns: int | None
) -> list[str]:
    """Return one row for each stream; on a narrow terminal a paragraph instead.

    Args:
        requests: The pages of each stream.
        weight_budget: Weight that may be spent per minute.
        columns: The terminal's width; None: any.
    """
    if columns is not None and columns < _TABLE_COLUMNS:
        texts = [
            f"{each.plan.stream}: {each.plan.bars} bars in {len(each.pages)} page(s), weight "
            f"{each.weight}, about {each.seconds(weight_budget):.1f} s, "
            f"{each.plan.disk_bytes // 1024} KiB, from {utc_text(each.first_open_ms)} "
            f"({each.plan.reason})"
            for each in requests
        ]
        return [line for text in texts for line in fitted_lines(text, columns)]
    head = f"{'stream':<20}{'bars':>8}{'pages':>7}{'weight':>8}{'about':>8}{'disk':>10}"
    lines = [f"{head}  from"]
    for each in requests:
        row = (
            f"{each.plan.stream!s:<20}{each.plan.bars:>8}{len(each.pages):>7}{each.weight:>8}"
            f"{each.seconds(weight_budget):>6.1f} s{each.plan.disk_bytes // 1024:>6} KiB"
            f"  {utc_text(each.first_open_ms)}"
        )
        whole = f"{row}  ({each.plan.reason})"
        if columns is None or len(whole) <= columns:
            lines.append(whole)
        else:
            lines += [row, *fitted_lines(f"    ({each.plan.reason})", columns)]
    return lines
