"""The trader's report on itself: JSON for files and probes (`metrics` has Prometheus' text)."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from warmup_job.handoff.reporting.flatten_report import FlattenReport
from warmup_job.modes import OperatorState

if TYPE_CHECKING:
    from warmup_job.handoff.reporting.page.market_view import Markets

_CHANGES = 20  # so many are remembered

State = Literal[
    "starting", "verifying", "warming", "filling", "live", "paused", "degraded", "stopping"
]
STATES: tuple[State, ...] = (
    "starting",
    "verifying",
    "warming",
    "filling",
    "live",
    "paused",
    "degraded",
    "stopping",
)


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stream in a report. Times are UTC ms."""

    bar_type: str
    phase: str
    contiguous_to_ms: int
    """Close time of the last bar that was delivered."""
    history_bars: int
    filled_bars: int
    live_bars: int
    silent_ms: int | None = None
    """For how many ms its websocket stream is silent; None: it was never heard."""
    why_not: str
    """Why it blocks trading; empty: it does not."""
    snapshot: str = ""
    """Id of the snapshot that its history began with; empty: the trader has fetched all of it."""


class OtherTraderReport(msgspec.Struct, frozen=True, kw_only=True):
    """Another trader on the same account and symbols, which was noticed in this run."""

    tag: str
    """The tag of its order ids."""
    text: str
    """What was noticed, who stops, and what to do."""
    open_orders: int
    """How many of its orders were open at the last reading; 0 if they count as this trader's."""


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the account at the exchange compares with what the trader believes (live only)."""

    state: Literal["ok", "differs", "unknown"]
    why: str
    """Why entries must not leave; empty: they may."""
    event_age_ms: int | None = None
    """For how many ms the user data stream has sent nothing; None: it has never sent anything."""
    differences: tuple[str, ...] = ()
    """The differences of the last reading, one line each; a passing one is normal."""
    other_traders: tuple[OtherTraderReport, ...] = ()
    """Those that started later, so that this one goes on."""


class UncancelledReport(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that are open although a policy or the operator wants none."""

    ids: tuple[str, ...]
    ms: int
    """For how many ms there have been some."""
    why: str
    """Why the exchange has refused the newest cancel; empty: it has not answered yet."""

    @property
    def text(self) -> str:
        """How many are not cancelled, and why."""
        count = len(self.ids)
        what = "1 entry is" if count == 1 else f"{count} entries are"
        return f"{what} not cancelled yet: {self._why}"

    @property
    def alarm(self) -> str:
        """What it means when the trader has ended, and what to do."""
        count = len(self.ids)
        what = "1 ENTRY IS" if count == 1 else f"{count} ENTRIES ARE"
        return (
            f"{what} STILL OPEN ({', '.join(self.ids)}); the cancel failed: {self._why}. A fill "
            "gets no stop loss: cancel on the exchange, or start the trader again"
        )

    @property
    def _why(self) -> str:
        return self.why or "the exchange has not answered yet"


class Rejections(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders or cancels were refused for one reason, since the process started."""

    kind: str
    """rejected or cancel_rejected (by the exchange), denied (before it left), modify_rejected."""
    code: str
    """Binance's error code, such as ``-2010``, or a name: `rejections.code_of`."""
    count: int


class BookReport(msgspec.Struct, frozen=True, kw_only=True):
    """One book of a grid; `warmup_job.hedge_grid.grid_figures.BookFigures` explains the fields."""

    quantity: Decimal
    entry_price: Decimal
    unrealised: Decimal
    unprotected: Decimal
    unprotected_why: str = ""


class GridReport(msgspec.Struct, frozen=True, kw_only=True):
    """One grid; `warmup_job.hedge_grid.grid_figures.GridFigures` explains the fields."""

    instrument_id: str
    quote_currency: str
    base_currency: str
    regime: str
    equity: Decimal | None
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal
    drawdown_pct: Decimal
    is_stopped: bool
    block_reason: str
    books: dict[str, BookReport]
    open_orders: dict[str, int]
    result_at_ms: int | None = None
    block_kind: str = ""
    breaker_until_ms: int = 0

    @property
    def unprotected(self) -> Decimal:
        """The quantity of both books without an open stop loss, base currency."""
        return sum((each.unprotected for each in self.books.values()), Decimal(0))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole trader. Times are UTC ms by this machine's clock."""

    state: State
    why: str
    mode: str
    at_ms: int
    """When the report was made; a new one follows every few seconds."""
    since_ms: int
    """Since when it is in this state."""
    started_ms: int
    live_after_s: float | None = None
    """Seconds from the process' start until it was live for the first time."""
    trading: bool = False
    """Whether orders may leave."""
    operator: OperatorState = "trading"
    """What the operator wants (``warmup-job trader pause | resume | flatten``)."""
    flatten: FlattenReport | None = None
    """The newest flatten; None: there was none since the start of the process."""
    orders_open: int = 0
    positions_open: int = 0
    streams: tuple[StreamReport, ...] = ()
    account: AccountReport | None = None
    """None on paper."""
    grids: tuple[GridReport, ...] = ()
    """One for each strategy that reports figures."""
    unprotected_ms: int = 0
    """For how many ms some quantity of a grid has been without a stop loss."""
    rejections: tuple[Rejections, ...] = ()
    uncancelled: UncancelledReport | None = None
    """Entries that should be cancelled; None: there are none."""
    clock_offset_ms: int | None = None
    """This machine's time minus the exchange's, ms; None: not known yet."""

    @property
    def ready(self) -> bool:
        """Whether the trader is live and its streams are contiguous."""
        return self.state == "live" and self.trading


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """The trader has entered a state."""

    at_ms: int
    """UTC ms by this machine's clock."""
    state: State
    why: str
    """The reason at that time; it may have changed within the state."""


class Reporter:
    """Passes reports on, and makes one on request, also before there is a runner.

    Args:
        mode: ``paper`` or ``live``.
        on_report: is called with every report, and at once with that of the start.
    """

    def __init__(self, mode: str, on_report: Callable[[Report], object]) -> None:
        self._on_report = on_report
        self.make: Callable[[], Report] | None = None
        """Makes the present report, once there is a runner."""
        self.make_markets: Callable[[], Markets | None] = lambda: None
        """Makes what the page shows of a node, once there is a runner."""
        at_ms = now_ms()
        self._starting = Report(
            state="starting",
            why="",
            mode=mode,
            at_ms=at_ms,
            since_ms=at_ms,
            started_ms=process_started_ms(),
        )
        self._changes: deque[StateChange] = deque(maxlen=_CHANGES)
        self.publish(self._starting)

    @property
    def changes(self) -> tuple[StateChange, ...]:
        """The last changes of the trader's state, the newest first."""
        return tuple(reversed(self._changes))

    def publish(self, report: Report) -> None:
        """Pass a report on, and remember the state if it is another one than before."""
        if not self._changes or self._changes[-1].state != report.state:
            change = StateChange(at_ms=report.since_ms, state=report.state, why=report.why)
            self._changes.append(change)
        self._on_report(report)

    def now(self) -> Report:
        """Return the present report."""
        if self.make is not None:
            return self.make()
        return msgspec.structs.replace(self._starting, at_ms=now_ms())

    def markets(self) -> Markets | None:
        """Return what the page shows of the running node; None: there is no node yet."""
        return self.make_markets()


def now_ms() -> int:
    """Return this machine's time, UTC ms."""
    return time.time_ns() // 1_000_000


def process_started_ms() -> int:
    """Return when this process started, UTC ms; now where /proc does not show it."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        return now_ms() - round((up_s - ticks / os.sysconf("SC_CLK_TCK")) * 1000)
    except (OSError, ValueError, IndexError):
        return now_ms()
