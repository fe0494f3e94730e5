"""The runner: a Nautilus node that goes live from a history, and trades only from then on."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import TradingState
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.built_node import BuiltNode, build_node
from warmup_job.handoff.cold_start import warn_of_cold_streams, warn_of_undeclared
from warmup_job.handoff.flatten import HeldPosition, cached_positions
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_account.funding_hours import tell_funding_hours
from warmup_job.handoff.live_bars.bar_stream import DeliveredBars
from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.live_bars.websocket_messages import quote_stream
from warmup_job.handoff.node import Execution, NodeSettings
from warmup_job.handoff.node_start import Load, start_and_load
from warmup_job.handoff.node_watch import NodeWatch, until_ended
from warmup_job.handoff.operator_actions import OperatorActions
from warmup_job.handoff.outgoing_orders.closed_orders import ClosedOrders
from warmup_job.handoff.reporting.journal import Journal
from warmup_job.handoff.reporting.report import (
    AccountReport,
    Report,
    State,
    UncancelledReport,
    now_ms,
    process_started_ms,
)
from warmup_job.handoff.run_reports import RunReports
from warmup_job.handoff.run_state import RunState
from warmup_job.handoff.run_tasks import RunTasks
from warmup_job.handoff.shut_down import (
    LastOrders,
    orders_to_cancel,
    stop_node,
    take_over_shutdown,
)
from warmup_job.handoff.situation import is_warm_start, situation_of
from warmup_job.handoff.trading_decision import AccountProblem, decide
from warmup_job.handoff.trading_policy import TradingPolicy
from warmup_job.market.symbol import venue_symbol
from warmup_job.modes import Orders

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.handoff.reporting.page.market_view import Markets

_WATCH_S = 0.5  # between two looks at whether the node is alive
_REPORT_S = 5.0


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
        self.on_report: Callable[[Report], object] = lambda _: None
        """Called with a report at every change of state, and every few seconds."""
        self.signalled = False
        """Whether SIGTERM or SIGINT asked it to stop."""
        self._run = RunState(process_started_ms(), now_ms())
        self._tasks = RunTasks(self.on_failure)
        self._built: BuiltNode | None = None
        self._on_stop: Orders = "keep"  # until it ends
        self.websockets = Websockets(self.policy.silence_s, client.now_ms, self)
        self.clock = ClockWatch(client, self, signs=self.mode == "live")
        self.streams = BarStreams(
            self.strategies, client, self.policy.delivery, self, fits_quotes=self.fits_quotes
        )
        self.streams.take(histories)
        self._operator = OperatorActions(
            self.policy.operator, self.strategies, self.held_positions, self._tasks
        )
        self._journal = Journal(self.policy.state_dir)
        self._reports = RunReports(
            self.mode, self._run, self.strategies, self.streams, self.websockets
        )

    # -- what a mode decides -----------------------------------------------------------------------

    @abstractmethod
    def _execution(self) -> Execution:
        """Return where orders go."""

    def account_problem(self) -> AccountProblem:
        """Return why the account or the clock forbids entries."""
        return AccountProblem()

    def account_report(self) -> AccountReport | None:
        """Return how the account compares with Nautilus' cache; None: it is not compared."""
        return None

    async def held_positions(self) -> list[HeldPosition]:
        """Return the open positions of the traded instruments, as the exchange reports them.

        Raises:
            WarmupError: the exchange does not answer.
        """
        return [] if self.node is None else cached_positions(self.node.cache)

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
        self._tasks.open()
        built = self._built = self._build(loop)
        # TradingNode installed its own handlers; with these the run ends in order.
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._on_signal, stop)
        node_task = asyncio.create_task(built.node.run_async(), name="node")
        stop_task = asyncio.create_task(stop.wait(), name="stop")
        self.start_task(self._begin(built, load), "begin")
        why = "asked to"
        try:
            await until_ended(node_task, stop_task, self._tasks.failed)
        except Exception as error:
            why = f"cannot go on: {str(error) or type(error).__name__}"
            raise
        finally:
            self.enter("stopping", why)
            stop_task.cancel()
            await self._end(built, node_task)

    def _build(self, loop: asyncio.AbstractEventLoop) -> BuiltNode:
        built = build_node(
            self.settings, self.strategies, self.instrument_ids, self._execution(), self.streams,
            self.websockets, self.policy.state_dir, loop,
        )  # fmt: skip
        self._reports.attach(built.node.kernel.msgbus)
        self._journal.attach(built.node.kernel.msgbus, built.node.kernel.cache)
        take_over_shutdown(built.node, self.on_failure)
        if built.saver is not None:
            self.start_task(built.saver.run(), "saver")
        return built

    async def _begin(self, built: BuiltNode, load: Load | None) -> None:
        """Take the history, warm up, subscribe and fill; `on_change` then goes live."""
        timeout_s = self.settings.connect_timeout_s + 5
        await start_and_load(self.strategies, timeout_s, load, self.streams.take)
        built.trading.announce()  # strategies subscribed to its changes only when they started
        self._operator.tell_strategies()
        self.policy.operator.on_change = self._on_operator
        self._operator.flatten_if_wanted(built)
        self._warmup_strategy()
        self.start_task(self._watch_node(built.node), "watch")
        self.start_task(self.clock.keep(), "clock")
        self.start_task(self._keep_reporting(), "report")
        self.start_task(self.policy.operator.keep_written(), "operator")
        self.start_task(built.closed_orders.run(), "closed orders")
        if self.settings.market == "um":
            funding = tell_funding_hours(self.client, self.strategies)
            self.start_task(funding, "funding")

    def _warmup_strategy(self) -> None:
        """Give every strategy the history of what it follows, except the newest bars.

        on_bar gets those, once orders may leave.
        """
        streams = self.streams.streams.values()
        if self.history_bars:
            self.enter("warming", f"{self.history_bars} bars of history")
        warn_of_cold_streams(streams)
        self.streams.serve_histories()
        warn_of_undeclared(streams, self.strategies)

    async def _watch_node(self, node: TradingNode) -> None:
        watch = NodeWatch(
            node, self.strategies, self.streams, self.websockets, self.clock, self,
            self.settings.connect_timeout_s,
        )  # fmt: skip
        while True:
            await asyncio.sleep(_WATCH_S)
            watch.look(self._expected())
            if self._reports.look_at_stops():
                self.on_report(self.report())  # a notice of it must not wait
            self._cancel_unwanted()  # what was on its way may have been accepted since

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            self.on_change()  # the reason may be another one, or longer, in the same state
            self.on_report(self.report())

    def _on_signal(self, stop: asyncio.Event) -> None:
        self.signalled = True
        stop.set()

    async def _end(self, built: BuiltNode, node_task: asyncio.Task[None]) -> None:
        """Stop the node, after open orders by policy and the strategies' states."""
        self.streams.stop()
        self._tasks.cancel()
        self.set_trading(TradingState.HALTED)  # exits may still leave
        on_stop = orders_to_cancel(self._tasks.error, self.policy.on_stop, built.own_orders)
        self._on_stop = on_stop
        self._cancel(on_stop)
        orders = LastOrders(built.own_orders, self.strategies, node_task, on_stop)
        await orders.settle()
        await self._read_last_funds()
        await orders.settle_and_save(built.save_last)
        self._tasks.cancel_last()
        await stop_node(built.node, node_task, built.own_orders)
        orders.tell_unprotected()
        await self.policy.operator.write()
        last = self.report()
        if last.uncancelled is not None:
            logger.error("{_problem}", event="run.entries_left", _problem=last.uncancelled.alarm)
        self.on_report(last)
        self._journal.close()

    # -- what its parts report and ask -------------------------------------------------------------

    def on_change(self) -> None:
        """Decide again whether orders may leave, and act on it."""
        if self.state == "stopping" or not self.streams.is_serving:
            return
        if self.streams.delivery.has_begun and self._run.started_warm is None:
            self._run.started_warm = is_warm_start(self.streams, self.strategies)
        situation = situation_of(
            self.state, self.streams, self.websockets, self._expected(), self.strategies,
            self.policy.operator.reason,
            account=self.account_problem(),
        )  # fmt: skip
        state, reason, is_logged = decide(situation, require_history=self.policy.proven)
        self.set_trading(TradingState.ACTIVE if state == "live" else TradingState.HALTED)
        self.enter(state, reason, is_logged=is_logged)

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

    def _on_operator(self) -> None:
        """Act on a new wish of the operator; the next start does if this run is ending."""
        if self.state == "stopping" or self._built is None:
            return
        try:
            self.on_change()  # first, so that a strategy that may trade again can do so at once
            self._operator.tell_strategies()
            self._cancel_unwanted()
            self._operator.flatten_if_wanted(self._built)
            self.on_report(self.report())
        except Exception as error:  # noqa: BLE001 - the strategy's own code
            self.on_failure(error)

    def on_stream_complete(self) -> None:
        """Deliver the bars that are due."""
        self.streams.advance()

    def on_newest_bar(self) -> None:
        """Save the strategies' state."""
        if self._built is not None and self._built.saver is not None:
            self._built.saver.request()

    def on_failure(self, error: BaseException) -> None:
        """End the run; until it has ended nothing more is delivered and only exits may leave."""
        self.streams.stop()
        self.set_trading(TradingState.HALTED)
        self._tasks.fail(error)

    def start_task(
        self, work: Coroutine[Any, Any, None], name: str, *, to_the_end: bool = False
    ) -> asyncio.Task[None]:
        """Run a coroutine as a task. Its failure ends the run, and the run's end cancels it.

        Args:
            work: the coroutine.
            name: of the task.
            to_the_end: whether it goes on until the open orders have been handled.
        """
        return self._tasks.start(work, name, to_the_end=to_the_end)

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

    def set_trading(self, state: TradingState) -> None:
        """Switch trading on (ACTIVE) or off (HALTED), and let the strategies know."""
        if self._built is not None:
            self._built.trading.set(state)

    def enter(self, state: State, why: str, *, is_logged: bool = False) -> None:
        """Note the state and the reason; log and report a change, and cancel when degraded.

        Args:
            state: the state.
            why: the reason.
            is_logged: whether the reason is logged elsewhere, with the level that it deserves.
        """
        if not self._run.enter(state, why, now_ms()):
            return
        self._journal.enter(state, why, now_ms())
        self.streams.is_live = state == "live"
        logger.log(
            "WARNING" if state == "degraded" and not is_logged else "INFO",
            "{state}: {reason}",
            event="state.entered",
            state=state,
            reason=why,
        )
        self._cancel_unwanted()
        self.on_report(self.report())

    def _cancel_unwanted(self) -> None:
        for orders in self.policy.unwanted(self.state):
            self._cancel(orders)

    def _look_at_entries(self) -> UncancelledReport | None:
        if self._built is None:
            return None
        unwanted = [*self.policy.unwanted(self.state), self._on_stop]
        return self._built.uncancelled.look(unwanted, now_ms())

    def _cancel(self, orders: Orders) -> None:
        count = 0 if self._built is None else self._built.own_orders.cancel(orders)
        if count:
            logger.warning(
                "cancelling {orders} open order(s) ({policy})",
                event="run.cancelling",
                orders=count,
                policy=orders,
            )

    # -- what others may know ----------------------------------------------------------------------

    @property
    def node(self) -> TradingNode | None:
        """The node; None: it is not built yet."""
        return None if self._built is None else self._built.node

    @property
    def closed_orders(self) -> ClosedOrders | None:
        """Counts the orders that are no longer in the node's cache; None: there is no node."""
        return None if self._built is None else self._built.closed_orders

    @property
    def trading(self) -> TradingState:
        """ACTIVE: every order may leave. HALTED: only orders that close a position may."""
        return TradingState.HALTED if self._built is None else self._built.trading.state

    @property
    def state(self) -> State:
        """The state of the run."""
        return self._run.state

    @property
    def why(self) -> str:
        """Why it is in this state."""
        return self._run.why

    @property
    def last_reason(self) -> str:
        """The last state before it stopped, and why."""
        return self._run.last_reason

    @property
    def started_warm(self) -> bool:
        """Whether the history alone was enough for every strategy."""
        return bool(self._run.started_warm)

    @property
    def history_bars(self) -> int:
        """How many bars the histories have."""
        return sum(len(stream.history.bars) for stream in self.streams.streams.values())

    @property
    def delivered(self) -> DeliveredBars:
        """How many bars strategies have had, history included."""
        return self.streams.delivered()

    def markets(self) -> Markets | None:
        """Return what the page shows of the node; None: it is not built yet."""
        if self.node is None:
            return None
        from warmup_job.handoff.reporting.page.market_view import Markets

        return Markets(self.node.kernel.cache, self.instrument_ids, self.settings.identity.owns)

    def report(self) -> Report:
        """Return the present state of the trader and its streams."""
        return self._reports.make(
            None if self.node is None else self.node.kernel.cache,
            self.policy.operator.state,
            self.account_report(),
            self._look_at_entries(),
            trading=self.trading == TradingState.ACTIVE,
            clock_offset_ms=self.clock.offset_ms,
        )
