"""Check what the exchange answers: reachability, region, clock, weight and symbols."""

from __future__ import annotations

import time
from collections.abc import Callable

from warmup_job.doctor.clock_check import judge_clock
from warmup_job.doctor.finding import Finding, failed, passed, skipped
from warmup_job.doctor.symbol_check import judge_symbols
from warmup_job.doctor.weight_check import judge_weight
from warmup_job.errors import RateLimitedError, WarmupError
from warmup_job.market.times import utc_text
from warmup_job.plan.request_weights import request_weights
from warmup_job.plan.stream_pages import pages_at
from warmup_job.plan.venue_client import open_client
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.rate_limits import limited_until_ms, record_limit

_DEADLINE_MS = 10_000
_FOLLOWING = ("clock", "weight", "symbols")


async def check_exchange(plan: WarmupPlan, *, live: bool) -> list[Finding]:
    """Ask the exchange for its time and its symbols.

    It sends nothing while a limit or ban is recorded on the volume or in the state folder, and
    records a new one on the volume.

    Args:
        plan: The configuration.
        live: Whether orders are to be signed with this machine's clock.
    """
    venue = plan.venue
    limit = recorded_limit(plan)
    if limit is not None:
        return [limit, *_not_asked("a limit or ban is recorded")]
    client = open_client(
        venue,
        min(plan.deadline_ms, _DEADLINE_MS),
        on_limit=_recorder(plan),
    )
    async with client:
        try:
            clock = await client.sync_clock()
        except WarmupError as error:
            return [
                _no_answer("exchange", error),
                *_not_asked("the check `exchange` failed"),
            ]
        used = client.counted_weight
        found = [
            passed("exchange", f"{venue.endpoint} answers in {clock.round_trip_ms} ms"),
            judge_clock(clock, live=live),
        ]
        pages = [pages_at(each, venue.market, client.now_ms()) for each in plan.streams]
        needed = request_weights(venue.market, pages).total
        found.append(
            judge_weight(
                used, limit=venue.weight_per_minute, budget=venue.weight_budget, needed=needed
            )
        )
        symbols = {each.stream.symbol for each in plan.streams}
        symbols.update(*(each.symbols for each in plan.strategies))
        try:
            listed = await client.exchange_info(symbols)
        except WarmupError as error:
            return [*found, _no_answer("symbols", error)]
        return [*found, *judge_symbols(venue.endpoint, symbols, listed, client.listed)]


def recorded_limit(plan: WarmupPlan) -> Finding | None:
    """Return the finding for a limit or ban that a process of ours has recorded; None: none is."""
    endpoint = plan.venue.endpoint
    until_ms = max(
        limited_until_ms(folder, endpoint) for folder in (plan.root, plan.trader.state_dir)
    )
    if until_ms <= time.time_ns() // 1_000_000:
        return None
    return failed(
        "exchange",
        RateLimitedError(
            f"{endpoint} limits or bans this IP until {utc_text(until_ms)}, as an earlier process "
            "recorded; doctor sent nothing: wait until then, and check which other programs "
            "behind this IP send requests",
            until_ms=until_ms,
        ),
    )


def _no_answer(check: str, error: WarmupError) -> Finding:
    return failed(
        check, error,
        otherwise="try again in a minute; if it stays so, check the network and api.base_url",
    )  # fmt: skip


def _recorder(plan: WarmupPlan) -> Callable[[int], None]:
    return lambda until_ms: record_limit(plan.root, plan.venue.endpoint, until_ms)


def _not_asked(reason: str) -> list[Finding]:
    return [skipped(check, reason) for check in _FOLLOWING]
