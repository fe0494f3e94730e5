"""The runners: a Nautilus node that goes live with what the warm-up left, and only then trades."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from loguru import logger
from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
from nautilus_trader.adapters.binance.config import (
    BinanceDataClientConfig,
    BinanceInstrumentProviderConfig,
)
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.common.messages import TradingStateChanged
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.live.config import LiveExecEngineConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import TraderError, WarmupError
from warmup_job.exchange.client import BinanceClient
from warmup_job.exchange.endpoints import Environment
from warmup_job.exchange.fetch import Stream, fetch_extremes, fetch_range
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline
from warmup_job.market.moment import utc_text
from warmup_job.market.plan import Market
from warmup_job.market.symbol import venue_symbol
from warmup_job.nautilus.bars import instrument_bars, open_ms_of
from warmup_job.nautilus.names import VENUE
from warmup_job.regime.evidence import Bounds
from warmup_job.regime.warmth import Carried
from warmup_job.trading.declared import differences
from warmup_job.trading.handoff import Handoff, Span, next_due_ms
from warmup_job.trading.hedge_grid import detector_bar

_GRACE_MS = 2_000  # how late a live kline may be before it is asked for
_RETRY_S, _MOST_RETRY_S = 1.0, 30.0
_FILL_DEADLINE_MS = 30_000
_CLOCK_SYNC_S = 600.0
_MOST_POLLED = 2  # bars in a row that may be asked for before the stream counts as dead

State = Literal["starting", "warming", "filling", "live", "degraded", "stopping"]


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where the node trades. URLs of None mean the environment's own."""

    market: Market
    environment: Environment
    rest_url: str | None
    ws_url: str | None
    trader_id: str = "WARMUP-001"
    leverage: int = 1
    starting_balances: tuple[str, ...] = ("10000 USDT",)
    log_level: str = "INFO"
    connect_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class History:
    """What the strategy is warmed with.

    ``bars`` ascend without a hole but the venue's own; ``wanted`` is how many the policy demands
    before an order may leave; ``from_listing`` says that older ones do not exist. ``proof``, empty
    yet, is carried on bar by bar, and must close before an order may leave; None: a count will do.
    """

    bar_type: BarType
    interval: Interval
    bars: Sequence[Bar]
    wanted: int
    from_listing: bool = False
    instrument: Instrument | None = None
    proof: Carried | None = None
    declared: Sequence[tuple[str, int]] = ()
    """The strategy's own indicators, by kind and period."""


class BaseRunner(ABC):
    """Owns one node with one strategy on one stream: warm it, gate it, run it, stop it.

    Trading is halted (Nautilus denies every order of every strategy) until the strategy has had
    every closed bar and as many as the policy demands; and again whenever a gap opens that cannot
    be filled.
    """

    def __init__(
        self, settings: NodeSettings, strategy: Strategy, history: History, client: BinanceClient
    ) -> None:
        self.settings = settings
        self.strategy = strategy
        self.history = history
        self.client = client
        self.state: State = "starting"
        self.on_state: Callable[[State, str], None] = lambda *_: None
        self.node: TradingNode | None = None
        self.signalled = False
        """Whether SIGTERM or SIGINT asked it to stop."""
        self.handed_on = 0
        """How many bars the strategy has had, history included."""
        self.on_bars = 0
        """How many of them went to on_bar: the newest ones."""
        self.live_bars = 0
        """How many of those came by the live stream."""
        self.started_warm = False
        """Whether the history alone was enough for the strategy."""
        self._from_listing = history.from_listing
        self._wake = asyncio.Event()
        self._suspect: Span | None = None
        self._streaming = False  # whether anything at all came by a websocket
        self._streamed_ms = -1  # open of the last bar that came by one
        self._polled = 0  # bars in a row that had to be asked for although we were live
        self._handoff = self._begin_handoff()

    # -- what a mode decides -----------------------------------------------------------------------

    @abstractmethod
    def _add_execution(self, node: TradingNode) -> None:
        """Register the execution client's factory."""

    @abstractmethod
    def _execution_configs(self) -> dict[str, object]:
        """The execution clients' configurations, by venue."""

    # -- life --------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Build, warm, go live, and trade until ``stop`` is set.

        Raises:
            TraderError: the node did not come up, or ended by itself.
        """
        loop = asyncio.get_running_loop()
        node = self.node = self._build(loop)
        for sig in (signal.SIGTERM, signal.SIGINT):  # the node took them; its way out is not ours
            loop.add_signal_handler(sig, self._on_signal, stop)
        self._warmup_strategy()
        node_task = asyncio.create_task(node.run_async(), name="node")
        stop_task = asyncio.create_task(stop.wait(), name="stop")
        keeper: asyncio.Task[None] | None = None
        clock: asyncio.Task[None] | None = None
        try:
            await self._await_started(node_task, stop_task)
            self._announce_trading_state(node)
            for line in differences(self.history.declared, self.strategy.registered_indicators):
                logger.warning(line)
            keeper = asyncio.create_task(self._keep_contiguous(), name="keeper")
            clock = asyncio.create_task(self._keep_clock(), name="clock")
            loop.call_later(self.settings.connect_timeout_s, self._wake.set)
            done, _ = await asyncio.wait(
                {node_task, stop_task, keeper}, return_when=asyncio.FIRST_COMPLETED
            )
            if keeper in done:
                keeper.result()
            if stop_task not in done:
                raise TraderError("the node stopped by itself; its log above says why")
        finally:
            self._enter("stopping", "asked to" if stop.is_set() else "cannot go on")
            for task in (keeper, clock, stop_task):
                if task is not None:
                    task.cancel()
            await self._shut_down(node, node_task)

    def _on_signal(self, stop: asyncio.Event) -> None:
        self.signalled = True
        stop.set()

    def _build(self, loop: asyncio.AbstractEventLoop) -> TradingNode:
        settings = self.settings
        config = TradingNodeConfig(
            trader_id=settings.trader_id,
            logging=LoggingConfig(log_level=settings.log_level, log_colors=False),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={VENUE: self._data_config()},
            exec_clients=self._execution_configs(),
            timeout_connection=settings.connect_timeout_s,
            timeout_disconnection=3.0,
            timeout_post_stop=0.5,
        )
        node = TradingNode(config=config, loop=loop)
        node.add_data_client_factory(VENUE, BinanceLiveDataClientFactory)
        self._add_execution(node)
        node.trader.add_strategy(self.strategy)
        node.build()
        if self.history.instrument is not None:
            node.kernel.cache.add_instrument(self.history.instrument)
        node.kernel.risk_engine.set_trading_state(TradingState.HALTED)
        self._install_gate(node)
        return node

    def _data_config(self) -> BinanceDataClientConfig:
        settings = self.settings
        return BinanceDataClientConfig(
            account_type=(
                BinanceAccountType.USDT_FUTURES
                if settings.market == "um"
                else BinanceAccountType.SPOT
            ),
            environment=_ENVIRONMENTS[settings.environment],
            base_url_http=settings.rest_url,
            base_url_ws=settings.ws_url,
            instrument_provider=BinanceInstrumentProviderConfig(
                load_ids=frozenset({self.history.bar_type.instrument_id})
            ),
        )

    async def _await_started(
        self, node_task: asyncio.Task[None], stop_task: asyncio.Task[object]
    ) -> None:
        """A node can say RUNNING over a trader that never started: believe the strategy only."""
        timeout_s = self.settings.connect_timeout_s + 5
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.strategy.is_running:
            if stop_task.done():
                return
            if node_task.done() or asyncio.get_running_loop().time() > deadline:
                raise TraderError(
                    f"the trader did not start within {timeout_s:.0f} s: is {self.client.url} up?"
                )
            await asyncio.sleep(0.02)

    def _announce_trading_state(self, node: TradingNode) -> None:
        """Tell strategies, who subscribed only when they started, that trading is halted."""
        now_ns = node.kernel.clock.timestamp_ns()
        event = TradingStateChanged(
            node.trader_id, node.kernel.risk_engine.trading_state, {}, UUID4(), now_ns, now_ns
        )
        node.kernel.msgbus.publish("events.risk", event)

    async def _shut_down(self, node: TradingNode, node_task: asyncio.Task[None]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await node.stop_async()
                await node_task

    # -- warm-up -----------------------------------------------------------------------------------

    def _warmup_strategy(self) -> None:
        """Give the strategy its history, all but the newest bar: that one goes to on_bar."""
        bars = self.history.bars[:-1]
        if not bars:
            logger.warning(
                "COLD START: no history for {}; it is asked for while the node runs, and no order "
                "leaves before {} bars are in", self.history.bar_type, self.history.wanted,
            )  # fmt: skip
            return
        self._enter("warming", f"{len(bars)} bars of history")
        if self.node is not None:
            self.node.kernel.cache.add_bars(list(bars))
        for bar in bars:
            self._carry(bar)
        warmup = getattr(self.strategy, "warmup_regime_detector", None)
        if warmup is not None:
            warmup([detector_bar(bar) for bar in bars])
        else:
            for bar in bars:
                self.strategy.handle_historical_bar(bar)
        self.handed_on = len(bars)
        self.started_warm = bool(getattr(self.strategy, "is_warm", True))

    def _begin_handoff(self) -> Handoff[Bar]:
        interval, bars = self.history.interval, self.history.bars
        if not bars:
            # Cold: the whole window is missing, and is asked for until it comes.
            newest_ms = interval.last_closed(self.client.now_ms())
            return Handoff(interval, interval.shift(newest_ms, -self.history.wanted))
        newest_ms = open_ms_of(bars[-1], interval)
        before_ms = (
            open_ms_of(bars[-2], interval) if len(bars) > 1 else interval.shift(newest_ms, -1)
        )
        handoff = Handoff[Bar](interval, before_ms)
        if interval.next(before_ms) != newest_ms:  # the venue's own gap, on record
            handoff.pass_over(Span(interval.next(before_ms), interval.shift(newest_ms, -1)))
        handoff.offer(newest_ms, bars[-1])
        return handoff

    # -- the gate ----------------------------------------------------------------------------------

    def _install_gate(self, node: TradingNode) -> None:
        """Stand at the data engine's input, so that its cache and every strategy see one order."""
        engine, msgbus = node.kernel.data_engine, node.kernel.msgbus

        def gate(data: object) -> None:
            if isinstance(data, Bar) and data.bar_type == self.history.bar_type:
                open_ms = open_ms_of(data, self.history.interval)
                if self._handoff.offer(open_ms, data):
                    self._streamed_ms = open_ms
                    self._polled = 0
                    self._hand_on_if_live()
                    self._wake.set()
            else:
                if not self._streaming and not isinstance(data, Instrument):
                    self._streaming = True
                    self._wake.set()
                engine.process(data)

        msgbus.deregister(endpoint="DataEngine.process", handler=engine.process)
        msgbus.register(endpoint="DataEngine.process", handler=gate)

    def _hand_on_if_live(self) -> None:
        """A live bar that continues the stream goes through at once; anything else waits."""
        if self.state == "live" and self._handoff.missing(self._due_ms()) is None:
            self._hand_on()

    def _due_ms(self) -> int:
        return self.client.now_ms() - (_GRACE_MS if self.state == "live" else 0)

    async def _keep_contiguous(self) -> None:
        """Fill what is missing, hand on what is complete, for as long as the node runs."""
        started_at = asyncio.get_running_loop().time()
        failures = 0
        while True:
            self._wake.clear()
            span = self._handoff.missing(self._due_ms())
            if span is not None:
                failures = 0 if await self._fill(span) else failures + 1
                if failures:
                    await self._await_wake(min(_MOST_RETRY_S, _RETRY_S * 2 ** (failures - 1)))
                continue
            failures = 0
            if self._streaming:
                await self._learn_bounds()
                await self._drain_engine()
                self._hand_on()
                if self.state != "live" and not self._go_live():
                    self._enter("degraded", self._why_not())
            else:  # the newest bar is kept, for the strategy to act on once orders may leave
                waited_s = asyncio.get_running_loop().time() - started_at
                if waited_s > self.settings.connect_timeout_s:
                    raise TraderError(
                        f"nothing came by the websocket within {waited_s:.0f} s: check api.ws_url"
                    )
            await self._await_wake(self._until_due_s())

    async def _await_wake(self, most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._wake.wait()

    async def _keep_clock(self) -> None:
        """Hold our idea of the exchange's clock against it now and then, beside all else."""
        while True:
            await asyncio.sleep(_CLOCK_SYNC_S)
            with contextlib.suppress(WarmupError):
                await self.client.sync_clock()

    def _until_due_s(self) -> float:
        """Until the next bar that does not come would be missing: never a moment too early."""
        now_ms = self.client.now_ms()
        due_ms = next_due_ms(self.history.interval, now_ms, _GRACE_MS)
        return min((due_ms - now_ms) / 1000 + 0.01, _CLOCK_SYNC_S)

    async def _drain_engine(self) -> None:
        """Bars that were handed to the engine's queue before must arrive before history does."""
        if self.node is not None:
            while self.node.kernel.data_engine.data_qsize():
                await asyncio.sleep(0)

    async def _fill(self, span: Span) -> bool:
        """Fetch what is missing; True when it came or the venue was found not to have it."""
        interval = self.history.interval
        if self.state == "live":
            logger.warning("a gap in the live stream from {}", utc_text(span.first_ms))
            self._polled += interval.count(*span)
        if self.state != "degraded":
            self._enter("filling", f"{interval.count(*span)} bar(s) from {utc_text(span.first_ms)}")
        self._set_trading(TradingState.HALTED)
        try:
            self.client.extend_deadline(_FILL_DEADLINE_MS)
            last_ms = interval.last_closed(self.client.now_ms())
            klines = await fetch_range(self.client, self._stream(), span.first_ms, last_ms)
            for kline, bar in zip(klines, self._to_bars(klines), strict=True):
                self._handoff.offer(kline.open_ms, bar)
            if klines:
                logger.info("filled {} bar(s) from {}", len(klines), utc_text(span.first_ms))
            still = self._handoff.missing(self._due_ms())
            if still is None or still.first_ms != span.first_ms:
                return True
            later = any(kline.open_ms > still.last_ms for kline in klines)
            if not later or self._suspect != still:
                self._suspect = still  # asked for once more before it is believed
                return False
            await self._pass_over(still)
        except WarmupError as error:
            self._enter("degraded", f"a gap cannot be filled yet: {error}")
            return False
        return True

    async def _pass_over(self, hole: Span) -> None:
        """The venue itself has no bars there, though it has later ones."""
        if self.handed_on == 0:  # the window's very beginning: perhaps nothing was before it
            stream = self._stream()
            first_ms = await self.client.first_open_ms(stream.symbol, stream.interval)
            self._from_listing = first_ms is not None and first_ms > hole.first_ms
            if self.history.proof is not None:
                self.history.proof.from_listing = self._from_listing
        logger.warning(
            "the venue itself has no bars from {} to {}: passed over",
            utc_text(hole.first_ms), utc_text(hole.last_ms),
        )  # fmt: skip
        self._handoff.pass_over(hole)

    def _stream(self) -> Stream:
        symbol = venue_symbol(str(self.history.bar_type.instrument_id))
        return Stream(symbol, self.history.interval)

    def _to_bars(self, klines: list[Kline]) -> list[Bar]:
        instrument = self.history.instrument
        if instrument is None and self.node is not None:
            instrument = self.node.cache.instrument(self.history.bar_type.instrument_id)
        if instrument is None:
            raise TraderError(f"the node has no instrument {self.history.bar_type.instrument_id}")
        return instrument_bars(klines, instrument, self.history.interval)

    def _hand_on(self) -> None:
        if self.node is None:
            return
        release = self._handoff.release(self.client.now_ms())
        for bar in release.history:
            self.node.kernel.cache.add_bar(bar)
            self.strategy.handle_historical_bar(bar)
            self._carry(bar)
        self.handed_on += len(release.history)
        if release.newest is not None:
            self.handed_on += 1
            self.on_bars += 1
            self._carry(release.newest)
            if self.state != "live":
                self._go_live()  # before the bar, so that the strategy may act on it
            elif why := self._unproven():
                self._set_trading(TradingState.HALTED)
                self._enter("degraded", why)
            open_ms = open_ms_of(release.newest, self.history.interval)
            live = open_ms == self._streamed_ms
            self.live_bars += live
            source = "live" if live else "asked for"
            logger.info("bar {} closed at {} ({})", utc_text(open_ms), release.newest.close, source)
            self.node.kernel.data_engine.process(release.newest)

    # -- halting -----------------------------------------------------------------------------------

    def _why_not(self) -> str:
        """Why orders may not leave yet; empty: they may."""
        if not self._streaming:
            return "nothing comes by the websocket yet"
        if self._polled >= _MOST_POLLED:
            return f"the last {self._polled} bars did not come by the websocket"
        enough = self._from_listing or self.handed_on >= self.history.wanted
        if not self.handed_on or not enough:
            return f"{self.handed_on} of {self.history.wanted} bars so far"
        if why := self._unproven():
            return why
        # What a strategy says of itself, if it says anything.
        return "" if getattr(self.strategy, "is_warm", True) else "the strategy is still cold"

    def _carry(self, bar: Bar) -> None:
        if self.history.proof is not None:
            exact = detector_bar(bar)
            self.history.proof.update(exact.high, exact.low, exact.close)

    def _unproven(self) -> str:
        """Why the strategy cannot be shown to be warm; empty: it can, or need not be."""
        if self.history.proof is None:
            return ""
        certificate = self.history.proof.certificate()
        if certificate is None:
            return "nothing is proven: the lowest and highest price ever are not known yet"
        if certificate.proven:
            return ""
        regimes = " or ".join(regime.value for regime in certificate.possible)
        return f"after {certificate.bars} bars the regime may be {regimes}: not proven"

    async def _learn_bounds(self) -> None:
        """After a cold start: what nothing can be proven without."""
        proof = self.history.proof
        if proof is None or proof.bounds is not None:
            return
        try:
            low, high = await fetch_extremes(self.client, self._stream())
        except WarmupError as error:
            logger.warning("the lowest and highest price ever could not be had yet: {}", error)
        else:
            proof.bounds = Bounds(float(low), float(high))

    def _go_live(self) -> bool:
        """Let orders through, if nothing speaks against it."""
        if self._why_not():
            return False
        self._set_trading(TradingState.ACTIVE)
        self._enter("live", f"contiguous to {utc_text(self._handoff.cursor_ms)}")
        return True

    def _set_trading(self, state: TradingState) -> None:
        if self.node is not None and self.node.kernel.risk_engine.trading_state != state:
            self.node.kernel.risk_engine.set_trading_state(state)

    def _enter(self, state: State, why: str) -> None:
        if state != self.state:
            self.state = state
            log = logger.warning if state == "degraded" else logger.info
            log("{}: {}", state, why)
            self.on_state(state, why)


class PaperRunner(BaseRunner):
    """Real market data, sandbox execution: fills come from the quotes that arrive."""

    def _add_execution(self, node: TradingNode) -> None:
        node.add_exec_client_factory(VENUE, SandboxLiveExecClientFactory)

    def _execution_configs(self) -> dict[str, object]:
        margin = self.settings.market == "um"
        return {
            VENUE: SandboxExecutionClientConfig(
                venue=VENUE,
                oms_type="HEDGING",
                account_type="MARGIN" if margin else "CASH",
                starting_balances=list(self.settings.starting_balances),
                default_leverage=Decimal(self.settings.leverage if margin else 1),
                bar_execution=False,
                trade_execution=False,
                # The sandbox would resize every reduce-only order to the whole position at each
                # fill; on Binance, hedge mode knows no reduce-only either.
                use_reduce_only=False,
            )
        }


_ENVIRONMENTS: dict[Environment, BinanceEnvironment] = {
    "production": BinanceEnvironment.LIVE,
    "testnet": BinanceEnvironment.TESTNET,
    "demo": BinanceEnvironment.DEMO,
}
