"""The resolved configuration: everything that the job and the trader need, in plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from warmup_job.modes import FirstBar, Orders, Replay
from warmup_job.plan.strategy_plan import StrategyPlan
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.venue_plan import VenuePlan
from warmup_job.snapshot.verify import Requirements


@dataclass(frozen=True, slots=True)
class NotifyPlan:
    """The webhook of the ``trade`` section."""

    url: str | None = field(repr=False)
    """None: no notices are sent. It is a secret."""
    format: Literal["slack", "json"]
    unprotected_after_ms: int
    drawdown_pct: Decimal


class TraderPlan(msgspec.Struct, frozen=True):
    """The ``trade`` section of warmup.yaml."""

    state_dir: Path
    trader_id: str
    """The name of the trader, without a tag."""
    order_id_tag: str | None
    """Marks the trader's order ids; None: a short hash of its instruments does."""
    http_port: int | None
    """Port of /healthz, /readyz and /metrics; None: they are not served; 0: any free port."""
    http_host: str
    on_stop: Orders
    """What happens to open orders when the trader stops."""
    on_gap: Orders
    """What happens to open orders while bars are missing or the regime is not proven."""
    silence_ms: int
    """Trading halts when a websocket stream has sent nothing for this long, ms."""
    first_bar: FirstBar
    replay: Replay
    wait_for_snapshot_ms: int
    """How long the trader waits for a snapshot that a job beside it makes, ms; 0: not at all."""
    starting_balances: tuple[str, ...]
    """Balances of the paper account, such as ``10000 USDT``."""
    notify: NotifyPlan


class WarmupPlan(msgspec.Struct, frozen=True):
    """What a configuration asks for, resolved once by `warmup_job.plan.resolve.resolve`.

    Nothing here changes with the clock; `warmup_job.plan.stream_pages.pages_at` adds the time.
    """

    venue: VenuePlan
    strategies: tuple[StrategyPlan, ...]
    """In the order of the configuration; empty: bars are downloaded, and nothing trades."""
    streams: tuple[StreamPlan, ...]
    """What the job fetches."""
    strategy_streams: tuple[StreamPlan, ...]
    """What the trader warms its strategies with."""
    settings_digest: str
    """sha256 over the settings that the bars depend on; a manifest records it."""
    snapshot_requirements: Requirements
    """What a snapshot must have so that the trader can use it; without strategies, all streams."""
    require_proof: bool
    """Whether orders wait for a proven regime (``warmup.require: proven``)."""
    max_gap_bars: int
    """How many bars Binance itself may lack."""
    deadline_ms: int
    """How long a warm-up may take, ms."""
    on_failure: Literal["proceed", "fail"]
    root: Path
    """The snapshot volume."""
    keep: int
    """How many snapshots stay on the volume."""
    max_age_ms: int
    """The trader refreshes a snapshot whose first missing bar closed longer ago, ms."""
    trader: TraderPlan
    trade_problems: tuple[str, ...]
    """Why the trader must not start, though the job may; one line each."""
