"""Watches for websocket streams that fall silent, and connects again when that lasts."""

from __future__ import annotations

from collections.abc import Iterable

from loguru import logger

from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.live_bars.websocket_silence import Reminder
from warmup_job.handoff.run_listener import RunListener

_SILENCE_LOG_S = 15.0
RECONNECT_AFTER = 3
"""A silence of so many times `trade.silence` is answered with a new connection."""


class SilenceWatch:
    """Reports when a stream falls silent or is heard again, and logs a silence that lasts.

    A websocket can live and say nothing: its pings are answered, so that Nautilus keeps it.

    Args:
        websockets: the node's connections.
        clock: is doubted during a silence.
        listener: the runner.
    """

    def __init__(self, websockets: Websockets, clock: ClockWatch, listener: RunListener) -> None:
        self._websockets = websockets
        self._clock = clock
        self._listener = listener
        self._was_silent = False
        self._reminder = Reminder(_SILENCE_LOG_S)
        self._reconnects = Reminder(websockets.heard.silence_s * RECONNECT_AFTER)

    def look(self, expected: Iterable[str]) -> None:
        """Look at the connections and at the streams that are expected to send messages."""
        self._websockets.look()
        silent = self._websockets.first_silent(expected)
        if self._was_silent != bool(silent):
            self._was_silent = bool(silent)
            self._listener.on_change()
        if self._reminder.is_due(silent and silent[1]) and silent:
            self._clock.doubt()  # events count as old if the exchange's clock was set back
            logger.warning(
                "{stream}: no websocket message for {seconds:.0f} s",
                event="websocket.silent",
                stream=silent[0],
                seconds=silent[1],
            )
        patience_s = self._websockets.heard.silence_s * RECONNECT_AFTER
        lasting_s = silent[1] if silent and silent[1] >= patience_s else None
        if self._reconnects.is_due(lasting_s) and silent:
            self._listener.start_task(self._websockets.reconnect(silent[0]), "reconnect")
