"""What kind of key a secret is, and the one way of writing it that ccxt and Nautilus both read.

Binance has three kinds: HMAC (a text), Ed25519 and RSA (the PEM of a private key). Nautilus trades
with no RSA key. ccxt tells Ed25519 from RSA by the length of the PEM, and Nautilus takes its
last 32 bytes, so both are given the shortest form: PKCS#8 without attributes or public half.
"""

from __future__ import annotations

import base64
import binascii
import re

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_ED25519_DER = re.compile(
    rb"\x30.\x02\x01[\x00\x01]\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20(.{32})", re.DOTALL
)
_BARE_ED25519 = "MC4CAQAwBQYDK2VwBCIEI"  # a PKCS#8 Ed25519 key without its first and last line
WORKS = "Ed25519 (unencrypted PEM) and HMAC keys work"


def signing_secret(secret: str) -> str:
    """``secret`` as both libraries read it: of HMAC as it is, of Ed25519 a PEM.

    A PEM may have lost its line breaks on its way through the environment, or have them as ``\\n``.

    Raises:
        ValueError: it is of a kind that does not work; the reason never quotes it.
    """
    text = secret.replace("\\n", "\n").strip()
    if text.startswith(_BARE_ED25519):
        text = f"-----BEGIN PRIVATE KEY-----{text}-----END PRIVATE KEY-----"
    if "-----BEGIN" not in text:
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError(f"it holds a blank or a line break, and is no PEM: {WORKS}")
        return text
    match = _PEM.fullmatch(text)
    if match is None:
        raise ValueError(f"its PEM is not whole: give all of the file, with its last line; {WORKS}")
    label, body = match[1], "".join(match[2].split())
    if "ENCRYPTED" in label or "ENCRYPTED" in match[2]:
        raise ValueError(
            f"it is encrypted: decrypt it (openssl pkey -in key.pem -out plain.pem); {WORKS}"
        )
    if "PUBLIC" in label:
        raise ValueError(f"it is the public half: give the private key; {WORKS}")
    return _pem(label, body)


def _pem(label: str, body: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key: object
    try:
        der = base64.b64decode(body, validate=True)
        if seed := _ED25519_DER.match(der):  # with its public half too, which others refuse
            key = Ed25519PrivateKey.from_private_bytes(seed[1])
        else:
            key = serialization.load_der_private_key(der, None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"its PEM ({label}) holds no private key: {WORKS}") from None
    if isinstance(key, RSAPrivateKey):
        raise ValueError(f"it is an RSA key, which NautilusTrader does not trade with: {WORKS}")
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"it is a key of a kind that Binance does not take: {WORKS}")
    written: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return written.decode().strip()
