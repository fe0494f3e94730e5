"""The consumer, top to bottom: verify → load → warm up the strategy → subscribe → fill → live."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.config import WarmupConfig
from warmup_job.errors import (
    DataInvalidError,
    RefusedError,
    SnapshotError,
    TraderError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.exchange.client import BinanceClient
from warmup_job.exchange.fetch import Fetched, Stream, fetch_last
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Klines, join_klines
from warmup_job.market.moment import NS_PER_MS, utc_text
from warmup_job.nautilus.bars import bar_type_of, instrument_bars
from warmup_job.nautilus.catalog import read_bars, read_instrument, reader_schema
from warmup_job.nautilus.instruments import parse_instrument
from warmup_job.plan import (
    STRATEGY_INTERVAL,
    StreamPlan,
    detector_settings,
    endpoint,
    open_client,
    strategy_instrument_id,
    strategy_plan,
    wanted_of_snapshot,
)
from warmup_job.prove import Columns, Proof, explain, extremes_of
from warmup_job.regime.evidence import Bounds
from warmup_job.regime.warmth import Carried
from warmup_job.snapshot.quiet import remember_quiet, sit_out
from warmup_job.snapshot.verify import verify
from warmup_job.trading.hedge_grid import HedgeGridV1, HedgeGridV1Config
from warmup_job.trading.runner import BaseRunner, History, NodeSettings, PaperRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from nautilus_trader.model.data import Bar
    from nautilus_trader.model.instruments import Instrument

    from warmup_job.regime.verdict import Certificate


_CLOCK_DOUBT_MS = 5_000  # our idea of the exchange's clock lags by half a round trip


@dataclass(frozen=True, slots=True)
class TradeSummary:
    """What a trader did, for people and for scripts."""

    warm_start: bool
    history_bars: int
    handed_on: int
    live_bars: int
    regime: str
    orders: int
    fills: int
    positions_open: int
    stopped_by_signal: bool


async def trade(
    config: WarmupConfig,
    root: Path,
    *,
    stop: asyncio.Event,
    on_state: Callable[[str, str], None] = lambda *_: None,
) -> TradeSummary:
    """Trade on paper until ``stop`` is set or a signal comes.

    Raises:
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        TraderError: the node did not come up.
    """
    url, state_dir = endpoint(config), config.trade.state_dir
    # The job notes limits on its volume, which we only read; we note ours with our own state.
    await sit_out((root, state_dir), url)
    async with open_client(
        config, on_limit=lambda until_ms: remember_quiet(state_dir, url, until_ms)
    ) as client:
        try:
            await client.sync_clock()
        except WarmupError as error:
            raise TraderError(f"the trader cannot reach its exchange: {error}") from None
        on_state("verifying", str(root))
        history = await load_history(config, root, client)
        runner = PaperRunner(_node_settings(config), _strategy(config), history, client)
        runner.on_state = on_state
        await runner.run(stop)
    return _summarise(runner, history)


async def load_history(config: WarmupConfig, root: Path, client: BinanceClient) -> History:
    """History from the snapshot; without a usable one, fetched whole; cold if that fails too.

    Raises:
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        RefusedError: the exchange will never serve what the strategy needs.
    """
    try:
        return _from_snapshot(config, root, client)
    except SnapshotError as error:
        if config.warmup.on_failure == "fail":
            raise
        logger.warning("no usable snapshot: {}", error)
    plan = strategy_plan(config, client.now_ms())
    logger.warning("fetching the whole window instead")
    try:
        client.extend_deadline(config.warmup.deadline_ms)
        entries = await client.exchange_info([plan.symbol])
        stream = Stream(plan.symbol, plan.interval)
        async with extremes_of(client, stream, known_already=False) as extremes:
            proof = Proof(plan, detector_settings(config), _columns, extremes)
            fetched = await fetch_last(
                client, stream, plan.bars, client.now_ms(), _as_they_are, enough=proof.enough
            )
        if plan.symbol not in entries:
            raise UnknownSymbolError(
                f"{client.url} does not list the symbol {plan.symbol}: correct it"
            )
        if not fetched.opens_ms:
            raise DataInvalidError(f"{plan.name}: the venue has no closed kline")
        klines = join_klines(fetched.parts, len(fetched.opens_ms))
        first_ns = klines[0].open_ms * NS_PER_MS
        instrument = parse_instrument(client.market, entries[plan.symbol], first_ns)
        bars = instrument_bars(klines, instrument, plan.interval)
    except RefusedError:
        raise  # no node could trade it either
    except WarmupError as error:
        logger.warning("STARTING COLD: the window could not be fetched either: {}", error)
        return _history(config, plan, [], None)
    return _history(config, plan, bars, proof.certificate, fetched.from_listing, instrument)


def _from_snapshot(config: WarmupConfig, root: Path, client: BinanceClient) -> History:
    plan = strategy_plan(config, client.now_ms())
    snapshot = verify(
        root,
        now_ms=client.now_ms(),
        max_age_ms=config.snapshot.max_age_ms,
        clock_doubt_ms=_CLOCK_DOUBT_MS,
        wanted=replace(wanted_of_snapshot(config), catalog_schema=reader_schema()),
    )
    entry = snapshot.stream(plan.symbol, plan.interval.name)
    if entry is None:
        raise SnapshotError(f"the snapshot {snapshot.folder.name} holds no {plan.name}")
    for reason in snapshot.manifest.degraded:
        logger.warning("the snapshot is degraded: {}", reason)
    bars = read_bars(snapshot.catalog, entry.bar_type)
    instrument = read_instrument(snapshot.catalog, entry.instrument_id)
    if len(bars) != entry.bar_count or instrument is None:  # a missing path reads as no bars
        raise SnapshotError(f"the snapshot {snapshot.folder.name} went away while it was read")
    logger.info(
        "snapshot {} verified: {} bars to {}, {} file(s) unaltered",
        snapshot.folder.name, len(bars), utc_text(entry.last_close), len(snapshot.manifest.files),
    )  # fmt: skip
    return _history(config, plan, bars, entry.certificate, entry.from_listing, instrument)


def _history(
    config: WarmupConfig,
    plan: StreamPlan,
    bars: list[Bar],
    certificate: Certificate | None,
    from_listing: bool = False,
    instrument: Instrument | None = None,
) -> History:
    """What the runner starts from, and what it must see before an order may leave."""
    bounds = None if certificate is None else Bounds(certificate.lowest, certificate.highest)
    most = max(plan.ladder[-1], len(bars) if from_listing else 0)
    proof = Carried(detector_settings(config), most, bounds, from_listing=from_listing)
    if certificate is not None:
        logger.info("{}: {}", plan.name, explain(certificate))
    return History(
        bar_type=bar_type_of(strategy_instrument_id(config), plan.interval),
        interval=plan.interval,
        bars=bars,
        # Of `auto` the job has found how many it takes.
        wanted=min(plan.bars, len(bars) or plan.bars) if plan.auto else plan.bars,
        from_listing=from_listing,
        instrument=instrument,
        proof=proof if config.warmup.require == "proven" else None,
        declared=tuple((each.kind, each.period) for each in config.warmup.indicators),
    )


def _columns(fetched: Fetched[Klines], bars: int) -> Columns:
    klines = join_klines(fetched.parts, bars)
    highs, lows, closes = zip(
        *((kline.high, kline.low, kline.close) for kline in klines), strict=True
    )
    return list(map(float, highs)), list(map(float, lows)), list(map(float, closes))


def _as_they_are(klines: Klines) -> Klines:
    return klines


def _node_settings(config: WarmupConfig) -> NodeSettings:
    venue = config.venue
    return NodeSettings(
        market=venue.market,
        environment=venue.environment,
        rest_url=venue.api.base_url,
        ws_url=venue.api.ws_url,
        leverage=venue.trading.leverage,
        starting_balances=config.trade.starting_balances,
    )


def _strategy(config: WarmupConfig) -> HedgeGridV1:
    strategy, settings = config.strategy, detector_settings(config)
    bar_type = bar_type_of(strategy_instrument_id(config), Interval.parse(STRATEGY_INTERVAL))
    return HedgeGridV1(
        HedgeGridV1Config(
            instrument_id=bar_type.instrument_id,
            bar_type=bar_type,
            oms_type="HEDGING",
            grid_step_bps=strategy.grid.grid_step_bps,
            grid_levels_long=strategy.grid.grid_levels_long,
            grid_levels_short=strategy.grid.grid_levels_short,
            base_qty=strategy.grid.base_qty,
            qty_scale=strategy.grid.qty_scale,
            tp_steps=strategy.exit.tp_steps,
            recenter_trigger_bps=strategy.rebalance.recenter_trigger_bps,
            ema_fast=settings.ema_fast,
            ema_slow=settings.ema_slow,
            adx_len=settings.adx_len,
            atr_len=settings.atr_len,
            hysteresis_bps=settings.hysteresis_bps,
        )
    )


def _summarise(runner: BaseRunner, history: History) -> TradeSummary:
    strategy = runner.strategy
    orders = strategy.cache.orders(strategy_id=strategy.id)
    return TradeSummary(
        warm_start=runner.started_warm,
        history_bars=len(history.bars),
        handed_on=runner.handed_on,
        live_bars=runner.live_bars,
        regime=strategy.detector.regime.value,
        orders=len(orders),
        fills=sum(len(order.trade_ids) for order in orders),
        positions_open=strategy.cache.positions_open_count(strategy_id=strategy.id),
        stopped_by_signal=runner.signalled,
    )
