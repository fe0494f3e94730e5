"""The events of the user data stream, from the account to the websockets of its listen key.

Each event goes once to every open websocket, in the order in which the account sent it. Only a
fault changes that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

from warmup_job.local_binance.faults.fault_spec import FaultTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from warmup_job.local_binance.account.listen_key import ListenKeys
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.faults.fault_board import FaultBoard

_Events = asyncio.Queue[str | None]
"""The events for one websocket; None: look again whether the listen key is valid."""


class UserDataStream:
    """Delivers events to whoever listens with a valid listen key.

    Args:
        listen_keys: The account's listen keys.
        clock: The exchange's clock.
        faults: The faults that drop, delay, repeat or swap events.
    """

    def __init__(self, listen_keys: ListenKeys, clock: ExchangeClock, faults: FaultBoard) -> None:
        self._listen_keys = listen_keys
        self._clock = clock
        self._faults = faults
        self._queues: dict[str, WeakSet[_Events]] = {}
        self._due: deque[tuple[float, str]] = deque()
        self._held: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._release: asyncio.TimerHandle | None = None

    def publish(self, event: Mapping[str, Any]) -> None:
        """Deliver an event of the account; call it in the event loop.

        Args:
            event: The event in Binance's format, with its type in ``e``.
        """
        symbol = event.get("o", {}).get("s", "")
        hits = self._faults.event_faults(FaultTarget(f"/user/{event['e']}", symbol))
        kinds = [fault.kind for fault in hits]
        if "user-mute" in kinds:
            return
        text = msgspec.json.encode(event).decode()
        swap = next((fault for fault in hits if fault.kind == "user-swap"), None)
        if swap is not None and self._held is None:
            self._held = text
            loop = asyncio.get_running_loop()
            self._release = loop.call_later(swap.number or 0, self._send_held)
            return
        delay_s = sum(fault.number or 0 for fault in hits if fault.kind == "user-late")
        for _ in range(2 if "user-double" in kinds else 1):
            self._send(text, delay_s)
        self._send_held()

    def listen(self, listen_key: str) -> AsyncIterator[str] | None:
        """Return the events from now on, and the key's expiry; None if the key is not valid.

        The iterator ends when the key has expired or was revoked.
        """
        if not self._listen_keys.is_valid(listen_key, self._clock.now_ms()):
            return None
        queue: _Events = asyncio.Queue()
        # Weak, because a websocket may end before it has asked for the first event.
        self._queues.setdefault(listen_key, WeakSet()).add(queue)
        return self._events(listen_key, queue)

    def expire(self) -> None:
        """Let the listen key expire now."""
        listen_key = self._listen_keys.expire(self._clock.now_ms())
        for queue in self._queues.get(listen_key, ()):
            queue.put_nowait(None)

    def close(self) -> None:
        """Drop the events that are still delayed."""
        for timer in (self._timer, self._release):
            if timer is not None:
                timer.cancel()
        self._due.clear()

    async def _events(self, listen_key: str, queue: _Events) -> AsyncIterator[str]:
        while (until_ms := self._listen_keys.until_ms(listen_key)) is not None:
            now_ms = self._clock.now_ms()
            if now_ms >= until_ms:
                event = {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key}
                yield msgspec.json.encode(event).decode()
                return
            expiry = asyncio.create_task(self._clock.sleep_until(until_ms))
            arrival = asyncio.create_task(queue.get())
            try:
                await asyncio.wait((expiry, arrival), return_when=asyncio.FIRST_COMPLETED)
                if arrival.done() and (text := arrival.result()) is not None:
                    yield text
            finally:
                expiry.cancel()
                arrival.cancel()

    def _send_held(self) -> None:
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held, 0.0)

    def _send(self, text: str, delay_s: float) -> None:
        """Send an event after its delay, but never before an earlier one."""
        if not self._due and not delay_s:
            self._offer(text)
            return
        due_s = asyncio.get_running_loop().time() + delay_s
        last_s = self._due[-1][0] if self._due else due_s
        self._due.append((max(due_s, last_s), text))
        self._wait()

    def _wait(self) -> None:
        if self._due and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._due[0][0], self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now_s:
            self._offer(self._due.popleft()[1])
        self._wait()

    def _offer(self, text: str) -> None:
        now_ms = self._clock.now_ms()
        for listen_key, queues in self._queues.items():
            if self._listen_keys.is_valid(listen_key, now_ms):
                for queue in queues:
                    queue.put_nowait(text)
