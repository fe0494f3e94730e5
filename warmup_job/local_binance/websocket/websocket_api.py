"""The futures' websocket API: logging on, and the listen key of the user data stream.

Only an Ed25519 key can log on. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-api-general-info
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from warmup_job.local_binance.account.signature import ClientRequest
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

if TYPE_CHECKING:
    from warmup_job.local_binance.account.listen_key import ListenKeys
    from warmup_job.local_binance.account.signature import Credentials
    from warmup_job.local_binance.exchange_clock import ExchangeClock

PATH = "/ws-fapi/v1"
_PING_SECONDS = 180.0


class WebsocketApi:
    """The websocket API and its connections; each connection logs on for itself.

    Args:
        credentials: Check keys and signatures.
        listen_keys: The account's listen keys.
        clock: The exchange's clock.
    """

    def __init__(
        self,
        credentials: Credentials,
        listen_keys: ListenKeys,
        clock: ExchangeClock,
    ) -> None:
        self._credentials = credentials
        self._listen_keys = listen_keys
        self._clock = clock
        self._sockets: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Run one websocket from its handshake to its end."""
        socket = web.WebSocketResponse(heartbeat=_PING_SECONDS)
        await socket.prepare(request)
        self._sockets.add(socket)
        session = _Session(self)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await socket.send_str(session.answer(message.data))
        except ConnectionError:
            pass  # the client has closed the connection
        finally:
            self._sockets.discard(socket)
        return socket

    async def close(self) -> None:
        """Close every websocket ("going away")."""
        closing = (asyncio.wait_for(socket.close(code=1001), 1.0) for socket in self._sockets)
        await asyncio.gather(*closing, return_exceptions=True)

    def log_on(self, params: Mapping[str, str]) -> object:
        """Check the key and signature of a logon request, and answer it.

        Raises:
            ErrorAnswer: As for a signed REST request; −4056 if the exchange has an HMAC key.
        """
        if not self._credentials.is_ed25519:
            raise error_answers.key_cannot_log_on()
        signed = sorted((name, value) for name, value in params.items() if name != "signature")
        payload = "&".join(f"{name}={value}" for name, value in signed)
        sent = ClientRequest(dict(params), payload, params.get("signature", ""))
        now_ms = self._clock.now_ms()
        self._credentials.check_signed(params.get("apiKey"), sent, now_ms)
        return {
            "apiKey": params["apiKey"],
            "authorizedSince": now_ms,
            "connectedSince": now_ms,
            "returnRateLimits": False,
            "serverTime": now_ms,
        }

    def start(self) -> object:
        """Issue or extend the listen key."""
        return {"listenKey": self._listen_keys.issue(self._clock.now_ms())}

    def ping(self) -> object:
        """Extend the listen key."""
        return {"listenKey": self._listen_keys.keep_alive(self._clock.now_ms())}

    def stop(self) -> object:
        """Revoke the listen key."""
        self._listen_keys.revoke()
        return {}


class _Session:
    """One connection."""

    def __init__(self, api: WebsocketApi) -> None:
        self._api = api
        self._is_logged_on = False

    def answer(self, text: str) -> str:
        number: object = None
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
            number = request.get("id")
            answer = {"id": number, "status": 200, "result": self._result(request)}
        except msgspec.DecodeError:
            answer = _refused(number, error_answers.malformed_request())
        except ErrorAnswer as refused:
            answer = _refused(number, refused)
        return msgspec.json.encode(answer | {"rateLimits": []}).decode()

    def _result(self, request: Mapping[str, Any]) -> object:
        method, params = request.get("method"), request.get("params") or {}
        if not isinstance(params, dict):
            raise error_answers.malformed_request()
        if method == "session.logon":
            result = self._api.log_on({name: str(value) for name, value in params.items()})
            self._is_logged_on = True
            return result
        acts: dict[object, Callable[[], object]] = {
            "userDataStream.start": self._api.start,
            "userDataStream.ping": self._api.ping,
            "userDataStream.stop": self._api.stop,
        }
        if method not in acts:
            raise error_answers.unknown_method()
        if not self._is_logged_on:
            raise error_answers.malformed_key()
        return acts[method]()


def _refused(number: object, refused: ErrorAnswer) -> dict[str, Any]:
    error = {"code": refused.code, "msg": refused.message}
    return {"id": number, "status": refused.status, "error": error}
