"""The runners: a Nautilus node that goes live with what the warm-up left, and only then trades."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.binance.factories import BinanceLiveExecClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.messages import ShutdownSystem, TradingStateChanged
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import RequestBars
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import RefusedError, TraderError, WarmupError
from warmup_job.market.moment import utc_text
from warmup_job.market.symbol import venue_symbol
from warmup_job.nautilus.bars import interval_of, open_ms_of
from warmup_job.nautilus.names import VENUE
from warmup_job.trading import saved
from warmup_job.trading.declared import differences
from warmup_job.trading.feed import Feed, History
from warmup_job.trading.gate import Gate, answer, install
from warmup_job.trading.handoff import Release
from warmup_job.trading.hedge_grid import detector_bar
from warmup_job.trading.node import NodeSettings, account_type, environment, make_node, provider
from warmup_job.trading.quotes import Quotes
from warmup_job.trading.report import Report, State, StreamReport, now_ms, process_started_ms

if TYPE_CHECKING:
    from warmup_job.exchange.client import BinanceClient

_CLOCK_SYNC_S = 600.0
_LOOK_S = 0.5  # how often the node is looked at, whether it lives
_REPORT_S = 5.0
_CANCEL_S = 3.0  # how long cancels may take on the way out
_STOP_S = 10.0

Orders = Literal["keep", "cancel_entries", "cancel_all"]
"""What becomes of open orders; entries are those that are not reduce-only."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a trader demands and does beside trading."""

    on_stop: Orders = "cancel_entries"
    on_gap: Orders = "cancel_entries"
    proven: bool = False
    """Whether bars that nobody has warmed, but a strategy follows, keep trading halted."""
    state_dir: Path | None = None
    """Where strategies keep what they save; None: nowhere."""


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
        policy: Policy | None = None,
        instrument_ids: Iterable[InstrumentId] = (),
    ) -> None:
        self.settings = settings
        self.strategies = tuple(strategies)
        self.client = client
        self.policy = policy or Policy()
        self.instrument_ids = frozenset(instrument_ids) | {
            history.bar_type.instrument_id for history in histories
        }
        self.state: State = "starting"
        self.why = ""
        self.on_report: Callable[[Report], object] = lambda _: None
        """Told at every change of state, and every few seconds."""
        self.node: TradingNode | None = None
        self.signalled = False
        """Whether SIGTERM or SIGINT asked it to stop."""
        self.started_warm = False
        """Whether the history alone was enough for every strategy."""
        self._started_ms = process_started_ms()
        self._since_ms = now_ms()
        self._live_after_s: float | None = None
        self._streaming = asyncio.Event()
        self._feeds: dict[BarType, Feed] = {}
        self._subscribed: dict[BarType, None] = {}
        self._keepers: dict[Feed, asyncio.Task[None]] = {}
        self._following: set[tuple[object, BarType]] = set()
        self._given_to_ms: dict[tuple[object, BarType], int] = {}
        self._unwarmed: list[BarType] = []
        self._early: list[Bar | RequestBars] = []  # until the histories are there
        self._warmed = False
        self._failed: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take(histories)

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
        loop = self._loop = asyncio.get_running_loop()
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
            for task in (*self._tasks, *self._keepers.values(), stop_task):
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
        self._take(await load())

    def _take(self, histories: Sequence[History]) -> None:
        self._feeds = {history.bar_type: self._feed(history) for history in histories}

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
        )
        self._add_execution(node)
        for strategy in self.strategies:
            node.trader.add_strategy(strategy)
        node.build()
        for strategy in self.strategies:
            if self.policy.state_dir is not None:
                saved.load(self.policy.state_dir, strategy)
        node.kernel.risk_engine.set_trading_state(TradingState.HALTED)
        gate = Gate(
            self._on_bar, self._on_other, self._on_subscribed, self._on_unsubscribed,
            self._on_request,
        )  # fmt: skip
        install(gate, node)
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
        self._cancel(self.policy.on_stop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_S):
                while not node_task.done() and self._open_orders(self.policy.on_stop):
                    await asyncio.sleep(0.02)
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
            error = None if ended.cancelled() else ended.exception()
            if error is not None:
                self._fail(error)

        task.add_done_callback(done)
        return task

    def _fail(self, error: BaseException) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _soon(self, work: Callable[..., object], *arguments: object) -> None:
        """Do it on the loop, where its failure ends the run.

        A strategy's timers call from a thread of Nautilus' own, where no loop runs.
        """

        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:  # noqa: BLE001 - a callback's error would only be logged
                self._fail(error)

        if self._loop is not None and self.state != "stopping":
            self._loop.call_soon_threadsafe(guarded)

    def _on_shutdown_asked(self, command: ShutdownSystem) -> None:
        self._fail(TraderError(f"Nautilus has to end: {command.reason}; its log above says why"))

    async def _watch_node(self) -> None:
        """A trader that is not running behind a node that says so ends the process."""
        node, loop = self.node, asyncio.get_running_loop()
        started_at = loop.time()
        while node is not None:
            await asyncio.sleep(_LOOK_S)
            if not node.trader.is_running or not any(s.is_running for s in self.strategies):
                raise TraderError("the trader is not running any more; its log above says why")
            waited_s = loop.time() - started_at
            if not self._streaming.is_set() and waited_s > self.settings.connect_timeout_s:
                raise TraderError(
                    f"nothing came by the websocket within {waited_s:.0f} s: check api.ws_url"
                )

    async def _keep_clock(self) -> None:
        """Hold our idea of the exchange's clock against it now and then, beside all else."""
        while True:
            await asyncio.sleep(_CLOCK_SYNC_S)
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
        bars = sum(len(feed.history.bars) for feed in self._feeds.values())
        cold = [feed for feed in self._feeds.values() if not feed.history.bars]
        if bars:
            self.enter("warming", f"{bars} bars of history")
        for feed in cold:
            logger.warning(
                "COLD START of {}: no history; it is asked for while the node runs, and no order "
                "leaves before {} bars are in", feed.name, feed.history.wanted,
            )  # fmt: skip
        for feed in self._feeds.values():
            self._into_cache(feed.history)
        self._warmed = True
        for bar_type in self._subscribed:
            self._follow(bar_type)
        early, self._early = self._early, []
        for each in early:
            if isinstance(each, Bar):
                self._on_bar(each)
            elif not self._on_request(each) and self.node is not None:
                self.node.kernel.data_engine.request(each)
        warm = all(getattr(strategy, "is_warm", True) for strategy in self.strategies)
        self.started_warm = warm and bool(self._feeds) and not cold
        registered = [each for s in self.strategies for each in s.registered_indicators]
        declared = {each for feed in self._feeds.values() for each in feed.history.declared}
        for line in differences(sorted(declared), registered):
            logger.warning(line)

    def _into_cache(self, history: History) -> None:
        if self.node is not None:
            cache = self.node.kernel.cache
            if history.instrument is not None and cache.instrument(history.instrument.id) is None:
                cache.add_instrument(history.instrument)
            cache.add_bars(list(history.bars[:-1]))

    def _on_subscribed(self, bar_type: BarType) -> None:
        source = _source_of(bar_type)
        if source is None:
            return
        if bar_type.is_composite():
            logger.warning(
                "{} is added up by Nautilus from what arrives: it has no history, and nothing that "
                "is missed; follow the venue's own bars where there are any", bar_type,
            )  # fmt: skip
        self._subscribed[source] = None
        if self._warmed:
            self._soon(self._follow, source)

    def _on_unsubscribed(self, bar_type: BarType) -> None:
        source = _source_of(bar_type)
        if source is not None:
            self._soon(self._let_go, source)

    def _follow(self, bar_type: BarType) -> None:
        """Keep a stream that somebody has subscribed to; whoever is new to it gets its history."""
        feed = self._feeds.get(bar_type) or self._unplanned(bar_type)
        if feed is None or self.state == "stopping":
            return
        for actor in self._followers(bar_type):
            self._give_history(feed, actor)
        if feed not in self._keepers:
            self._keepers[feed] = self._watched(feed.keep(), feed.name)

    def _let_go(self, bar_type: BarType) -> None:
        """A stream that nobody follows any more brings nothing, and is not waited for."""
        feed = self._feeds.get(bar_type)
        if feed is None or self.node is None or self.state == "stopping":
            return
        keys = {(actor.id, bar_type) for actor in self._followers(bar_type)}
        for key in [each for each in self._following if each[1] == bar_type and each not in keys]:
            self._following.discard(key)
            self._given_to_ms[key] = feed.handoff.cursor_ms
        if not self.node.kernel.msgbus.has_subscribers(f"data.bars.{bar_type}"):
            self._subscribed.pop(bar_type, None)
            keeper = self._keepers.pop(feed, None)
            if keeper is not None:
                keeper.cancel()
                feed.phase = "waiting"
                logger.info("{}: nobody follows it any more", feed.name)
                self._judge()

    def _unplanned(self, bar_type: BarType) -> Feed | None:
        """A stream that the configuration does not know: kept contiguous from now on."""
        try:
            interval = interval_of(bar_type)
        except RefusedError:
            return None  # not klines
        self._unwarmed.append(bar_type)
        logger.warning(
            "{} is followed, but nobody has warmed it: name it in warmup.streams", bar_type
        )
        feed = self._feeds[bar_type] = self._feed(History(bar_type, interval, [], wanted=0))
        return feed

    def _followers(self, bar_type: BarType) -> list[Actor]:
        if self.node is None:
            return []
        msgbus, topic = self.node.kernel.msgbus, f"data.bars.{bar_type}"
        actors = [*self.strategies, *self.node.trader.actors()]
        return [actor for actor in actors if msgbus.is_subscribed(topic, actor.handle_bar)]

    def _give_history(self, feed: Feed, actor: Actor) -> int:
        """All that the stream had so far and the actor has not; returns how many bars that were.

        Who follows the stream has had all of it, and gets the rest as it comes.
        """
        if self.node is None or (actor.id, feed.bar_type) in self._following:
            return 0
        key, interval = (actor.id, feed.bar_type), feed.history.interval
        bars: Sequence[Bar] = feed.history.bars[:-1]
        if feed.counts.all > feed.counts.history:  # it has moved on
            bars = self.node.kernel.cache.bars(feed.bar_type)[::-1]
        if key in self._given_to_ms:
            known_ms = self._given_to_ms[key]
            bars = [bar for bar in bars if open_ms_of(bar, interval) > known_ms]
        if bars:
            self._given_to_ms[key] = open_ms_of(bars[-1], interval)
        if actor in self._followers(feed.bar_type):
            self._following.add(key)
        warmup = getattr(actor, "warmup_regime_detector", None)
        its_own = getattr(actor.config, "bar_type", feed.bar_type)
        with self._blaming(actor, "its history"):
            if warmup is not None and str(its_own) == str(feed.bar_type):
                if bars:
                    warmup([detector_bar(bar) for bar in bars])
            else:
                for bar in bars:
                    actor.handle_historical_bar(bar)
        return len(bars)

    def _on_request(self, request: RequestBars) -> bool:
        """A strategy's own request for bars that are here, verified: Nautilus' could wait for ever,
        and would bring them a second time.
        """
        if not self._warmed:
            self._early.append(request)
            return True
        feed = self._feeds.get(request.bar_type)
        actor = getattr(request.callback, "__self__", None)
        if feed is None or not isinstance(actor, Actor):
            return False
        if (actor.id, feed.bar_type) in {*self._following, *self._given_to_ms}:
            return False
        self._soon(self._answer, actor, request)
        return True

    def _answer(self, actor: Actor, request: RequestBars) -> None:
        feed = self._feeds[request.bar_type]
        bars = self._give_history(feed, actor)
        if self.node is not None:
            with self._blaming(actor, f"the answer to its request for {feed.name}"):
                answer(self.node, request, bars)

    # -- the gate ----------------------------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> bool:
        if not self._warmed:
            self._early.append(bar)
            return True
        feed = self._feeds.get(bar.bar_type)
        if feed is None:
            return False
        self._on_other()
        if feed.arrived(bar) and self.state == "live" and self._queue_is_empty():
            try:
                self._hand_on_now(feed, feed.release())
            except TraderError as error:  # Nautilus' client would only log it
                self._fail(error)
        return True

    def _on_other(self) -> None:
        if not self._streaming.is_set():
            self._streaming.set()
            for feed in self._feeds.values():
                feed.wake()

    def _queue_is_empty(self) -> bool:
        return self.node is None or not self.node.kernel.data_engine.data_qsize()

    async def _hand_on(self, feed: Feed) -> None:
        while not self._queue_is_empty():  # what is on its way must arrive before history does
            await asyncio.sleep(0)
        self._hand_on_now(feed, feed.release())

    def _hand_on_now(self, feed: Feed, release: Release[Bar]) -> None:
        if self.node is None:
            return
        for bar in release.history:
            self.node.kernel.cache.add_bar(bar)
            for actor in self._followers(feed.bar_type):
                with self._blaming(actor, bar):
                    actor.handle_historical_bar(bar)
            feed.count(bar)
        newest = release.newest
        if newest is not None:
            source = feed.count(newest, newest=True)
            self._judge()  # before the bar, so that strategies may act on it
            open_ms = open_ms_of(newest, feed.history.interval)
            logger.info("{} bar {} closed at {} ({})", feed.name, utc_text(open_ms), newest.close,
                        source)  # fmt: skip
            self.node.kernel.data_engine.process(newest)
            self._save()
        else:
            self._judge()

    @contextlib.contextmanager
    def _blaming(self, actor: Actor, what: object) -> Iterator[None]:
        """What is raised within is a strategy's own error."""
        try:
            yield
        except Exception as error:
            raise TraderError(
                f"{actor.id} failed on {what}: {error!r}; its log above says where"
            ) from error

    # -- halting -----------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Let orders through if nothing speaks against it, and only then."""
        if self.state == "stopping" or not self._warmed:
            return
        why = self._why_not()
        if not why:
            closes_ms = [
                feed.history.interval.close_ms(feed.handoff.cursor_ms) for feed in self._keepers
            ]
            self._set_trading(TradingState.ACTIVE)
            self.enter("live", f"contiguous to {utc_text(max(closes_ms))}")
            return
        self._set_trading(TradingState.HALTED)
        phases = {feed.phase for feed in self._keepers}
        passing = not self._streaming.is_set() or phases & {"filling", "waiting"}
        if "stuck" not in phases and passing and self.state != "degraded":
            self.enter("filling", why)
        else:
            self.enter("degraded", why)

    def _why_not(self) -> str:
        """Why orders may not leave yet; empty: they may."""
        if not self._keepers:
            return "no strategy has subscribed to bars yet"
        for feed in self._keepers:
            if why := feed.why_not():
                return f"{feed.name}: {why}"
        if not self._streaming.is_set():
            return "nothing comes by the websocket yet"
        if self._unwarmed and self.policy.proven:
            return f"{self._unwarmed[0]} is followed, but nobody has warmed it"
        # What a strategy says of itself, if it says anything.
        cold = [s for s in self.strategies if not getattr(s, "is_warm", True)]
        return f"{cold[0].id} is still cold" if cold else ""

    def _set_trading(self, state: TradingState) -> None:
        if self.node is not None and self.node.kernel.risk_engine.trading_state != state:
            self.node.kernel.risk_engine.set_trading_state(state)

    def enter(self, state: State, why: str) -> None:
        """Be in another state, and say so."""
        self.why = why
        if state == self.state:
            return
        self.state, self._since_ms = state, now_ms()
        if state == "live" and self._live_after_s is None:
            self._live_after_s = (self._since_ms - self._started_ms) / 1000
        log = logger.warning if state == "degraded" else logger.info
        log("{}: {}", state, why)
        if state == "degraded":
            self._cancel(self.policy.on_gap)
        self.on_report(self.report())

    # -- orders and state --------------------------------------------------------------------------

    def _open_orders(self, policy: Orders) -> list[tuple[Strategy, Order]]:
        """Those that go by this policy."""
        if self.node is None or policy == "keep":
            return []
        cache = self.node.kernel.cache
        return [
            (strategy, order)
            for strategy in self.strategies
            for order in (
                *cache.orders_open(strategy_id=strategy.id),
                *cache.orders_inflight(strategy_id=strategy.id),
            )
            if policy == "cancel_all" or not order.is_reduce_only
        ]

    def _cancel(self, policy: Orders) -> None:
        orders = self._open_orders(policy)
        for strategy, order in orders:
            if not order.is_pending_cancel and strategy.is_running:
                strategy.cancel_order(order)
        if orders:
            logger.warning("{} open order(s) are cancelled ({})", len(orders), policy)

    def _save(self) -> None:
        if self.policy.state_dir is not None:
            for strategy in self.strategies:
                saved.save(self.policy.state_dir, strategy)

    # -- what it says of itself --------------------------------------------------------------------

    @property
    def history_bars(self) -> int:
        """How many bars there were to start from."""
        return sum(len(feed.history.bars) for feed in self._feeds.values())

    @property
    def handed_on(self) -> int:
        """How many bars strategies have had, history included."""
        return sum(feed.counts.all for feed in self._feeds.values())

    @property
    def on_bars(self) -> int:
        """How many of them went to on_bar: the newest ones."""
        return sum(feed.counts.to_on_bar for feed in self._feeds.values())

    @property
    def live_bars(self) -> int:
        """How many of them came by the live stream."""
        return sum(feed.counts.live for feed in self._feeds.values())

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
                    why_not=feed.why_not(),
                )
                for feed in self._feeds.values()
            ),
        )

    def _feed(self, history: History) -> Feed:
        return Feed(
            history,
            self.client,
            self._hand_on,
            self._judge,
            self._streaming,
            self._instrument,
        )

    def _instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        return None if self.node is None else self.node.cache.instrument(instrument_id)


def _source_of(bar_type: BarType) -> BarType | None:
    """The bars that come from the venue for it; None: it is made of ticks, without a history."""
    if bar_type.is_composite():
        return bar_type.composite()
    return None if bar_type.is_internally_aggregated() else bar_type.standard()


class PaperRunner(BaseRunner):
    """Real market data, sandbox execution: fills come from the quotes that arrive."""

    mode = "paper"

    def _add_execution(self, node: TradingNode) -> None:
        node.add_exec_client_factory(VENUE, SandboxLiveExecClientFactory)
        node.trader.add_actor(Quotes(sorted(self.instrument_ids)))

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
        node.add_exec_client_factory(VENUE, BinanceLiveExecClientFactory)

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
                base_url_ws=settings.ws_url,
                base_url_ws_stream=settings.ws_url,
                instrument_provider=provider(self.instrument_ids),
                # Hedge mode knows no reduce-only: which side an order closes is in its position.
                use_reduce_only=not futures,
                futures_leverages=dict.fromkeys(symbols, settings.leverage) if futures else None,
            )
        }
