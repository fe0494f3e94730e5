"""Checks API keys and signatures of requests. Pure.

A signature is HMAC-SHA256 with the secret, or Ed25519 with the private key of the exchange's public
key (https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from warmup_job.errors import ConfigError
from warmup_job.local_binance.prices.kline_pages import read_number
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

DEMO_KEY = "local-key"
DEMO_SECRET = "local-secret"  # noqa: S105 - it is public: docs/reference/local-exchange.md
KEY_HEADER = "X-MBX-APIKEY"
RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
AHEAD_MS = 1000
"""Limit, exclusive, by which a request's timestamp may be ahead of the exchange's clock."""

_KEY_FORM = r"[0-9A-Za-z_-]{8,128}"
# Listen keys, signatures and Binance's own keys and secrets all look like this.
_TOKEN_FORM = re.compile("[0-9A-Za-z]{64,}")
_CONCEALED = "***"
_NEVER_TOLD = frozenset({"signature", "listenKey", "apiKey"})


class ClientRequest(NamedTuple):
    """The parameters and the signature of a REST request."""

    params: dict[str, str]
    """Parameters of the query and of the form in the body; the query's take precedence."""
    payload: str
    """The characters that are signed."""
    signature: str


def read_client_request(query: str, body: str = "") -> ClientRequest:
    """Read a request's raw query and body; the signature covers their exact characters."""
    params: dict[str, str] = {}
    for name, value in (*_pairs(query), *_pairs(body)):
        params.setdefault(name, value)
    return ClientRequest(params, _unsigned(query) + _unsigned(body), params.get("signature", ""))


@dataclass(frozen=True, slots=True)
class Credentials:
    """The only key and secret that the exchange accepts.

    Raises:
        ConfigError: The key or the secret is malformed.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    """An HMAC secret, or an Ed25519 public key in PEM format."""
    _public: Ed25519PublicKey | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        named = [("api_key", self.key)]
        if "-----BEGIN" in self.secret:
            object.__setattr__(self, "_public", _public_key(self.secret))
        else:
            named.append(("api_secret", self.secret))
        for name, text in named:
            if not re.fullmatch(_KEY_FORM, text):
                raise ConfigError(f"{name} must have 8 to 128 letters, digits, - and _.")

    @property
    def is_ed25519(self) -> bool:
        """Whether requests are signed with Ed25519 instead of HMAC."""
        return self._public is not None

    def check_key(self, key: str | None) -> None:
        """Check the key of a request.

        Raises:
            ErrorAnswer: −2014 for a missing or malformed key, −2015 for an unknown one.
        """
        if key is None or not re.fullmatch(_KEY_FORM, key):
            raise error_answers.malformed_key()
        if not hmac.compare_digest(key, self.key):
            raise error_answers.unknown_key()

    def check_signed(self, key: str | None, sent: ClientRequest, now_ms: int) -> None:
        """Check the key, the timestamp and the signature of a request.

        Args:
            key: The key in the request's header.
            sent: The request.
            now_ms: The exchange's time, UTC ms.

        Raises:
            ErrorAnswer: As `check_key`; −1102 for a missing parameter, −1100 for one that is not a
                number, −1131 for recvWindow, −1021 for the timestamp, −1022 for the signature.
        """
        self.check_key(key)
        timestamp_ms = read_number(sent.params, "timestamp")
        if timestamp_ms is None:
            raise error_answers.missing("timestamp")
        if not sent.signature:
            raise error_answers.missing("signature")
        window_ms = read_number(sent.params, "recvWindow")
        if window_ms is None:
            window_ms = RECV_WINDOW_MS
        if window_ms > MAX_RECV_WINDOW_MS:
            raise error_answers.receive_window_too_long()
        if timestamp_ms >= now_ms + AHEAD_MS:
            raise error_answers.ahead_of_the_clock()
        if timestamp_ms < now_ms - window_ms:
            raise error_answers.outside_receive_window()
        if not self._has_signed(sent):
            raise error_answers.wrong_signature()

    def _has_signed(self, sent: ClientRequest) -> bool:
        if self._public is None:
            # Binance accepts upper and lower case.
            signature = sent.signature.lower().encode()
            right = signature_of(self.secret, sent.payload).encode()
            return hmac.compare_digest(signature, right)
        try:
            self._public.verify(
                base64.b64decode(sent.signature, validate=True), sent.payload.encode()
            )
        except (InvalidSignature, ValueError):
            return False
        return True

    def concealed(self, path: str, params: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Remove keys, secrets and signatures from a path and its parameters."""
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
    """Return the HMAC-SHA256 as lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("api_secret must be an HMAC secret or an Ed25519 public key (PEM).")
    return key


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))
