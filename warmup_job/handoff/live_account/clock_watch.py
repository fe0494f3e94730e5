"""Watches this machine's clock, and keeps our idea of the exchange's clock."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.errors import TraderError, WarmupError
from warmup_job.handoff.reporting.report import now_ms
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.signing_clock import AHEAD_MS, clock_problem

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_SYNC_S = 600.0
_SYNC_AGAIN_S = 5.0
"""While this machine's clock is wrong, how long until the exchange's time is asked for again."""


class ClockWatch:
    """Compares the exchange's clock with this machine's, and with Nautilus', which signs orders.

    Args:
        client: asks for the exchange's time, and keeps it on a clock that never jumps.
        listener: the runner.
        signs: whether orders are signed; without, a wrong clock does no harm.
    """

    def __init__(self, client: BinanceClient, listener: RunListener, *, signs: bool) -> None:
        self._client = client
        self._listener = listener
        self._signs = signs
        self._doubt = asyncio.Event()
        self.problem = ""
        """Why orders would be refused because of the clock; empty: they would not."""

    @property
    def offset_ms(self) -> int:
        """This machine's time minus the exchange's, ms."""
        return now_ms() - self._client.now_ms()

    def look(self, nautilus_ms: int) -> None:
        """Compare the clocks; this asks the exchange for nothing.

        Nautilus' clock follows this machine's but never goes back. After a step back it stands
        still until the machine's has caught up, and all timers of Nautilus with it.

        Args:
            nautilus_ms: the time that Nautilus signs with, UTC ms; take it right before the call.

        Raises:
            TraderError: this machine's clock is right, and Nautilus' is ahead of the exchange's.
        """
        if not self._signs:
            return
        host_ms, exchange_ms = now_ms(), self._client.now_ms()
        offset_ms = host_ms - exchange_ms
        ahead_ms = nautilus_ms - exchange_ms
        if ahead_ms > AHEAD_MS and not clock_problem(offset_ms):
            raise TraderError(
                f"this machine's clock was set back, and Nautilus signs {ahead_ms / 1000:.1f} s "
                "ahead of the exchange, which refuses that: only a new start takes the right time"
            )
        before, self.problem = self.problem, clock_problem(offset_ms)
        if bool(before) == bool(self.problem):
            return
        if self.problem:
            self._doubt.set()
            logger.warning("{_problem}", event="clock.wrong", _problem=self.problem)
        else:
            logger.info(
                "this machine's clock agrees with the exchange's again", event="clock.right"
            )
        self._listener.on_change()

    def doubt(self) -> None:
        """Ask for the exchange's time soon: its clock may have been set."""
        self._doubt.set()

    async def keep(self) -> None:
        """Ask for the exchange's time every 10 minutes, and whenever one of the clocks is in doubt.

        The task ends with the run.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SYNC_AGAIN_S if self.problem else _SYNC_S):
                    await self._doubt.wait()
            self._doubt.clear()
            with contextlib.suppress(WarmupError):
                await self._client.sync_clock()
