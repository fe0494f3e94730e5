"""Convert an API secret into the one form that both ccxt and Nautilus read.

Binance has three kinds of keys: HMAC (text), Ed25519 and RSA (PEM of a private key). Nautilus does
not support RSA. ccxt distinguishes Ed25519 from RSA by the length of the PEM, and Nautilus reads
its last 32 bytes, so both get the shortest form: PKCS#8 without attributes and public key.
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
_SUPPORTED = "use an Ed25519 key (unencrypted PEM) or an HMAC key"


def signing_secret(secret: str) -> str:
    """Return ``secret`` in the form that both libraries read: HMAC unchanged, Ed25519 as PEM.

    A PEM from the environment may have no line breaks, or a backslash and an n in their place.

    Raises:
        ValueError: The key is of an unsupported kind. The message never quotes it.
    """
    text = secret.replace("\\n", "\n").strip()
    if text.startswith(_BARE_ED25519):
        text = f"-----BEGIN PRIVATE KEY-----{text}-----END PRIVATE KEY-----"
    if "-----BEGIN" not in text:
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError(f"it holds a blank or a line break and is not a PEM: {_SUPPORTED}")
        return text
    match = _PEM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"its PEM is incomplete: copy the whole file with its last line; {_SUPPORTED}"
        )
    label, body = match[1], "".join(match[2].split())
    if "ENCRYPTED" in label or "ENCRYPTED" in match[2]:
        raise ValueError(
            f"it is encrypted: decrypt it (openssl pkey -in key.pem -out plain.pem); {_SUPPORTED}"
        )
    if "PUBLIC" in label:
        raise ValueError(f"it is a public key: give the private key; {_SUPPORTED}")
    return _pem(label, body)


def _pem(label: str, body: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key: object
    try:
        der = base64.b64decode(body, validate=True)
        if seed := _ED25519_DER.match(
            der
        ):  # also with a public key, which the parser below rejects
            key = Ed25519PrivateKey.from_private_bytes(seed[1])
        else:
            key = serialization.load_der_private_key(der, None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"its PEM ({label}) holds no private key: {_SUPPORTED}") from None
    if isinstance(key, RSAPrivateKey):
        raise ValueError(f"it is an RSA key, which NautilusTrader does not support: {_SUPPORTED}")
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"it is a key of a kind that Binance does not accept: {_SUPPORTED}")
    written: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return written.decode().strip()
