"""Build the runner that a configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from warmup_job.binance.api_keys import signing_secret
from warmup_job.config import WarmupConfig
from warmup_job.handoff.bar_streams import Delivery
from warmup_job.handoff.node import NodeSettings
from warmup_job.handoff.runner import BaseRunner, LiveRunner, PaperRunner, TradingPolicy
from warmup_job.handoff.state_dir import StateDir
from warmup_job.modes import Mode
from warmup_job.plan.traded import traded

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_RUNNERS: dict[Mode, type[BaseRunner]] = {"paper": PaperRunner, "live": LiveRunner}


def build_runner(
    config: WarmupConfig,
    mode: Mode,
    client: BinanceClient,
    strategies: Sequence[Strategy],
    state_dir: StateDir | None = None,
    connect_timeout_s: float = 30.0,
) -> BaseRunner:
    """Build a runner for strategies that have been made; nothing is started.

    Args:
        config: where to trade, and the policies of `trade` and `warmup`.
        mode: ``paper`` gives a `PaperRunner`, ``live`` a `LiveRunner`.
        client: fetches the bars that are missing; its clock is the exchange's.
        strategies: what the node runs, see `make_strategies`.
        state_dir: where strategies keep what they save; None: nowhere.
        connect_timeout_s: how many seconds the node may take to connect.

    Returns:
        The runner, without histories: give `BaseRunner.run` the function that loads them.
    """
    policy = TradingPolicy(
        on_stop=config.trade.on_stop,
        on_gap=config.trade.on_gap,
        proven=config.warmup.require == "proven",
        state_dir=state_dir,
        silence_s=config.trade.silence_ms / 1000,
        delivery=Delivery(config.trade.first_bar, config.trade.replay),
    )
    instrument_ids = [
        InstrumentId.from_str(each) for one in traded(config) for each in one.instrument_ids
    ]
    settings = node_settings(config, connect_timeout_s)
    return _RUNNERS[mode](settings, strategies, (), client, policy, instrument_ids)


def node_settings(config: WarmupConfig, connect_timeout_s: float = 30.0) -> NodeSettings:
    """Return where and how the node trades, as the venue file says."""
    venue = config.venue
    return NodeSettings(
        market=venue.market,
        environment=venue.environment,
        rest_url=venue.api.base_url,
        ws_url=venue.api.ws_url,
        leverage=venue.trading.leverage,
        starting_balances=config.trade.starting_balances,
        api_key=venue.api.api_key,
        api_secret=_signing_secret(venue.api.api_secret),
        connect_timeout_s=connect_timeout_s,
    )


def _signing_secret(secret: str | None) -> str | None:
    """Return the secret as Nautilus reads it; None if Nautilus cannot read it.

    `live_requirements` refuses such a secret before it is used.
    """
    with suppress(ValueError):
        return signing_secret(secret) if secret else None
    return None
