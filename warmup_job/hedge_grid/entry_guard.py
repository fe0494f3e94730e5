"""Whether entries may be sent, and the reason if they may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from nautilus_trader.model.enums import TradingState

from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, make_circuit_breaker
from warmup_job.market.times import NS_PER_MS, NS_PER_S, utc_text
from warmup_job.modes import OperatorState

BlockKind = Literal[
    "operator", "not_active", "not_warm", "drawdown", "limited", "circuit_breaker", "stale_bars"
]
"""What holds the entries back; the label of a metric."""


def time_text(at_ns: int) -> str:
    """Return a time of the present day (Unix ns) as ``HH:MM:SS UTC``, never too early."""
    seconds = -(-at_ns // NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S} UTC"


def limit_text(until_ms: int) -> str:
    """Return that Binance accepts no request of this IP before a time (Unix ms)."""
    return f"Binance limits or bans this IP until {utc_text(until_ms)}"


class Block(NamedTuple):
    """Why no entry may be sent."""

    kind: BlockKind
    text: str


class EntryGuard:
    """Decides whether entries may be sent.

    Args:
        config: The strategy's configuration.
        is_warm: Returns whether the regime detector is warm.
        is_stopped: Returns whether the drawdown has stopped the entries.
    """

    def __init__(
        self,
        config: HedgeGridV1Config,
        is_warm: Callable[[], bool],
        is_stopped: Callable[[], bool],
    ) -> None:
        self.trading = TradingState.ACTIVE
        self.operator: OperatorState = "trading"
        self.bar_ns = 0
        """The close of the newest bar, Unix ns."""
        self.limited_until_ms: Callable[[], int] = lambda: 0
        """Returns until when Binance limits or bans this IP, Unix ms; on_start sets it."""
        self.breaker = make_circuit_breaker(config)
        self._config = config
        self._is_warm = is_warm
        self._is_stopped = is_stopped

    @property
    def is_active(self) -> bool:
        """Whether the trader lets every order leave."""
        return bool(self.trading == TradingState.ACTIVE)

    @property
    def is_halted(self) -> bool:
        """Whether the market data is incomplete."""
        return bool(self.trading == TradingState.HALTED)

    @property
    def is_flattening(self) -> bool:
        """Whether somebody else closes the lots."""
        return self.operator == "flattening"

    def block(self, now_ns: int) -> Block | None:
        """Return why no entry may be sent at ``now_ns`` (Unix ns); None if entries may be sent."""
        if self.operator != "trading":
            return Block("operator", "the operator has paused trading")
        if not self.is_active:
            return Block("not_active", "trading is not active")
        if not self._is_warm():
            return Block("not_warm", "the regime detector is not warm yet")
        if self._is_stopped():
            return Block("drawdown", "the drawdown limit was reached")
        limited_ms = self.limited_until_ms()
        if now_ns < limited_ms * NS_PER_MS:
            return Block("limited", limit_text(limited_ms))
        if self.breaker.is_open(now_ns):
            until = time_text(self.breaker.open_until_ns)
            return Block("circuit_breaker", f"too many order errors: circuit breaker until {until}")
        if now_ns - self.bar_ns > self._config.max_bar_staleness_seconds * NS_PER_S:
            return Block("stale_bars", "the last bar is older than max_bar_staleness_seconds")
        return None

    def restore_breaker(self, open_until_ns: int, now_ns: int) -> None:
        """Let the circuit breaker stay open until a saved time, unless it is switched off."""
        if self._config.enable_circuit_breaker:
            self.breaker.restore(open_until_ns, now_ns)

    def count_error(self, now_ns: int) -> bool:
        """Count an order that failed; return whether this opens the circuit breaker."""
        return self._config.enable_circuit_breaker and self.breaker.count_error(now_ns)
