"""Build the runner that a configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.api_keys import signing_secret
from warmup_job.handoff.live_runner import LiveRunner
from warmup_job.handoff.node import NodeSettings
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.outgoing_orders.order_limits import OrderLimits
from warmup_job.handoff.outgoing_orders.order_queue import OrderRates
from warmup_job.handoff.paper_runner import PaperRunner
from warmup_job.handoff.runner import BaseRunner
from warmup_job.handoff.state_dir import StateDir
from warmup_job.handoff.trading_policy import DeliveryPolicy, TradingPolicy
from warmup_job.modes import Mode
from warmup_job.plan.warmup_plan import WarmupPlan

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_RUNNERS: dict[Mode, type[BaseRunner]] = {"paper": PaperRunner, "live": LiveRunner}


def build_runner(
    plan: WarmupPlan,
    mode: Mode,
    client: BinanceClient,
    strategies: Sequence[Strategy],
    state_dir: StateDir | None = None,
    connect_timeout_s: float = 30.0,
    operator: OperatorControl | None = None,
    identity: TraderIdentity | None = None,
) -> BaseRunner:
    """Build a runner for strategies that have been made; nothing is started.

    Args:
        plan: where to trade, and the policies of `trade` and `warmup`.
        mode: ``paper`` gives a `PaperRunner`, ``live`` a `LiveRunner`.
        client: fetches the bars that are missing; its clock is the exchange's.
        strategies: what the node runs, see `make_strategies`.
        state_dir: where strategies keep what they save; None: nowhere.
        connect_timeout_s: how many seconds the node may take to connect.
        operator: what the operator wants; None: trade.
        identity: marks the trader's orders; None: one without a state folder.

    Returns:
        The runner, without histories: give `BaseRunner.run` the function that loads them.
    """
    policy = TradingPolicy(
        on_stop=plan.trader.on_stop,
        on_gap=plan.trader.on_gap,
        proven=plan.require_proof,
        state_dir=state_dir,
        silence_s=plan.trader.silence_ms / 1000,
        delivery=DeliveryPolicy(plan.trader.first_bar, plan.trader.replay),
        operator=operator or OperatorControl(),
    )
    instrument_ids = [
        InstrumentId.from_str(each)
        for strategy in plan.strategies
        for each in strategy.instrument_ids
    ]
    settings = node_settings(plan, connect_timeout_s, identity)
    return _RUNNERS[mode](settings, strategies, (), client, policy, instrument_ids)


def node_settings(
    plan: WarmupPlan,
    connect_timeout_s: float = 30.0,
    identity: TraderIdentity | None = None,
) -> NodeSettings:
    """Return where and how the node trades, as the venue file says."""
    venue = plan.venue
    return NodeSettings(
        market=venue.market,
        environment=venue.environment,
        rest_url=venue.own_rest_url,
        ws_url=venue.own_websocket_url,
        identity=identity or TraderIdentity(),
        order_limits=OrderLimits(
            OrderRates(venue.orders_per_second, venue.orders_per_minute),
            venue.min_order_size_usdt,
            venue.max_order_size_usdt,
        ),
        leverage=venue.leverage,
        starting_balances=plan.trader.starting_balances,
        api_key=venue.api_key,
        api_secret=_signing_secret(venue.api_secret),
        connect_timeout_s=connect_timeout_s,
    )


def _signing_secret(secret: str | None) -> str | None:
    """Return the secret as Nautilus reads it; None if Nautilus cannot read it.

    `live_requirements` refuses such a secret before it is used.
    """
    with suppress(ValueError):
        return signing_secret(secret) if secret else None
    return None
