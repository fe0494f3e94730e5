"""Who may ask about the account: the key in the header, and the signature of what was sent.

Pure: it is handed the characters of a request and the exchange's time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from warmup_job.errors import ConfigError
from warmup_job.simulator import refusal
from warmup_job.simulator.klines import read_number

if TYPE_CHECKING:
    from collections.abc import Mapping

DEMO_KEY = "local-key"
DEMO_SECRET = "local-secret"  # noqa: S105 - it is public: docs/local-exchange.md
KEY_HEADER = "X-MBX-APIKEY"
RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
AHEAD_MS = 1000
"""How far the client's clock may be ahead of the exchange's."""

_KEY_FORM = r"[0-9A-Za-z_-]{8,128}"
# Listen keys, signatures and Binance's own keys and secrets all look like this.
_TOKEN_FORM = re.compile("[0-9A-Za-z]{64,}")
_CONCEALED = "***"
_NEVER_TOLD = frozenset({"signature", "listenKey", "apiKey"})


class Sent(NamedTuple):
    """What a client has sent to a REST endpoint."""

    params: dict[str, str]
    """Of the query and of the form in the body; the query's come first, and count."""
    payload: str
    """The characters that the signature is of."""
    signature: str


def read_sent(query: str, body: str = "") -> Sent:
    """Read a request's query and body, both as they came: a signature is of those characters."""
    params: dict[str, str] = {}
    for name, value in (*_pairs(query), *_pairs(body)):
        params.setdefault(name, value)
    return Sent(params, _unsigned(query) + _unsigned(body), params.get("signature", ""))


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one pair of key and secret that the exchange knows."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        for name, text in (("api_key", self.key), ("api_secret", self.secret)):
            if not re.fullmatch(_KEY_FORM, text):
                raise ConfigError(f"{name} must be 8 to 128 letters, digits, - and _.")

    def check_key(self, key: str | None) -> None:
        """Check the key of a request.

        Raises:
            Refusal: −2014 there is none, or it cannot be one; −2015 it is not known here.
        """
        if key is None or not re.fullmatch(_KEY_FORM, key):
            raise refusal.malformed_key()
        if not hmac.compare_digest(key, self.key):
            raise refusal.unknown_key()

    def check_signed(self, key: str | None, sent: Sent, now_ms: int) -> None:
        """Check a request that must be signed; ``now_ms`` is the exchange's time.

        Raises:
            Refusal: as above, and −1102 missing, −1100 not a number, −1131 recvWindow, −1021
                timestamp, −1022 signature.
        """
        self.check_key(key)
        timestamp_ms = read_number(sent.params, "timestamp")
        if timestamp_ms is None:
            raise refusal.missing("timestamp")
        if not sent.signature:
            raise refusal.missing("signature")
        window_ms = read_number(sent.params, "recvWindow")
        if window_ms is None:
            window_ms = RECV_WINDOW_MS
        if window_ms > MAX_RECV_WINDOW_MS:
            raise refusal.receive_window_too_long()
        if timestamp_ms >= now_ms + AHEAD_MS:
            raise refusal.ahead_of_the_clock()
        if timestamp_ms < now_ms - window_ms:
            raise refusal.outside_receive_window()
        # Upper or lower case: the documentation says that both will do.
        signature = sent.signature.lower().encode()
        if not hmac.compare_digest(signature, signature_of(self.secret, sent.payload).encode()):
            raise refusal.wrong_signature()

    def concealed(self, path: str, params: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """A path and its parameters as they may be shown: without keys, secrets and signatures."""
        shown = {
            self._concealed(name): self._concealed(value)
            for name, value in params.items()
            if name not in _NEVER_TOLD
        }
        return self._concealed(path), shown

    def _concealed(self, text: str) -> str:
        text = text.replace(self.secret, _CONCEALED).replace(self.key, _CONCEALED)
        return _TOKEN_FORM.sub(_CONCEALED, text)


def signature_of(secret: str, payload: str) -> str:
    """HMAC-SHA256 as lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
