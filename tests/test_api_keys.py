"""API keys of each of Binance's kinds: which can sign, and the error for those that cannot."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.exchange import Exchange, running_exchange
from tests.support.keys import ED25519, RSA, WRITTEN, pem, public_pem
from tests.support.suite import HANG_S
from warmup_job.binance.api_keys import signing_secret
from warmup_job.binance.futures_account import fetch_account
from warmup_job.errors import WarmupError

KEY = "local-key"


def with_public_half() -> str:
    """PKCS#8 version 2, as some tools write it: the public key follows the private one."""
    public = ED25519.public_key().public_bytes_raw()
    inside = bytes.fromhex("020101300506032b657004220420") + bytes(range(32))
    inside += b"\x81\x21\x00" + public
    body = base64.b64encode(bytes([0x30, len(inside)]) + inside).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


every_form = pytest.mark.parametrize(
    "secret",
    [
        WRITTEN,
        WRITTEN.strip(),
        f"\n {WRITTEN}\n\n",
        WRITTEN.replace("\n", "\r\n"),
        WRITTEN.replace("\n", "\\n"),
        WRITTEN.replace("\n", " "),
        WRITTEN.replace("\n", ""),
        WRITTEN.splitlines()[1],
        with_public_half(),
    ],
    ids=["file", "stripped", "blanks", "crlf", "escaped", "blanked", "joined", "bare", "v2"],
)


@every_form
def test_api_keys_ed25519_is_read_in_every_form(secret: str) -> None:
    read = signing_secret(secret)
    assert read == WRITTEN.strip()
    assert len(read) <= 120  # ccxt treats a longer key as RSA


@every_form
def test_api_keys_ed25519_can_then_be_read_by_nautilus(secret: str) -> None:
    from nautilus_trader.adapters.binance.common.credentials import (
        extract_ed25519_private_key,
        is_ed25519_private_key,
    )

    read = signing_secret(secret)
    assert is_ed25519_private_key(read)
    assert extract_ed25519_private_key(read) == bytes(range(32))


def test_api_keys_hmac_secret_is_used_unchanged() -> None:
    assert signing_secret(" " + "aZ09" * 16 + "\n") == "aZ09" * 16


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (pem(RSA), "it is an RSA key"),
        (pem(RSA, serialization.PrivateFormat.TraditionalOpenSSL), "it is an RSA key"),
        (pem(ED25519, password=b"Hush"), "it is encrypted: decrypt it (openssl pkey"),
        (
            pem(RSA, serialization.PrivateFormat.TraditionalOpenSSL, b"Hush"),
            "it is encrypted: decrypt it",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), "a kind that Binance does not accept"),
        (public_pem(), "it is a public key"),
        (WRITTEN[:-30], "its PEM is incomplete"),
        (WRITTEN.replace("MC4C", "MC5C"), "holds no private key"),
        (WRITTEN.replace("MC4C", "M*4C"), "holds no private key"),
        ("Hush Hush", "it holds a blank or a line break"),
    ],
)
def test_api_keys_that_cannot_sign_are_refused_with_the_kinds_that_can(
    secret: str, words: str
) -> None:
    with pytest.raises(
        ValueError, match=r"an Ed25519 key \(unencrypted PEM\) or an HMAC"
    ) as caught:
        signing_secret(secret)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    for part in ("Hush", secret.split("\n")[min(1, secret.count("\n"))][:30]):
        assert part not in str(caught.value).replace("-----BEGIN PUBLIC KEY-----", "")


def test_api_keys_ed25519_key_signs_account_requests() -> None:
    with running_exchange(api_secret=public_pem()) as running:

        def look(secret: str) -> object:
            return asyncio.run(
                fetch_account(running.url, KEY, secret, ["BTCUSDT"], running.now_ms())
            )

        account = look(signing_secret(WRITTEN.replace("\n", "\r\n")))
        assert account.can_trade is True  # type: ignore[attr-defined]
        assert account.problems == ()  # type: ignore[attr-defined]
        other = look(pem(Ed25519PrivateKey.generate()).strip())
        assert "does not accept the signature" in other.problems[0]  # type: ignore[attr-defined]
        hmac = look("local-secret")
        assert "does not accept the signature" in hmac.problems[0]  # type: ignore[attr-defined]


def test_api_keys_ed25519_signature_is_refused_by_an_hmac_account() -> None:
    with running_exchange() as running:
        account = asyncio.run(
            fetch_account(running.url, KEY, WRITTEN.strip(), ["BTCUSDT"], running.now_ms())
        )
        assert "does not accept the signature" in account.problems[0]


def test_api_keys_local_exchange_accepts_only_ed25519_public_keys() -> None:
    for given in (WRITTEN, public_pem()[:-40], pem(RSA)):
        with (
            pytest.raises(WarmupError, match="Ed25519 public key"),
            running_exchange(api_secret=given),
        ):
            raise AssertionError


# -- the local exchange's websocket API ----------------------------------------------------------


def signed(params: dict[str, object], key: Ed25519PrivateKey = ED25519) -> dict[str, object]:
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": base64.b64encode(key.sign(payload.encode())).decode()}


def talk(running: Exchange, *requests: object) -> list[Any]:
    """Send these messages on one connection and return the responses."""

    async def connect() -> list[Any]:
        answers = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{running.ws_url}/ws-fapi/v1") as socket,
        ):
            for request in requests:
                text = request if isinstance(request, str) else json.dumps(request)
                await socket.send_str(text)
                answers.append(await socket.receive_json(timeout=HANG_S))
        return answers

    return asyncio.run(connect())


def outcome(answer: dict[str, Any]) -> tuple[int, int | None]:
    return answer["status"], answer["error"]["code"] if "error" in answer else None


def test_api_keys_websocket_api_gives_a_listen_key_after_logon() -> None:
    with running_exchange(api_secret=public_pem()) as running:
        at = {"apiKey": KEY, "timestamp": running.now_ms()}
        start = {"id": 7, "method": "userDataStream.start"}
        refused, on, started, pinged, stopped, again, unknown, broken, listed = talk(
            running,
            start,
            {"id": "a", "method": "session.logon", "params": signed(at)},
            start,
            {"id": 8, "method": "userDataStream.ping", "params": {"listenKey": "x"}},
            {"id": 9, "method": "userDataStream.stop"},
            {"id": 10, "method": "userDataStream.ping"},
            {"id": 11, "method": "order.place"},
            "{",
            {"id": 12, "method": "session.logon", "params": [1]},
        )
    assert outcome(refused) == (401, -2014)
    assert (on["id"], outcome(on), on["result"]["apiKey"]) == ("a", (200, None), KEY)
    assert (started["id"], len(started["result"]["listenKey"])) == (7, 64)
    assert pinged["result"] == started["result"]
    assert stopped["result"] == {}
    assert outcome(again) == (400, -1125)
    assert outcome(unknown) == (400, -1000)
    assert outcome(broken) == outcome(listed) == (400, -1135)


def test_api_keys_websocket_api_refuses_a_key_of_another_account() -> None:
    def log_on(running: Exchange, params: dict[str, object]) -> tuple[int, int | None]:
        (answer,) = talk(running, {"id": 1, "method": "session.logon", "params": params})
        return outcome(answer)

    with running_exchange(api_secret=public_pem()) as running:
        at = {"apiKey": KEY, "timestamp": running.now_ms()}
        assert log_on(running, signed(at, Ed25519PrivateKey.generate())) == (400, -1022)
        assert log_on(running, signed(at) | {"timestamp": running.now_ms() + 1}) == (400, -1022)
        assert log_on(running, at | {"signature": "no base64!"}) == (400, -1022)
        assert log_on(running, signed(at | {"apiKey": "another-key"})) == (401, -2015)
        assert log_on(running, signed(at | {"timestamp": 1})) == (400, -1021)
        assert log_on(running, at) == (400, -1102)
        assert log_on(running, {}) == (401, -2014)
    with running_exchange() as running:
        at = {"apiKey": KEY, "timestamp": running.now_ms()}
        assert log_on(running, signed(at)) == (400, -4056)
