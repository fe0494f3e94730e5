"""The strategy's log."""

from __future__ import annotations

from nautilus_trader.common.enums import LogColor
from nautilus_trader.trading.strategy import Strategy


class GridLog:
    """Logs as a strategy.

    Args:
        strategy: Whose log it is.
        is_quiet: Whether normal events are left out.
    """

    def __init__(self, strategy: Strategy, *, is_quiet: bool) -> None:
        self._strategy = strategy
        self._is_quiet = is_quiet

    def info(self, message: str, color: LogColor = LogColor.NORMAL) -> None:
        """Log a normal event."""
        if not self._is_quiet:
            self._strategy.log.info(message, color)

    def warning(self, message: str) -> None:
        """Log what is unusual."""
        self._strategy.log.warning(message)

    def error(self, message: str) -> None:
        """Log what a person must act on."""
        self._strategy.log.error(message)
