"""The listen keys of the account: what opens its own stream, and for how long."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from warmup_job.local_binance.rest import error_answers
from warmup_job.market.interval import MINUTE_MS

LIFE_MS = 60 * MINUTE_MS
"""How long a listen key lasts after it was given out or kept alive."""
_KEY_BYTES = 32  # 64 digits, as long as Binance's


@dataclass(slots=True)
class ListenKeys:
    """At most one of them is valid at a time. Times are the exchange's UTC ms."""

    _newest: str = field(default="", repr=False)
    _until_ms: dict[str, int] = field(default_factory=dict, repr=False)

    def issue(self, now_ms: int) -> str:
        """The valid one, for another hour, or else a new one."""
        if not self.is_valid(self._newest, now_ms):
            self._newest = secrets.token_hex(_KEY_BYTES)
        self._until_ms[self._newest] = now_ms + LIFE_MS
        return self._newest

    def keep_alive(self, now_ms: int) -> str:
        """The valid one, for another hour; raises :class:`ErrorAnswer` −1125 if there is none."""
        if not self.is_valid(self._newest, now_ms):
            raise error_answers.no_listen_key()
        return self.issue(now_ms)

    def revoke(self) -> str:
        """End the newest one, and say which it was; empty if there was none."""
        ended, self._newest = self._newest, ""
        self._until_ms.pop(ended, None)
        return ended

    def is_valid(self, key: str, now_ms: int) -> bool:
        """Whether ``key`` opens a stream now."""
        return now_ms < self._until_ms.get(key, 0)

    def until_ms(self, key: str) -> int | None:
        """When ``key`` ends or has ended; None if it was taken back, or never given."""
        return self._until_ms.get(key)
