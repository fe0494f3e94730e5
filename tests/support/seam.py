"""Run and judge a handoff: a snapshot, a node that goes live from it, and the venue's bars.

The judge is independent of what it judges: every kline is asked for anew afterwards, and a detector
of its own is fed with the floats of their texts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, OrderStatus, TradingState
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.seam_strategies import Impatient, Recorder
from tests.support.waiting import until_async
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.fetch import fetch_range
from warmup_job.catalog.nautilus_bars import interval_of, open_ms_of
from warmup_job.config import load
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.runner import BaseRunner
from warmup_job.handoff.state_dir import StateDir
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.job.run_job import warm
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline
from warmup_job.market.stream_id import StreamId
from warmup_job.modes import Mode
from warmup_job.plan.resolve import resolve
from warmup_job.plan.venue_client import open_client
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.regime.detector import DetectorBar, RegimeDetector
from warmup_job.trader.build_runner import build_runner
from warmup_job.trader.history import load_histories
from warmup_job.trader.snapshot_wait import NO_WAIT, SnapshotWait
from warmup_job.trader.strategies import make_strategies

HERE = "tests.support.seam_strategies"
MINUTE_MS = 60_000
MINUTE = Interval.parse("1m")
SECOND = Interval.parse("1s")
MINUTES = BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL")
SPOT_SECONDS = BarType.from_str("BTCUSDT.BINANCE-1-SECOND-LAST-EXTERNAL")
SPOT_MINUTES = BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
SPOT_GRID = {
    "instrument_id": "BTCUSDT.BINANCE", "bar_type": str(SPOT_SECONDS),
    "grid_step_bps": 10, "grid_levels_long": 3, "grid_levels_short": 3, "base_qty": "0.004",
    "qty_scale": "1.0", "tp_steps": 2, "recenter_trigger_bps": 50.0, "ema_fast": 5,
    "ema_slow": 12, "adx_len": 6, "atr_len": 6, "hysteresis_bps": 1.0, "oms_type": "HEDGING",
    "sl_steps": 8, "max_inventory_quote": "10000", "max_position_size": "1",
    "max_leverage_used": "5", "emergency_liquidation_buffer": "0.1",
    "funding_window_minutes": 480, "funding_max_cost_bps": "10",
    "policy": "throttled-counter", "counter_levels": 2, "counter_qty_scale": "0.5",
}  # fmt: skip
"""A small HedgeGridV1, quickly warm."""
GRACE_MS = 2_000
"""A kline may arrive this late without halting trading."""


def set_before_the_close(running: Exchange, seconds: float) -> int:
    """Set the exchange's clock to this long before a minute's close; return that time, UTC ms.

    For `start_over` with ``faults_stay``.
    """
    now_ms = running.now_ms()
    close_ms = MINUTE.next(MINUTE.floor(now_ms))
    running.fault(f"skew=+{close_ms - round(seconds * 1000) - now_ms}ms")
    return close_ms


@dataclass
class Seam:
    """One start of a trader, and its results."""

    running: Exchange
    plan: WarmupPlan
    strategies: list[Any] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    runner: BaseRunner = field(init=False)
    client: BinanceClient = field(init=False)
    klines: dict[BarType, list[Kline]] = field(default_factory=dict)
    """The venue's bars for everything in the node's cache."""
    since: dict[BarType, list[Kline]] = field(default_factory=dict)
    """The same, from the first bar on that a strategy has asked for itself."""
    states: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Warnings and errors."""

    @property
    def grid(self) -> Recorder:
        """The HedgeGridV1 among the strategies."""
        return next(each for each in self.strategies if isinstance(each, Recorder))

    @property
    def trading(self) -> TradingState:
        """Whether entries may leave."""
        return self.runner.trading

    def live(self, bars: int = 1) -> bool:
        """Return whether this many closed bars came by the websocket and the trader is live."""
        return self.runner.delivered.live >= bars and self.runner.state == "live"

    def cached(self, bar_type: BarType) -> list[Bar]:
        """Return the bars of the node's cache, oldest first."""
        return list(self.strategies[0].cache.bars(bar_type)[::-1])


def minutes_config(tmp_path: Path, running: Exchange, **changes: Any) -> WarmupPlan:
    """Configure HedgeGridV1 on 1m futures bars, with a user's files."""
    path = write_config(tmp_path / "config", running.url, ws_url=running.ws_url, **changes)
    return _loaded(path, tmp_path)


def spot_config(
    tmp_path: Path,
    running: Exchange,
    bar_type: BarType = SPOT_SECONDS,
    bars: int = 120,
    **changes: Any,
) -> WarmupPlan:
    """Configure HedgeGridV1 on 1s spot bars, which close soon."""
    fields = SPOT_GRID | {"bar_type": str(bar_type)}
    return imported_config(
        tmp_path,
        running,
        [("Recorder", "warmup_job.hedge_grid.strategy:HedgeGridV1Config", fields)],
        streams={interval_of(bar_type).name: bars},
        market="spot",
        **changes,
    )


def imported_config(
    tmp_path: Path,
    running: Exchange,
    strategies: Sequence[tuple[str, str, dict[str, Any]]],
    *,
    streams: dict[str, int],
    market: str = "um",
    **changes: Any,
) -> WarmupPlan:
    """Configure strategies on BTCUSDT by class, configuration class and fields."""
    return _loaded(
        imported_file(tmp_path, running, strategies, streams=streams, market=market, **changes),
        tmp_path,
    )


def imported_file(
    tmp_path: Path,
    running: Exchange,
    strategies: Sequence[tuple[str, str, dict[str, Any]]],
    *,
    streams: dict[str, int],
    market: str = "um",
    **changes: Any,
) -> Path:
    """Write `imported_config` to a file, for the trader as a process."""
    folder = tmp_path / "config"
    ws_url = running.ws_url if market == "um" else f"{running.ws_url}/spot"
    asked = [
        {"symbol": "BTCUSDT", "interval": name, "bars": bars} for name, bars in streams.items()
    ]
    warmup = {"streams": asked, "require": "bars"} | changes.pop("warmup", {})
    path = write_config(
        folder, running.url, ws_url=ws_url, venue={"market": market}, warmup=warmup, **changes
    )
    names = []
    for at, (name, config_path, fields) in enumerate(strategies):
        names.append(f"strategy-{at}.yaml")
        (folder / names[-1]).write_text(
            json.dumps(
                {
                    "strategy_path": name if ":" in name else f"{HERE}:{name}",
                    "config_path": config_path,
                    "config": fields,
                }
            )
        )
    joined = json.loads(path.read_text()) | {"strategy": names}
    path.write_text(json.dumps(joined))
    return path


def follower(*bar_types: BarType, **fields: Any) -> tuple[str, str, dict[str, Any]]:
    """Describe a `Follower` of these bar types, for `imported_config`."""
    named = {
        "instrument_id": str(bar_types[0].instrument_id),
        "bar_types": [str(each) for each in bar_types],
    }
    return ("Follower", f"{HERE}:FollowerConfig", named | fields)


def _loaded(path: Path, tmp_path: Path) -> WarmupPlan:
    overrides = {"root": str(tmp_path / "snapshot"), "state_dir": str(tmp_path / "state")}
    return resolve(load(path, environ={}, overrides=overrides))


async def start_over(
    running: Exchange,
    plan: WarmupPlan,
    during: Callable[[Seam], Awaitable[object]],
    *,
    snapshot_until: str | None = None,
    before_loading: Callable[[], Awaitable[object]] | None = None,
    after_loading: Callable[[Seam], Awaitable[object]] | None = None,
    impatient: bool = False,
    faults_stay: bool = False,
    publish: bool = True,
    connect_timeout_s: float = 30.0,
    mode: Mode = "paper",
    wait: SnapshotWait = NO_WAIT,
) -> Seam:
    """Publish a snapshot, run a node and ``during``, stop it; then fetch the venue's bars.

    Args:
        snapshot_until: the age of the snapshot; None: as new as possible.
        after_loading: called with the histories loaded; the node requests what closes then.
        impatient: add a second strategy that sends orders all the time.
        publish: whether there is a snapshot at all.
        wait: how long the trader waits for a snapshot.
    """
    if publish:
        await warm(plan, until=snapshot_until)
    if before_loading is not None:
        await before_loading()
    seam = Seam(running, plan)
    async with open_client(plan.venue, plan.deadline_ms) as client:
        seam.client = client
        await client.sync_clock()
        seam.strategies = _strategies(plan)
        if impatient:
            seam.strategies.append(Impatient(seam.grid))

        async def load_them() -> list[History]:
            seam.histories = await load_histories(plan, client, wait)
            if after_loading is not None:
                await after_loading(seam)
            return seam.histories

        state_dir = StateDir(plan.trader.state_dir, mode)
        seam.runner = build_runner(
            plan, mode, client, seam.strategies, state_dir, connect_timeout_s
        )
        seam.runner.on_report = lambda report: seam.states.append(report.state)
        handler = logger.add(
            lambda line: seam.warnings.append(line.record["message"]), level="WARNING"
        )
        stop = asyncio.Event()

        async def script() -> None:
            try:
                await during(seam)
            finally:
                stop.set()

        task = asyncio.create_task(script())
        try:
            await seam.runner.run(stop, load_them)
        finally:
            logger.remove(handler)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        task.result()
        if not faults_stay:
            seam.running.clear_faults()
        client.extend_deadline(30_000)
        for history in seam.histories:
            seam.klines[history.bar_type] = await every_kline(seam, history.bar_type)
            seen = [
                bars[0]
                for strategy in seam.strategies
                if (bars := getattr(strategy, "seen", {}).get(history.bar_type))
            ]
            if seen:
                seam.since[history.bar_type] = await every_kline(seam, history.bar_type, min(seen))
    return seam


LEFT = {OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED}
"""States of a market order that has left; the top of the book can be smaller than the order."""


async def has_opened(seam: Seam) -> Any:
    """Wait until the only strategy is live, and let it hold 0.020 LONG and 0.010 SHORT."""
    (strategy,) = seam.strategies
    await until_async(lambda: seam.runner.state == "live")
    await hold(strategy, "LONG", OrderSide.BUY, Decimal("0.020"))
    await hold(strategy, "SHORT", OrderSide.SELL, Decimal("0.010"))
    return strategy


async def hold(strategy: Any, book: str, side: OrderSide, quantity: Decimal) -> None:
    """Open a position. The top of the book can be smaller than an order."""
    while (missing := quantity - strategy.held(book)) > 0:
        await until_async(partial(has_left, strategy.trade(book, side, str(missing))))


def has_left(order: Order) -> bool:
    return bool(order.is_closed or order.status in LEFT)


async def every_kline(seam: Seam, bar_type: BarType, first_ms: int | None = None) -> list[Kline]:
    """Return the venue's bars, from the cache's first bar (or the named one) to its last."""
    interval, cached = interval_of(bar_type), seam.cached(bar_type)
    if not cached:
        return []
    if first_ms is None:
        first_ms = open_ms_of(cached[0], interval)
    last_ms = open_ms_of(cached[-1], interval)
    stream = StreamId(str(bar_type.instrument_id).split("-")[0].split(".")[0], interval)
    return await fetch_range(seam.client, stream, first_ms, last_ms)


def _strategies(plan: WarmupPlan) -> list[Strategy]:
    """Create the strategies like the trader, with a `Recorder` in place of HedgeGridV1."""
    return [
        Recorder(each.config) if type(each) is HedgeGridV1 else each
        for each in make_strategies(plan.strategies)
    ]


# -- the judge -------------------------------------------------------------------------------------


def assert_each_bar_once(seam: Seam, bar_type: BarType, seen: Sequence[int]) -> None:
    """Assert that the delivered bars and the cache equal the venue's bars, digit for digit."""
    interval, klines = interval_of(bar_type), seam.klines[bar_type]
    opens = [kline.open_ms for kline in klines]
    cached = seam.cached(bar_type)
    assert [open_ms_of(bar, interval) for bar in cached] == opens
    assert list(seen) == opens
    for bar, kline in zip(cached, klines, strict=True):
        values = [bar.open, bar.high, bar.low, bar.close, bar.volume]
        assert [each.as_decimal() for each in values] == [*map(Decimal, kline[1:6])]


def assert_whole(seam: Seam, bar_type: BarType = MINUTES) -> None:
    """Assert everything that the handoff promises, for HedgeGridV1."""
    assert_same_state(seam, bar_type)
    assert_no_order_left_early(seam, bar_type)


def assert_same_state(seam: Seam, bar_type: BarType) -> None:
    """Assert that the detector equals one that was fed with all bars of the venue."""
    grid, klines = seam.grid, seam.klines[bar_type]
    assert_each_bar_once(seam, bar_type, grid.opens)
    reference = RegimeDetector(grid.detector.settings)
    for kline in klines:
        opened, high, low, close, volume = map(float, kline[1:6])
        reference.update(DetectorBar(opened, high, low, close, volume))
    for name in ("bars", "regime", "ema_fast", "ema_slow", "adx", "atr"):
        assert getattr(grid.detector, name) == getattr(reference, name), name


def assert_no_order_left_early(seam: Seam, bar_type: BarType = MINUTES) -> None:
    """Assert that each order came from a warm strategy with all closed bars, within the grace."""
    interval = interval_of(bar_type)
    shift_ms = seam.running.now_ms() - time.time_ns() // 1_000_000
    existing = [kline.open_ms for kline in seam.klines[bar_type]]
    others = [each for each in seam.strategies if isinstance(each, Impatient)]
    assert all(each.denied and each.sent for each in others)
    for sent in [*seam.grid.sent, *(sent for each in others for sent in each.sent)]:
        closed_ms = interval.last_closed(sent.at_ms + shift_ms - GRACE_MS - 500)
        due_ms = max((each for each in existing if each <= closed_ms), default=0)
        assert sent.newest_open_ms >= due_ms
        assert sent.bars >= seam.histories[0].wanted
        assert sent.warm
