"""The runner: a Nautilus node that goes live from a history, and trades only from then on."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger
from nautilus_trader.common.messages import ShutdownSystem
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.trading.strategy import Strategy

from warmup_job.errors import LiveRefusedError, TraderError
from warmup_job.handoff import saved_state
from warmup_job.handoff.flatten import Flattening, HeldPosition
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_account.funding_hours import tell_funding_hours
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.live_bars.bar_stream import DeliveredBars
from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.declared_indicators import differences
from warmup_job.handoff.live_bars.quotes import QuoteSubscriber
from warmup_job.handoff.live_bars.silence_watch import SilenceWatch
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.live_bars.websocket_messages import quote_stream
from warmup_job.handoff.node import NodeSettings, make_node
from warmup_job.handoff.node_start import announce_trading_state, until_started
from warmup_job.handoff.outgoing_orders.order_gate import OrderGate
from warmup_job.handoff.reporting.figures import UnprotectedTime, grid_reports
from warmup_job.handoff.reporting.rejections import RejectionCounter
from warmup_job.handoff.reporting.report import (
    AccountReport,
    Report,
    State,
    now_ms,
    process_started_ms,
)
from warmup_job.handoff.shut_down import cancel_at_the_end, stop_node
from warmup_job.handoff.situation import is_warm_start, situation_of
from warmup_job.handoff.state_dir import StateDir
from warmup_job.handoff.strategy_features import (
    ActsOnOwnOrders,
    HeedsOperator,
    ReportsStateChanges,
)
from warmup_job.handoff.trading_decision import decide
from warmup_job.handoff.trading_policy import TradingPolicy
from warmup_job.market.symbol import venue_symbol
from warmup_job.modes import Orders

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_WATCH_S = 0.5  # between two looks at whether the node is alive
_REPORT_S = 5.0

type Load = Callable[[], Awaitable[Sequence[History]]]


class BaseRunner(ABC):
    """Owns one node and its strategies: warms them up, decides when they may trade, stops them.

    Trading is halted (`order_denial` denies every order that opens a position) until each stream
    that the strategies follow has every closed bar and as many as the policy requires. It halts
    again whenever a gap cannot be filled. The runner is the `RunListener` of all its parts.

    Args:
        settings: where and how the node trades.
        strategies: what the node runs.
        histories: what the streams start from, unless `run` loads it.
        client: fetches bars; its clock is the exchange's.
        policy: what the trader requires, and does with open orders.
        instrument_ids: instruments that are traded beside those of the histories.
    """

    mode = ""
    fits_quotes = False
    """Whether quotes get the precision of their instrument."""

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
        """The last state before it stopped, and why."""
        self.on_report: Callable[[Report], object] = lambda _: None
        """Called with a report at every change of state, and every few seconds."""
        self.node: TradingNode | None = None
        self.signalled = False
        """Whether SIGTERM or SIGINT asked it to stop."""
        self._started_warm: bool | None = None
        self._started_ms = process_started_ms()
        self._since_ms = now_ms()
        self._live_after_s: float | None = None
        self._failed: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._last_tasks: set[asyncio.Task[None]] = set()  # those that help to end in order
        self._saver: saved_state.StateSaver | None = None
        self._own_orders: OwnOrders  # these two from _build on
        self._order_gate: OrderGate
        self._flattening: asyncio.Task[None] | None = None
        self._rejections = RejectionCounter()
        self._unprotected = UnprotectedTime()
        self.websockets = Websockets(self.policy.silence_s, client.now_ms, self)
        self.clock = ClockWatch(client, self, signs=self.mode == "live")
        self._watch = SilenceWatch(self.websockets, self.clock, self)
        self.streams = BarStreams(
            self.strategies, client, self.policy.delivery, self, fits_quotes=self.fits_quotes
        )
        self.streams.take(histories)

    # -- what a mode decides -----------------------------------------------------------------------

    @abstractmethod
    def _add_execution(self, node: TradingNode) -> None:
        """Register the execution client's factory."""

    @abstractmethod
    def _execution_configs(self) -> dict[str, object]:
        """Return the execution clients' configurations, by venue."""

    @property
    def account_unread(self) -> bool:
        """Whether the account has to be read before the trader can be live."""
        return False

    def account_problem(self) -> str:
        """Return why the account or the clock forbids entries; empty: they do not."""
        return ""

    def account_report(self) -> AccountReport | None:
        """Return how the account compares with Nautilus' cache; None: it is not compared."""
        return None

    async def held_positions(self) -> list[HeldPosition]:
        """Return the open positions of the traded instruments, as the exchange reports them.

        Raises:
            WarmupError: the exchange does not answer.
        """
        if self.node is None:
            return []
        return [
            HeldPosition(
                each.instrument_id, each.id, bool(each.is_long), each.quantity.as_decimal()
            )
            for each in self.node.cache.positions_open()
        ]

    async def _read_last_funds(self) -> None:  # noqa: B027  # only live there is an account
        """Let the strategies count what their account has earned until now."""

    # -- the run -----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event, load: Load | None = None) -> None:
        """Build the node, warm the strategies up, go live, and trade until ``stop`` is set.

        Args:
            stop: ends the run; SIGTERM and SIGINT set it.
            load: loads the histories while the node connects; None: they were given.

        Raises:
            TraderError: the node did not start, or ended by itself, or a strategy failed.
            WarmupError: ``load`` failed.
        """
        loop = asyncio.get_running_loop()
        failed = self._failed = loop.create_future()
        node = self.node = self._build(loop)
        # TradingNode installed its own handlers; with these the run ends in order.
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._on_signal, stop)
        node_task = asyncio.create_task(node.run_async(), name="node")
        stop_task = asyncio.create_task(stop.wait(), name="stop")
        self.start_task(self._begin(load), "begin")
        try:
            await asyncio.wait({node_task, stop_task, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            if not stop_task.done():
                error = node_task.exception()
                cause = f"{error!r}; " if error else ""
                raise TraderError(f"the node stopped by itself: {cause}see its log above")
        finally:
            self.enter("stopping", "asked to" if stop.is_set() else "cannot go on")
            self.streams.stop()
            for task in {*self._tasks, stop_task} - self._last_tasks:
                task.cancel()
            failed.cancel()
            self.set_trading(TradingState.HALTED)  # exits may still leave
            on_stop = self._prepare_to_leave(failed)
            self._cancel(on_stop)
            await cancel_at_the_end(self._own_orders, node_task, on_stop)
            for task in self._last_tasks:
                task.cancel()
            await self._read_last_funds()
            if self._saver is not None:
                self._saver.close()
            await stop_node(node, node_task)
            self.policy.operator.write_again()
            self.on_report(self.report())

    async def _begin(self, load: Load | None) -> None:
        """Wait for the node's start and the histories, then warm the strategies up."""
        timeout_s = self.settings.connect_timeout_s + 5
        started = until_started(self.strategies, timeout_s)
        waiting = {asyncio.create_task(started, name="started")}
        if load is not None:
            waiting.add(asyncio.create_task(self._load(load), name="load"))
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()
        if self.node is not None:
            # Strategies subscribed to its changes only when they started.
            announce_trading_state(self.node, self.trading)
        self._tell_operator_state()
        self.policy.operator.on_change = self._on_operator
        self._flatten_if_wanted()
        self._warmup_strategy()
        self.start_task(self._watch_node(), "watch")
        self.start_task(self.clock.keep(), "clock")
        self.start_task(self._keep_reporting(), "report")
        if self.settings.market == "um":
            funding = tell_funding_hours(self.client, self.strategies)
            self.start_task(funding, "funding")

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
        self._own_orders = OwnOrders(node.cache, self.strategies, self.settings.identity)
        node.trader.add_actor(QuoteSubscriber(sorted(self.instrument_ids)))
        for strategy in self.strategies:
            if isinstance(strategy, ActsOnOwnOrders):
                strategy.owns_order = self.settings.identity.owns
            node.trader.add_strategy(strategy)
        node.build()
        if self.policy.state_dir is not None:
            self._saver = self._load_states(self.policy.state_dir)
        self.streams.attach(node, loop)
        self._order_gate = OrderGate(
            self.streams, self.settings.order_limits, node.kernel, loop,
            names_book=self.mode == "live" and self.settings.market == "um",
        )  # fmt: skip
        self._order_gate.install()
        self._rejections.attach(node.kernel.msgbus)
        # Nautilus would end at once, with its orders open; this ends the run in order.
        kernel = node.kernel
        kernel.msgbus.unsubscribe("commands.system.shutdown", kernel._on_shutdown_system)
        kernel.msgbus.subscribe("commands.system.shutdown", self._on_shutdown_command)
        return node

    def _load_states(self, state_dir: StateDir) -> saved_state.StateSaver:
        saver = saved_state.StateSaver(state_dir, self.strategies)
        for strategy in self.strategies:
            saved_state.load(state_dir, strategy)
            if isinstance(strategy, ReportsStateChanges):
                strategy.on_state_change = saver.request
        self.start_task(saver.run(), "saver")
        return saver

    def _warmup_strategy(self) -> None:
        """Give every strategy the history of what it follows, except the newest bars.

        on_bar gets those, once orders may leave.
        """
        streams = self.streams.streams.values()
        if self.history_bars:
            self.enter("warming", f"{self.history_bars} bars of history")
        for stream in streams:
            if not stream.history.bars:
                logger.warning(
                    "COLD START of {}: no history. It is fetched while the node runs, and no order "
                    "leaves before {} bars are here", stream.name, stream.history.wanted,
                )  # fmt: skip
        self.streams.serve_histories()
        registered = [each for s in self.strategies for each in s.registered_indicators]
        declared = {each for stream in streams for each in stream.history.declared}
        for line in differences(sorted(declared), registered):
            logger.warning(line)

    # -- watching ----------------------------------------------------------------------------------

    def start_task(
        self, work: Coroutine[Any, Any, None], name: str, *, to_the_end: bool = False
    ) -> asyncio.Task[None]:
        """Run a coroutine as a task. Its failure ends the run, and the run's end cancels it.

        Args:
            work: the coroutine.
            name: of the task.
            to_the_end: whether it goes on until the open orders have been handled.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        if to_the_end:
            self._last_tasks.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.remove(ended)
            self._last_tasks.discard(ended)
            error = None if ended.cancelled() else ended.exception()
            if error is not None:
                self.on_failure(error)

        task.add_done_callback(done)
        return task

    def on_failure(self, error: BaseException) -> None:
        """End the run; until it has ended nothing more is delivered and only exits may leave."""
        self.streams.stop()
        self.set_trading(TradingState.HALTED)
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _on_shutdown_command(self, command: ShutdownSystem) -> None:
        self.on_failure(TraderError(f"Nautilus must stop: {command.reason}; see its log above"))

    async def _watch_node(self) -> None:
        """End the run if the trader stops by itself, or no websocket message ever comes."""
        node, loop = self.node, asyncio.get_running_loop()
        started_at = loop.time()
        while node is not None:
            await asyncio.sleep(_WATCH_S)
            for stream in self.streams.followed.kept:
                if stream.is_late:
                    stream.wake()
            if not node.trader.is_running or not any(s.is_running for s in self.strategies):
                raise TraderError("the trader is no longer running; see its log above")
            self._watch.look(self._expected())
            self.clock.look(node.kernel.clock.timestamp_ms())
            self._unprotected.look(grid_reports(self.strategies), now_ms())
            self._cancel_unwanted()  # what was on its way may have been accepted since
            waited_s = loop.time() - started_at
            if not self.websockets.heard.ever and waited_s > self.settings.connect_timeout_s:
                raise TraderError(f"no websocket message within {waited_s:.0f} s: check api.ws_url")

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            self.policy.operator.write_again()
            self.on_report(self.report())

    # -- what its parts report and ask -------------------------------------------------------------

    def on_change(self) -> None:
        """Decide again whether orders may leave, and act on it."""
        if self.state == "stopping" or not self.streams.is_serving:
            return
        if self.streams.delivery.has_begun and self._started_warm is None:
            self._started_warm = is_warm_start(self.streams, self.strategies)
        situation = situation_of(
            self.state, self.streams, self.websockets, self._expected(), self.strategies,
            self.policy.operator.reason,
            account=self.account_problem(), account_unread=self.account_unread,
        )  # fmt: skip
        state, reason = decide(situation, require_history=self.policy.proven)
        self.set_trading(TradingState.ACTIVE if state == "live" else TradingState.HALTED)
        self.enter(state, reason)

    def _on_operator(self) -> None:
        """Act on a new wish of the operator; the next start does if this run is ending."""
        if self.state == "stopping":
            return
        try:
            self.on_change()  # first, so that a strategy that may trade again can do so at once
            self._tell_operator_state()
            self._cancel_unwanted()
            self._flatten_if_wanted()
            self.on_report(self.report())
        except Exception as error:  # noqa: BLE001 - the strategy's own code
            self.on_failure(error)

    def _flatten_if_wanted(self) -> None:
        operator, is_busy = self.policy.operator, self._flattening and not self._flattening.done()
        if operator.state != "flattening" or is_busy or self.node is None:
            return
        flattening = Flattening(
            self.node.cache, self.strategies, self._own_orders, self.held_positions, operator
        )
        self._flattening = self.start_task(flattening.run(), "flatten")

    def _tell_operator_state(self) -> None:
        for strategy in self.strategies:
            if isinstance(strategy, HeedsOperator):
                strategy.on_operator_state(self.policy.operator.state)

    def on_connection_change(self) -> None:
        """Decide again, and deliver the first bars once every websocket stream is heard."""
        if self.state == "stopping":
            return
        try:
            if not self.streams.delivery.has_begun and self.is_heard():
                self.streams.advance()
            self.on_change()
        except Exception as error:  # noqa: BLE001 - Nautilus' client would only log it
            self.on_failure(error)

    def on_stream_complete(self) -> None:
        """Deliver the bars that are due."""
        self.streams.advance()

    def on_newest_bar(self) -> None:
        """Save the strategies' state."""
        if self._saver is not None:
            self._saver.request()

    def is_heard(self) -> bool:
        """Return whether every expected websocket stream has sent a message."""
        return not self.websockets.unheard(self._expected())

    def instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        """Return the node's instrument; None: the node does not have it."""
        return None if self.node is None else self.node.cache.instrument(instrument_id)

    def _expected(self) -> list[str]:
        """Return the websocket streams without which the trader is not live."""
        klines = [stream.websocket_name for stream in self.streams.followed.kept]
        return klines + [quote_stream(venue_symbol(str(each))) for each in self.instrument_ids]

    # -- trading -----------------------------------------------------------------------------------

    @property
    def trading(self) -> TradingState:
        """ACTIVE: every order may leave. HALTED: only orders that close a position may."""
        if self.node is None:
            return TradingState.HALTED
        return self.streams.followed.denial.state

    def set_trading(self, state: TradingState) -> None:
        """Switch trading on (ACTIVE) or off (HALTED), and let the strategies know."""
        if self.node is not None and self.trading != state:
            self.streams.followed.denial.state = state
            announce_trading_state(self.node, state)
            self._order_gate.judge_again()

    def enter(self, state: State, why: str) -> None:
        """Note the state and the reason; log and report a change, and cancel when degraded."""
        if state != "stopping":
            self.last_reason = f"{state}: {why}"
        self.why = why
        if state == self.state:
            return
        self.state, self._since_ms = state, now_ms()
        self.streams.is_live = state == "live"
        if state == "live" and self._live_after_s is None:
            self._live_after_s = (self._since_ms - self._started_ms) / 1000
        log = logger.warning if state == "degraded" else logger.info
        log("{}: {}", state, why)
        self._cancel_unwanted()
        self.on_report(self.report())

    def _cancel_unwanted(self) -> None:
        """Cancel what must not rest while bars are missing, or while the operator has paused."""
        if self.state == "degraded":
            self._cancel(self.policy.on_gap)
        if self.policy.operator.state != "trading" and self.state != "stopping":
            self._cancel("cancel_entries")

    def _prepare_to_leave(self, failed: asyncio.Future[None]) -> Orders:
        """Return what happens to open orders now."""
        error = failed.exception() if failed.done() and not failed.cancelled() else None
        if not isinstance(error, LiveRefusedError):
            return self.policy.on_stop
        # Another trader goes on: only what this run has sent is cancelled, but that is.
        self._own_orders.only_this_run = True
        return "cancel_entries" if self.policy.on_stop == "keep" else self.policy.on_stop

    def _cancel(self, policy: Orders) -> None:
        if self.node is not None:
            count = self._own_orders.cancel(policy)
            if count:
                logger.warning("cancelling {} open order(s) ({})", count, policy)

    # -- reports -----------------------------------------------------------------------------------

    @property
    def started_warm(self) -> bool:
        """Whether the history alone was enough for every strategy."""
        return bool(self._started_warm)

    @property
    def history_bars(self) -> int:
        """How many bars the histories have."""
        return sum(len(stream.history.bars) for stream in self.streams.streams.values())

    @property
    def delivered(self) -> DeliveredBars:
        """How many bars strategies have had, history included."""
        return self.streams.delivered()

    def report(self) -> Report:
        """Return the present state of the trader and its streams."""
        active, orders, positions = False, 0, 0
        if self.node is not None:
            cache = self.node.kernel.cache
            active = self.trading == TradingState.ACTIVE
            orders, positions = cache.orders_open_count(), cache.positions_open_count()
        grids = grid_reports(self.strategies)
        return Report(
            state=self.state,
            why=self.why,
            mode=self.mode,
            at_ms=now_ms(),
            since_ms=self._since_ms,
            started_ms=self._started_ms,
            live_after_s=self._live_after_s,
            trading=active,
            operator=self.policy.operator.state,
            orders_open=orders,
            positions_open=positions,
            streams=tuple(
                stream.report(self.websockets.silent_ms(stream.websocket_name))
                for stream in self.streams.streams.values()
            ),
            account=self.account_report(),
            grids=grids,
            unprotected_ms=self._unprotected.look(grids, now_ms()),
            rejections=self._rejections.report(),
        )
