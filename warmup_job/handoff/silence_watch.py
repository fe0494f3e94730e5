"""Watches for websocket streams that fall silent, and keeps our idea of the exchange's clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.errors import WarmupError
from warmup_job.handoff.run_listener import RunListener
from warmup_job.handoff.websocket import Websockets
from warmup_job.handoff.websocket_silence import Reminder

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient

_CLOCK_SYNC_S = 600.0
_SILENCE_LOG_S = 15.0


class SilenceWatch:
    """Reports when a stream falls silent or is heard again, and logs a silence that lasts.

    Args:
        websockets: the node's connections.
        client: asks for the exchange's time.
        listener: the runner.
    """

    def __init__(
        self, websockets: Websockets, client: BinanceClient, listener: RunListener
    ) -> None:
        self._websockets = websockets
        self._client = client
        self._listener = listener
        self._was_silent = False
        self._reminder = Reminder(_SILENCE_LOG_S)
        self._clock_doubt = asyncio.Event()

    def look(self, expected: Iterable[str]) -> None:
        """Look at the connections and at the streams that are expected to send messages."""
        self._websockets.look()
        silent = self._websockets.first_silent(expected)
        if self._was_silent != bool(silent):
            self._was_silent = bool(silent)
            self._listener.on_change()
        if self._reminder.is_due(silent and silent[1]) and silent:
            self._clock_doubt.set()  # events count as old if the exchange's clock was set back
            logger.warning("{}: no websocket message for {:.0f} s", *silent)

    async def keep_clock(self) -> None:
        """Ask for the exchange's time every 10 minutes, and when a stream is silent."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOCK_SYNC_S):
                    await self._clock_doubt.wait()
            self._clock_doubt.clear()
            with contextlib.suppress(WarmupError):
                await self._client.sync_clock()
