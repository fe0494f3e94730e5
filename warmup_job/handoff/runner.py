"""The runners: a Nautilus node that goes live with what the warm-up left, and only then trades."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from loguru import logger
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.messages import ShutdownSystem, TradingStateChanged
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.endpoints import account_ws_url
from warmup_job.catalog.names import VENUE
from warmup_job.errors import TraderError, WarmupError
from warmup_job.handoff import saved_state as saved
from warmup_job.handoff.bar_stream import History
from warmup_job.handoff.bar_streams import BarStreams, Delivery
from warmup_job.handoff.declared_indicators import differences
from warmup_job.handoff.exchange_info import ExecClientFactory
from warmup_job.handoff.node import (
    NodeSettings,
    account_type,
    environment,
    make_node,
    provider,
    proxy_url,
)
from warmup_job.handoff.open_orders import cancel_orders, has_orders_under_way, open_orders
from warmup_job.handoff.quotes import Quotes
from warmup_job.handoff.report import Report, State, StreamReport, now_ms, process_started_ms
from warmup_job.handoff.state_dir import StateDir
from warmup_job.handoff.websocket import Reminder, Websockets, kline_stream, quote_stream
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import utc_text
from warmup_job.modes import Orders

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_CLOCK_SYNC_S = 600.0
_LOOK_S = 0.5  # how often the node is looked at, whether it lives
_REPORT_S = 5.0
_SILENCE_LOG_S = 15.0
_CANCEL_AGAIN_S = 0.05
_CANCEL_S = 3.0  # how long cancels may take on the way out
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class TradingPolicy:
    """What a trader demands and does beside trading."""

    on_stop: Orders = "cancel_entries"
    on_gap: Orders = "cancel_entries"
    proven: bool = False
    """Whether bars that nobody has warmed, but a strategy follows, keep trading halted."""
    state_dir: StateDir | None = None
    """Where strategies keep what they save; None: nowhere."""
    silence_s: float = 10.0
    """How long a websocket stream may say nothing before trading halts."""
    delivery: Delivery = field(default_factory=Delivery)


type Load = Callable[[], Awaitable[list[History]]]


class BaseRunner(ABC):
    """Owns one node and its strategies: warm them, gate their bars, run them, stop them.

    Trading is halted (Nautilus denies every order of every strategy) until each stream that they
    follow has had every closed bar and as many as the policy demands; and again whenever a gap
    opens that cannot be filled.
    """

    mode = ""

    def __init__(
        self,
        settings: NodeSettings,
        strategies: Sequence[Strategy],
        histories: Sequence[History],
        client: BinanceClient,
        policy: TradingPolicy | None = None,
        instrument_ids: Iterable[InstrumentId] = (),
    ) -> None:
        self.settings = settings
        self.strategies = tuple(strategies)
        self.client = client
        self.policy = policy or TradingPolicy()
        self.instrument_ids = frozenset(instrument_ids) | {
            history.bar_type.instrument_id for history in histories
        }
        self.state: State = "starting"
        self.why = ""
        self.last_reason = ""
        """The state that it was in before it stopped, and why."""
        self.on_report: Callable[[Report], object] = lambda _: None
        """Told at every change of state, and every few seconds."""
        self.node: TradingNode | None = None
        self.signalled = False
        """Whether SIGTERM or SIGINT asked it to stop."""
        self._started_warm: bool | None = None
        self._started_ms = process_started_ms()
        self._since_ms = now_ms()
        self._live_after_s: float | None = None
        self._failed: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._was_silent = False
        self._silence = Reminder(_SILENCE_LOG_S)
        self._clock_doubt = asyncio.Event()
        self.websockets = Websockets(self.policy.silence_s, client.now_ms, self._on_websocket)
        self.streams = BarStreams(
            self.strategies, client, self.policy.delivery, changed=self._judge,
            on_newest=self._save, is_heard=self._is_heard, watch=self._watched, fail=self._fail,
        )  # fmt: skip
        self.streams.take(histories)

    # -- what a mode decides -----------------------------------------------------------------------

    @abstractmethod
    def _add_execution(self, node: TradingNode) -> None:
        """Register the execution client's factory, and what else the mode needs."""

    @abstractmethod
    def _execution_configs(self) -> dict[str, object]:
        """The execution clients' configurations, by venue."""

    # -- life --------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, load: Load | None = None) -> None:
        """Build, warm, go live, and trade until ``stop`` is set.

        Args:
            load: brings the histories, while the node connects; None: they were given.

        Raises:
            TraderError: the node did not come up, or ended by itself, or a strategy failed.
            WarmupError: as ``load`` says.
        """
        loop = asyncio.get_running_loop()
        failed = self._failed = loop.create_future()
        node = self.node = self._build(loop)
        for sig in (signal.SIGTERM, signal.SIGINT):  # the node took them; its way out is not ours
            loop.add_signal_handler(sig, self._on_signal, stop)
        node_task = asyncio.create_task(node.run_async(), name="node")
        stop_task = asyncio.create_task(stop.wait(), name="stop")
        self._watched(self._begin(load), "begin")
        try:
            await asyncio.wait({node_task, stop_task, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            if not stop_task.done():
                error = node_task.exception()
                said = f"{error!r}; " if error else ""
                raise TraderError(f"the node stopped by itself: {said}its log above says why")
        finally:
            self.enter("stopping", "asked to" if stop.is_set() else "cannot go on")
            self.streams.stop()
            for task in (*self._tasks, stop_task):
                task.cancel()
            failed.cancel()
            await self._shut_down(node, node_task)

    async def _begin(self, load: Load | None) -> None:
        """What has to be there before anything is live: the node's start, and the histories."""
        started = asyncio.create_task(self._until_started(), name="started")
        waiting: set[asyncio.Task[None]] = {started}
        if load is not None:
            waiting.add(asyncio.create_task(self._load(load), name="load"))
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()
        self._announce_trading_state()
        self._warmup_strategy()
        self._watched(self._watch_node(), "watch")
        self._watched(self._keep_clock(), "clock")
        self._watched(self._keep_reporting(), "report")

    async def _load(self, load: Load) -> None:
        self.streams.take(await load())

    def _on_signal(self, stop: asyncio.Event) -> None:
        self.signalled = True
        stop.set()

    def _build(self, loop: asyncio.AbstractEventLoop) -> TradingNode:
        node = make_node(
            self.settings,
            self.instrument_ids,
            self._execution_configs(),
            reconcile=self.mode == "live",
            loop=loop,
            data_factory=self.websockets.factory(),
        )
        self._add_execution(node)
        node.trader.add_actor(Quotes(sorted(self.instrument_ids)))
        for strategy in self.strategies:
            node.trader.add_strategy(strategy)
        node.build()
        for strategy in self.strategies:
            if self.policy.state_dir is not None:
                saved.load(self.policy.state_dir, strategy)
        node.kernel.risk_engine.set_trading_state(TradingState.HALTED)
        self.streams.attach(node, loop)
        # Nautilus would leave at once, its orders open; our way out is the ordered one.
        kernel = node.kernel
        kernel.msgbus.unsubscribe("commands.system.shutdown", kernel._on_shutdown_system)
        kernel.msgbus.subscribe("commands.system.shutdown", self._on_shutdown_asked)
        return node

    async def _until_started(self) -> None:
        """A node can say RUNNING over a trader that never started: believe the strategies only."""
        timeout_s = self.settings.connect_timeout_s + 5
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not all(strategy.is_running for strategy in self.strategies):
            if asyncio.get_running_loop().time() > deadline:
                raise TraderError(
                    f"the trader did not start within {timeout_s:.0f} s: is the exchange up, and "
                    "does every strategy start? Nautilus' log above may say why"
                )
            if any(strategy.is_stopped for strategy in self.strategies):
                raise TraderError("a strategy stopped as it started; its log above says why")
            await asyncio.sleep(0.005)

    def _announce_trading_state(self) -> None:
        """Tell strategies, who subscribed only when they started, that trading is halted."""
        if self.node is None:
            return
        now_ns = self.node.kernel.clock.timestamp_ns()
        state = self.node.kernel.risk_engine.trading_state
        event = TradingStateChanged(self.node.trader_id, state, {}, UUID4(), now_ns, now_ns)
        self.node.kernel.msgbus.publish("events.risk", event)

    async def _shut_down(self, node: TradingNode, node_task: asyncio.Task[None]) -> None:
        """Orders by policy, state to disk, then the node: each for a bounded time.

        What a strategy closes on its way out may leave; nothing that opens a position.
        """
        self._set_trading(TradingState.REDUCING)
        policy = self.policy.on_stop
        self._cancel(policy)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_S):
                while not node_task.done() and (
                    has_orders_under_way(node.cache, self.strategies)
                    or open_orders(node.cache, self.strategies, policy)
                ):
                    await asyncio.sleep(_CANCEL_AGAIN_S)
                    cancel_orders(node.cache, self.strategies, policy)
        self._save()
        if not node.trader.is_running:
            node_task.cancel()  # it may wait for the exchange for long
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await node.stop_async()
                await asyncio.wait({node_task})
        self.on_report(self.report())

    # -- watching ----------------------------------------------------------------------------------

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure ends the run."""
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.remove(ended)
            error = None if ended.cancelled() else ended.exception()
            if error is not None:
                self._fail(error)

        task.add_done_callback(done)
        return task

    def _fail(self, error: BaseException) -> None:
        """End the run; until it has ended nothing more is delivered and no order leaves."""
        self.streams.stop()
        if self.state != "stopping":  # there exits may leave
            self._set_trading(TradingState.HALTED)
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _on_shutdown_asked(self, command: ShutdownSystem) -> None:
        self._fail(TraderError(f"Nautilus has to end: {command.reason}; its log above says why"))

    async def _watch_node(self) -> None:
        """A trader that is not running behind a node that says so ends the process."""
        node, loop = self.node, asyncio.get_running_loop()
        started_at = loop.time()
        while node is not None:
            await asyncio.sleep(_LOOK_S)
            for feed in self.streams.kept:
                if feed.is_late():
                    feed.wake()
            if not node.trader.is_running or not any(s.is_running for s in self.strategies):
                raise TraderError("the trader is not running any more; its log above says why")
            self._look_at_websockets()
            if self.state == "degraded":  # what was on its way may have been accepted since
                self._cancel(self.policy.on_gap)
            waited_s = loop.time() - started_at
            if not self.websockets.heard.ever and waited_s > self.settings.connect_timeout_s:
                raise TraderError(
                    f"nothing came by the websocket within {waited_s:.0f} s: check api.ws_url"
                )

    def _look_at_websockets(self) -> None:
        self.websockets.look()
        silent = self.websockets.first_silent(self._expected())
        if self._was_silent != bool(silent):
            self._was_silent = bool(silent)
            self._judge()
        if self._silence.is_due(silent and silent[1]) and silent:
            self._clock_doubt.set()  # events count as old if the exchange's clock was set back
            logger.warning("{}: no websocket message for {:.0f} s", *silent)

    def _on_websocket(self) -> None:
        """A stream was heard for the first time on its connection, or a connection was lost."""
        try:
            if self._is_heard() and not self.streams.opened:
                self.streams.advance()
            self._judge()
        except Exception as error:  # noqa: BLE001 - Nautilus' client would only log it
            self._fail(error)

    def _expected(self) -> list[str]:
        """The websocket streams without which the trader is not live."""
        klines = [
            kline_stream(feed.stream.symbol, feed.history.interval) for feed in self.streams.kept
        ]
        return klines + [quote_stream(venue_symbol(str(each))) for each in self.instrument_ids]

    def _is_heard(self) -> bool:
        return not self.websockets.unheard(self._expected())

    async def _keep_clock(self) -> None:
        """Hold our idea of the exchange's clock against it now and then, beside all else."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOCK_SYNC_S):
                    await self._clock_doubt.wait()
            self._clock_doubt.clear()
            with contextlib.suppress(WarmupError):
                await self.client.sync_clock()

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            self.on_report(self.report())

    # -- warm-up -----------------------------------------------------------------------------------

    def _warmup_strategy(self) -> None:
        """Give every strategy the history of what it follows, all but the newest bars: those go to
        on_bar, once orders may leave.
        """
        bars = sum(len(feed.history.bars) for feed in self.streams.feeds.values())
        cold = [feed for feed in self.streams.feeds.values() if not feed.history.bars]
        if bars:
            self.enter("warming", f"{bars} bars of history")
        for feed in cold:
            logger.warning(
                "COLD START of {}: no history; it is asked for while the node runs, and no order "
                "leaves before {} bars are in", feed.name, feed.history.wanted,
            )  # fmt: skip
        self.streams.warm_up()
        registered = [each for s in self.strategies for each in s.registered_indicators]
        declared = {each for feed in self.streams.feeds.values() for each in feed.history.declared}
        for line in differences(sorted(declared), registered):
            logger.warning(line)

    # -- halting -----------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Let orders through if nothing speaks against it, and only then."""
        if self.state == "stopping" or not self.streams.warmed:
            return
        if self.streams.opened and self._started_warm is None:
            self._started_warm = self._is_warm()
        why = self._why_not()
        if not why:
            closes_ms = [
                feed.history.interval.close_ms(feed.handoff.cursor_ms) for feed in self.streams.kept
            ]
            self._set_trading(TradingState.ACTIVE)
            self.enter("live", f"contiguous to {utc_text(max(closes_ms))}")
            return
        self._set_trading(TradingState.HALTED)
        phases = {feed.phase for feed in self.streams.kept}
        silent = self.websockets.first_silent(self._expected()) is not None
        opening = not self.streams.live and self.streams.is_delivering()
        passing = opening or not self._is_heard() or phases & {"filling", "waiting"}
        if "stuck" in phases or silent or self.state == "degraded" or not passing:
            self.enter("degraded", why)
        else:
            self.enter("filling", why)

    def _why_not(self) -> str:
        """Why orders may not leave yet; empty: they may."""
        if not self.streams.kept:
            built = ", ".join(map(str, self.streams.tick_built[:3]))
            also = f", only to what Nautilus builds itself: {built}" if built else ""
            return f"no strategy has subscribed to bars of the venue's yet{also}"
        if behind := [feed for feed in self.streams.kept if feed.phase != "contiguous"]:
            return f"{behind[0].name}: {behind[0].why_not()}"
        if why := self._why_not_heard():
            return why
        if self.streams.is_introducing() or (
            not self.streams.live and self.streams.is_delivering()
        ):
            return "bars are still to be delivered"
        for feed in self.streams.kept:
            if why := feed.why_not():
                return f"{feed.name}: {why}"
        if self.streams.unwarmed and self.policy.proven:
            return f"{self.streams.unwarmed[0]} is followed, but nobody has warmed it"
        if cold := self.streams.cold():
            return cold[0]
        # What a strategy says of itself, if it says anything.
        cold_ids = [s.id for s in self.strategies if not getattr(s, "is_warm", True)]
        return f"{cold_ids[0]} is still cold" if cold_ids else ""

    def _why_not_heard(self) -> str:
        expected = self._expected()
        if unheard := self.websockets.unheard(expected):
            return f"nothing has come by the websocket yet of {', '.join(unheard[:3])}"
        silent = self.websockets.first_silent(expected)
        return f"{silent[0]}: no websocket message for {silent[1]:.0f} s" if silent else ""

    def _set_trading(self, state: TradingState) -> None:
        if self.node is not None and self.node.kernel.risk_engine.trading_state != state:
            self.node.kernel.risk_engine.set_trading_state(state)

    def enter(self, state: State, why: str) -> None:
        """Be in another state, and say so."""
        if state != "stopping":
            self.last_reason = f"{state}: {why}"
        self.why = why
        if state == self.state:
            return
        self.state, self._since_ms = state, now_ms()
        self.streams.live = state == "live"
        if state == "live" and self._live_after_s is None:
            self._live_after_s = (self._since_ms - self._started_ms) / 1000
        log = logger.warning if state == "degraded" else logger.info
        log("{}: {}", state, why)
        if state == "degraded":
            self._cancel(self.policy.on_gap)
        self.on_report(self.report())

    def _cancel(self, policy: Orders) -> None:
        if self.node is not None:
            asked = cancel_orders(self.node.cache, self.strategies, policy)
            if asked:
                logger.warning("{} open order(s) are cancelled ({})", asked, policy)

    def _save(self) -> None:
        if self.policy.state_dir is not None:
            for strategy in self.strategies:
                saved.save(self.policy.state_dir, strategy)

    # -- what it says of itself --------------------------------------------------------------------

    def _is_warm(self) -> bool:
        """Whether every strategy has received what it needs."""
        return (
            all(getattr(strategy, "is_warm", True) for strategy in self.strategies)
            and all(feed.history.bars for feed in self.streams.feeds.values())
            and not any(feed.why_not() for feed in self.streams.kept)
            and not self.streams.cold()
            and not self.streams.tick_built
        )

    @property
    def started_warm(self) -> bool:
        """Whether the history alone was enough for every strategy, as it was received."""
        return bool(self._started_warm)

    @property
    def history_bars(self) -> int:
        """How many bars there were to start from."""
        return sum(len(feed.history.bars) for feed in self.streams.feeds.values())

    @property
    def handed_on(self) -> int:
        """How many bars strategies have had, history included."""
        return sum(feed.counts.all for feed in self.streams.feeds.values())

    @property
    def on_bars(self) -> int:
        """How many of them went to on_bar: the newest ones."""
        return sum(feed.counts.to_on_bar for feed in self.streams.feeds.values())

    @property
    def live_bars(self) -> int:
        """How many of them came by the live stream."""
        return sum(feed.counts.live for feed in self.streams.feeds.values())

    def report(self) -> Report:
        """How things are now."""
        active, orders, positions = False, 0, 0
        if self.node is not None:
            cache = self.node.kernel.cache
            active = self.node.kernel.risk_engine.trading_state == TradingState.ACTIVE
            orders, positions = cache.orders_open_count(), cache.positions_open_count()
        return Report(
            state=self.state,
            why=self.why,
            mode=self.mode,
            at_ms=now_ms(),
            since_ms=self._since_ms,
            started_ms=self._started_ms,
            live_after_s=self._live_after_s,
            trading=active,
            orders_open=orders,
            positions_open=positions,
            streams=tuple(
                StreamReport(
                    bar_type=str(feed.bar_type),
                    phase=feed.phase,
                    contiguous_to_ms=feed.history.interval.close_ms(feed.handoff.cursor_ms),
                    history_bars=feed.counts.history,
                    filled_bars=feed.counts.filled,
                    live_bars=feed.counts.live,
                    silent_ms=self.websockets.silent_ms(
                        kline_stream(feed.stream.symbol, feed.history.interval)
                    ),
                    why_not=feed.why_not(),
                )
                for feed in self.streams.feeds.values()
            ),
        )


class PaperRunner(BaseRunner):
    """Real market data, sandbox execution: fills come from the quotes that arrive."""

    mode = "paper"

    def _add_execution(self, node: TradingNode) -> None:
        node.add_exec_client_factory(VENUE, SandboxLiveExecClientFactory)
        self.streams.fits_quotes = True

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


class LiveRunner(BaseRunner):
    """Real orders, by Binance's own account; what that demands is looked at before: `demands`.

    The leverage is set at the start. The margin type is not: Nautilus' client does not come up when
    it is told to set one that is set already.
    """

    mode = "live"

    def _add_execution(self, node: TradingNode) -> None:
        node.add_exec_client_factory(VENUE, ExecClientFactory)

    def _execution_configs(self) -> dict[str, object]:
        settings = self.settings
        futures = settings.market == "um"
        symbols = [BinanceSymbol(venue_symbol(str(each))) for each in sorted(self.instrument_ids)]
        return {
            VENUE: BinanceExecClientConfig(
                api_key=settings.api_key,
                api_secret=settings.api_secret,
                account_type=account_type(settings),
                environment=environment(settings),
                base_url_http=settings.rest_url,
                base_url_ws=account_ws_url(settings.ws_url),
                base_url_ws_stream=settings.ws_url,
                proxy_url=proxy_url(settings),
                instrument_provider=provider(self.instrument_ids),
                # Hedge mode knows no reduce-only: which side an order closes is in its position.
                use_reduce_only=not futures,
                futures_leverages=dict.fromkeys(symbols, settings.leverage) if futures else None,
            )
        }
