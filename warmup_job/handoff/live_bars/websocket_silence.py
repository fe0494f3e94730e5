"""Which websocket streams are heard, and which are silent for too long."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Heard:
    """Knows when each stream was last heard. Pure: times are seconds of one monotonic clock.

    Args:
        silence_s: how many seconds a stream may be silent.
    """

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.ever = False
        """Whether any message has come at all."""
        self._at_s: dict[str, float] = {}
        self._lost_s: dict[str, float] = {}

    def note(self, stream: str, now_s: float) -> bool:
        """Note a message; return whether it is the stream's first one on this connection."""
        self.ever = True
        first = stream not in self._at_s
        self._at_s[stream] = now_s
        if first:
            self._lost_s.pop(stream, None)
        return first

    def lose(self, streams: Iterable[str], now_s: float) -> bool:
        """Note that the connection of these streams broke; return whether one was heard on it."""
        known = False
        for stream in streams:
            known = self._at_s.pop(stream, None) is not None or known
            self._lost_s.setdefault(stream, now_s)
        return known

    def has(self, stream: str) -> bool:
        """Return whether a message has come on the present connection."""
        return stream in self._at_s

    def forget(self, subscribed: Collection[str]) -> None:
        """Forget every stream that is not subscribed to."""
        for known in (self._at_s, self._lost_s):
            for stream in known.keys() - subscribed:
                del known[stream]

    def silent_s(self, stream: str, now_s: float) -> float | None:
        """Return for how many seconds a stream is silent; None: it was neither heard nor lost."""
        since_s = self._at_s.get(stream, self._lost_s.get(stream))
        return None if since_s is None else now_s - since_s

    def is_silent(self, stream: str, now_s: float) -> bool:
        """Return whether a stream was heard or lost, and is silent for too long."""
        silent_s = self.silent_s(stream, now_s)
        return silent_s is not None and silent_s > self.silence_s


class Reminder:
    """Decides when to log a state that lasts: at once, then at intervals.

    Args:
        every_s: seconds of the state between two logs.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._logged_s: float | None = None

    def is_due(self, lasting_s: float | None) -> bool:
        """Return whether to log a state that has lasted so many seconds; None: it is over."""
        logged_s = self._logged_s
        due = lasting_s is not None and (logged_s is None or lasting_s - logged_s >= self._every_s)
        if due or lasting_s is None:
            self._logged_s = lasting_s
        return due
