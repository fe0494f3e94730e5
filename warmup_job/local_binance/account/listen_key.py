"""The listen keys that open the account's user data stream."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from warmup_job.local_binance.rest import error_answers
from warmup_job.market.interval import MINUTE_MS

LIFE_MS = 60 * MINUTE_MS
"""Validity of a listen key after it was issued or kept alive (Binance: 60 minutes)."""
_KEY_BYTES = 32  # 64 hexadecimal digits, like Binance's


def has_listen_key(text: str) -> bool:
    """Return whether a path or a stream's name contains a listen key, valid or not."""
    return re.search(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", text) is not None


@dataclass(slots=True)
class ListenKeys:
    """Issues listen keys, of which at most one is valid. Times are the exchange's UTC ms."""

    on_revoked: Callable[[str], None]
    """Called with a revoked key, to close its streams."""
    _newest: str = field(default="", repr=False)
    _until_ms: dict[str, int] = field(default_factory=dict, repr=False)

    def issue(self, now_ms: int) -> str:
        """Extend the valid key by an hour and return it; issue a new one if none is valid."""
        if not self.is_valid(self._newest, now_ms):
            self._newest = secrets.token_hex(_KEY_BYTES)
        self._until_ms[self._newest] = now_ms + LIFE_MS
        return self._newest

    def keep_alive(self, now_ms: int) -> str:
        """Extend the valid key by an hour and return it.

        Raises:
            ErrorAnswer: −1125, no key is valid.
        """
        if not self.is_valid(self._newest, now_ms):
            raise error_answers.no_listen_key()
        return self.issue(now_ms)

    def revoke(self) -> None:
        """Revoke the newest key, if there is one."""
        if not self._newest:
            return
        revoked, self._newest = self._newest, ""
        self._until_ms.pop(revoked, None)
        self.on_revoked(revoked)

    def expire(self, now_ms: int) -> str:
        """Let the newest key expire now, and return it; empty: there is none."""
        if self._newest in self._until_ms:
            self._until_ms[self._newest] = min(now_ms, self._until_ms[self._newest])
        return self._newest

    def is_valid(self, key: str, now_ms: int) -> bool:
        """Return whether ``key`` opens a stream now."""
        return now_ms < self._until_ms.get(key, 0)

    def until_ms(self, key: str) -> int | None:
        """Return when ``key`` expires or has expired; None if it was revoked or never issued."""
        return self._until_ms.get(key)
