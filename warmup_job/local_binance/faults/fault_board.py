"""The faults of one running exchange: which requests and messages they hit, and when they end."""

from __future__ import annotations

import hashlib
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from warmup_job.local_binance.account.engine_faults import TriggerFault
from warmup_job.local_binance.faults.fault_spec import Fault, FaultStage, FaultTarget

if TYPE_CHECKING:
    from collections.abc import Callable


class TickAndStep(NamedTuple):
    """A symbol's tick and step, as exchangeInfo prints them."""

    tick: str
    step: str
    from_ms: int | None
    """Klines that open at this time (UTC ms) or later use it; None: no kline uses it."""


class ArmedFault(msgspec.Struct):
    """An added fault and its counters."""

    id: str
    fault: Fault
    since_s: float
    """When it was added, by the board's monotonic clock."""
    seen: int = 0
    """How many requests or messages it applied to."""
    fired: int = 0
    """How many of these it hit."""


class FaultBoard(msgspec.Struct):
    """The faults of one exchange, in the order in which they were added."""

    seed: int = 0
    """Seed of the option ``p``: the same seed and requests give the same hits."""
    monotonic_s: Callable[[], float] = time.monotonic
    _armed: dict[str, ArmedFault] = msgspec.field(default_factory=dict)
    _last_id: int = 0

    def add(self, fault: Fault) -> ArmedFault:
        """Add a fault; its counters and its ``for`` start now."""
        self._last_id += 1
        armed = ArmedFault(str(self._last_id), fault, self.monotonic_s())
        self._armed[armed.id] = armed
        return armed

    def remove(self, fault_id: str) -> bool:
        """Remove one fault; return False if the id is unknown."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._armed.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return every added fault with its counters, expired ones included."""
        return [
            {
                "id": armed.id,
                "spec": armed.fault.spec,
                "seen": armed.seen,
                "fired": armed.fired,
                "active": self._can_hit(armed),
            }
            for armed in self._armed.values()
        ]

    def request_faults(self, target: FaultTarget, *, klines: bool) -> tuple[Fault, ...]:
        """Return the faults that hit a REST request, in the order in which they take effect.

        Faults that damage a good answer do not count a request that gets none.

        Args:
            target: The request.
            klines: Whether its answer has kline rows.
        """
        if not self._armed:
            return ()
        delays = self._hits(target, FaultStage.LATE, FaultStage.DELAY)
        instead = (
            FaultStage.FRONT,
            FaultStage.ANSWER,
            FaultStage.NO_ANSWER,
            FaultStage.UNKNOWN,
        )
        if answer := self._hits(target, *instead, at_most_one=True):
            return (*delays, *answer)
        rows = self._hits(target, FaultStage.ROWS) if klines else []
        history = self._hits(target, FaultStage.HISTORY)
        body = self._hits(target, FaultStage.BODY, at_most_one=True)
        return (*delays, *rows, *history, *body)

    def handshake_fault(self, target: FaultTarget, *, user_data: bool) -> Fault | None:
        """Return the fault that refuses a websocket, if any.

        Args:
            target: The websocket.
            user_data: Whether it carries the user data stream.
        """
        stages = [FaultStage.WEBSOCKET, *([FaultStage.USER_STREAM] if user_data else [])]
        return next(iter(self._hits(target, *stages, at_most_one=True)), None)

    def event_faults(self, target: FaultTarget) -> list[Fault]:
        """Return the faults that hit an event of the user data stream."""
        return self._hits(target, FaultStage.USER_EVENT) if self._armed else []

    def message_copies(self, target: FaultTarget) -> int:
        """Return how many times to send a websocket message: 0, 1 or 2."""
        if not self._armed:
            return 1
        hit = self._hits(target, FaultStage.MESSAGE, at_most_one=True)
        return 1 if not hit else 2 if hit[0].kind == "ws-double" else 0

    def fill_pieces(self, symbol: str) -> int:
        """Return in how many fills an order is filled at least; 1: no fault is about it."""
        active = [f for f in self._active(FaultStage.FILLS) if fnmatchcase(symbol, f.where)]
        return max((int(fault.number or 1) for fault in active), default=1)

    def at_trigger(self, symbol: str) -> TriggerFault | None:
        """Return what goes wrong with an algo order that is triggered now; None: nothing."""
        target = FaultTarget(f"/trigger/{symbol}")
        hits = self._hits(target, FaultStage.TRIGGER, at_most_one=True)
        if not hits:
            return None
        if hits[0].kind == "reject-trigger":
            return TriggerFault("reject")
        late_s = hits[0].number
        return TriggerFault("stick", None if late_s is None else round(late_s * 1000))

    def tick_and_step(self, symbol: str) -> TickAndStep | None:
        """Return the tick and step of the newest fault about ``symbol``; None if there is none."""
        changes = [f for f in self._active(FaultStage.LISTING) if fnmatchcase(symbol, f.where)]
        if not changes:
            return None
        tick, step, *from_ms = changes[-1].word.split("/")
        return TickAndStep(tick, step, int(from_ms[0]) if from_ms else None)

    def skew_ms(self) -> int:
        """Return by how many ms faults shift the exchange's clock; > 0: it is ahead."""
        return sum(round((f.number or 0) * 1000) for f in self._active(FaultStage.CLOCK))

    def refuse_seconds_left(self) -> float:
        """Return for how many more seconds the port stays closed; 0: it is open."""
        now_s = self.monotonic_s()
        ends = (
            armed.since_s + (armed.fault.for_s or 0) - now_s
            for armed in self._armed.values()
            if armed.fault.stage is FaultStage.PORT
        )
        return max((0.0, *ends))

    def seconds_left(self, fault: Fault) -> float | None:
        """Return for how many more seconds a fault lasts; None if it has no ``for``."""
        now_s = self.monotonic_s()
        for armed in self._armed.values():
            if armed.fault is fault and fault.for_s is not None:
                return max(0.0, armed.since_s + fault.for_s - now_s)
        return None

    def _hits(
        self, target: FaultTarget, *stages: FaultStage, at_most_one: bool = False
    ) -> list[Fault]:
        """Count a request or message, and return the faults of these stages that hit it.

        With ``at_most_one`` the first hit ends the search, and later faults do not count it.
        """
        hits: list[Fault] = []
        for armed in self._armed.values():
            fault = armed.fault
            if fault.stage not in stages or not self._lasts(armed) or not fault.applies(target):
                continue
            hit = fault.hits(armed.seen, armed.fired, self._draw(armed))
            armed.seen += 1
            if hit:
                armed.fired += 1
                hits.append(fault)
                if at_most_one:
                    break
        return hits

    def _active(self, stage: FaultStage) -> list[Fault]:
        return [
            armed.fault
            for armed in self._armed.values()
            if armed.fault.stage is stage and self._lasts(armed)
        ]

    def _lasts(self, armed: ArmedFault) -> bool:
        return armed.fault.lasts(self.monotonic_s() - armed.since_s)

    def _can_hit(self, armed: ArmedFault) -> bool:
        times = armed.fault.times
        return self._lasts(armed) and (times is None or armed.fired < times)

    def _draw(self, armed: ArmedFault) -> float:
        if armed.fault.share >= 1:
            return 0.0
        text = f"{self.seed}/{armed.id}/{armed.seen}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64
