"""The building of a node: its strategies with their saved states, and the gates of its engines."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import msgspec
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff import saved_state
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.quotes import QuoteSubscriber
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.node import Execution, NodeSettings, make_node
from warmup_job.handoff.outgoing_orders.cancel_gate import CancelGate
from warmup_job.handoff.outgoing_orders.closed_orders import ClosedOrders
from warmup_job.handoff.outgoing_orders.order_gate import OrderGate, WithoutBook
from warmup_job.handoff.state_dir import StateDir
from warmup_job.handoff.strategy_features import ActsOnOwnOrders, ReportsStateChanges
from warmup_job.handoff.trading_switch import TradingSwitch
from warmup_job.handoff.uncancelled_entries import UncancelledEntries


class BuiltNode(msgspec.Struct, frozen=True):
    """A node that can be run, and what the runner does with it."""

    node: TradingNode
    own_orders: OwnOrders
    trading: TradingSwitch
    closed_orders: ClosedOrders
    cancels: CancelGate
    uncancelled: UncancelledEntries
    saver: saved_state.StateSaver | None
    """None: the strategies' states are not kept."""

    async def save_last(self) -> bool:
        """Save the strategies' present states; return False if they may not be on the disk."""
        return self.saver is None or await self.saver.close()


def build_node(
    settings: NodeSettings,
    strategies: Sequence[Strategy],
    instrument_ids: Collection[InstrumentId],
    execution: Execution,
    streams: BarStreams,
    websockets: Websockets,
    state_dir: StateDir | None,
    loop: asyncio.AbstractEventLoop,
) -> BuiltNode:
    """Build a node, so that it can be run.

    Args:
        settings: where and how it trades.
        strategies: what it runs.
        instrument_ids: what it loads, and whose quotes it needs.
        execution: where its orders go.
        streams: their gate is put in front of its data engine.
        websockets: make its data client.
        state_dir: where the strategies' states are; None: nowhere.
        loop: the running event loop.
    """
    data_factory = websockets.factory()
    node = make_node(settings, instrument_ids, execution, loop=loop, data_factory=data_factory)
    node.trader.add_actor(QuoteSubscriber(sorted(instrument_ids)))
    for strategy in strategies:
        if isinstance(strategy, ActsOnOwnOrders):
            strategy.owns_order = settings.identity.owns
        node.trader.add_strategy(strategy)
    node.build()
    saver = None if state_dir is None else _load_states(state_dir, strategies)
    streams.attach(node, loop)
    without_book: WithoutBook = "accept"
    if settings.market == "um":
        without_book = "deny" if execution.is_real else "warn"
    gate = OrderGate(streams, settings.order_limits, node.kernel, loop, without_book=without_book)
    gate.install()
    own_orders = OwnOrders(node.cache, strategies, settings.identity)
    return BuiltNode(
        node,
        own_orders,
        TradingSwitch(node.kernel, streams.followed.denial, gate),
        ClosedOrders(node.cache, node.kernel.clock),
        gate.cancels,
        UncancelledEntries(own_orders, lambda: gate.cancels.reason),
        saver,
    )


def _load_states(state_dir: StateDir, strategies: Sequence[Strategy]) -> saved_state.StateSaver:
    saver = saved_state.StateSaver(state_dir, strategies)
    for strategy in strategies:
        saved_state.load(state_dir, strategy)
        if isinstance(strategy, ReportsStateChanges):
            strategy.on_state_change = saver.request
    return saver
