"""Resolve the configuration: YAML structures in, one frozen plan out."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from warmup_job.catalog.installed_nautilus import nautilus_version
from warmup_job.catalog.names import bar_type_name, instrument_id_of
from warmup_job.config import WarmupConfig
from warmup_job.errors import ConfigError
from warmup_job.plan.strategy_plan import plan_strategies
from warmup_job.plan.stream_plan import StreamPlan, plan_listed_streams, plan_strategy_streams
from warmup_job.plan.venue_plan import VenuePlan, plan_venue
from warmup_job.plan.warmup_plan import TraderPlan, WarmupPlan
from warmup_job.snapshot.manifest import settings_digest
from warmup_job.snapshot.verify import Requirements


def resolve(config: WarmupConfig) -> WarmupPlan:
    """Work out everything that a configuration asks for.

    It reads neither the clock, the network nor the volume, so the job and the trader call it once.

    Args:
        config: the configuration as it was loaded.

    Returns:
        The plan, equal for equal configurations.

    Raises:
        ConfigError: the configuration asks for bars that Binance does not have or for a strategy
            that cannot be run, or does not say how many bars a stream takes.
    """
    warmup, snapshot = config.warmup, config.snapshot
    venue = plan_venue(config.venue, warmup.budget_share)
    strategies = plan_strategies(config, venue)
    streams = plan_listed_streams(config, venue, strategies)
    problems = config.live_problems
    try:
        strategy_streams = plan_strategy_streams(config, venue, strategies, streams)
    except ConfigError as error:  # of a stream that the job does not fetch
        strategy_streams, problems = (), (*problems, str(error))
    digest = _digest(config, streams)
    return WarmupPlan(
        venue=venue,
        strategies=strategies,
        streams=streams,
        strategy_streams=strategy_streams,
        settings_digest=digest,
        snapshot_requirements=_requirements(
            venue, strategy_streams if strategies else streams, digest
        ),
        require_proof=warmup.require == "proven",
        max_gap_bars=warmup.max_gap_bars,
        deadline_ms=warmup.deadline_ms,
        on_failure=warmup.on_failure,
        root=snapshot.root,
        keep=snapshot.keep,
        max_age_ms=snapshot.max_age_ms,
        trader=msgspec.convert(config.trade, TraderPlan, from_attributes=True),
        trade_problems=problems,
    )


def _digest(config: WarmupConfig, streams: tuple[StreamPlan, ...]) -> str:
    """Digest what the bars depend on: streams, numbers of bars, detectors, indicators."""
    described = [
        (
            (plan.stream.symbol, plan.stream.interval.name, plan.stream.price),
            plan.bar_counts if plan.auto else [plan.bars],
            plan.detector and asdict(plan.detector),
        )
        for plan in streams
    ]
    declared = [msgspec.to_builtins(each) for each in config.warmup.indicators]
    ordered = sorted(described, key=lambda each: each[0])
    return settings_digest({"streams": ordered, "indicators": declared})


def _requirements(venue: VenuePlan, needed: tuple[StreamPlan, ...], digest: str) -> Requirements:
    plans = {
        bar_type_name(
            instrument_id_of(venue.market, plan.stream.symbol),
            plan.stream.interval,
            plan.stream.price,
        ): plan
        for plan in needed
    }
    return Requirements(
        endpoint=venue.endpoint,
        bars={name: plan.bar_counts[0] if plan.auto else plan.bars for name, plan in plans.items()},
        certified=frozenset(
            name for name, plan in plans.items() if plan.needs_proof and plan.detector
        ),
        settings_digest=digest,
        nautilus_trader=nautilus_version(),
    )
