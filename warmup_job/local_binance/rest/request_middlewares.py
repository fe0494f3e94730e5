"""The middlewares of the exchange: the request log, network faults and the weight meter."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from warmup_job.local_binance.account.listen_key import has_listen_key
from warmup_job.local_binance.account.signature import ClientRequest, read_client_request
from warmup_job.local_binance.faults.distortion import error_answer_of, unknown_answer_of
from warmup_job.local_binance.faults.fault_spec import Fault, FaultStage, FaultTarget
from warmup_job.local_binance.listening_socket import reset
from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.local_binance.rest.market_rest import KLINE_PATHS
from warmup_job.local_binance.rest.order_rate import order_counts
from warmup_job.local_binance.rest.responses import (
    FAULTS,
    cut,
    error_answer,
    first,
    html_answer,
)
from warmup_job.local_binance.rest.signed_requests import CLIENT_REQUEST
from warmup_job.local_binance.rest.weight_meter import WeightMeter, request_weight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Middleware

    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.rest.order_rate import OrderRate
    from warmup_job.local_binance.rest.request_log import RequestLog
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.market.pages import Market

_BODIES = {"empty": b"", "null": b"null", "object": b'{"status":"ok"}'}
_WEIGHT = web.RequestKey("weight", int)
"""A request's weight, as logged and charged; 0 if the exchange itself does not see the request."""
_LOOK_SECONDS = 0.02  # between two checks whether the client of an unanswered request is connected


class RequestMiddlewares:
    """Log each request, apply the faults that hit it, and count its weight.

    Args:
        clock: The exchange's clock.
        faults: The faults of the exchange.
        meter: Counts the weights.
        order_rate: Counts the orders.
        log: The log of requests.
        latency_ms: Delay of every REST request, ms.
    """

    def __init__(
        self,
        clock: ExchangeClock,
        faults: FaultBoard,
        meter: WeightMeter,
        order_rate: OrderRate,
        log: RequestLog,
        latency_ms: int,
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._meter = meter
        self._order_rate = order_rate
        self._log = log
        self._latency_ms = latency_ms
        self._stopping = asyncio.Event()

    def in_order(self) -> list[Middleware]:
        """Return the middlewares, outermost first."""
        return [self._record, self._interfere, self._charge]

    def release(self) -> None:
        """End the requests that still wait for an answer; call it when the exchange stops."""
        self._stopping.set()

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Log the request and its status, and decide which faults hit it.

        The control interface (/_sim) has no faults and is not logged.
        """
        path = request.path
        if path.startswith("/_sim/"):
            return await handler(request)
        market = _rest_market(path)
        at_ms = self._clock.now_ms()
        params: Mapping[str, str] = request.query
        faults: tuple[Fault, ...] = ()
        if market is None:
            if _wants_websocket(request):
                return await self._record_websocket(request, handler, at_ms)
        else:
            params = (await _read_request(request)).params
            target = FaultTarget(
                path, params.get("symbol", ""), params.get("interval", ""), request.method
            )
            faults = self._faults.request_faults(target, klines=path in KLINE_PATHS)
        free = market is None or first(faults, FaultStage.FRONT)
        request[_WEIGHT] = 0 if free else request_weight(path, params, request.method)
        request[FAULTS] = faults
        arrival = self._log.begin(request.method, path, params, request[_WEIGHT], at_ms, faults)
        status: int | None = None if first(faults, FaultStage.NO_ANSWER) else 500
        try:
            response = await handler(request)
            if status is not None:
                status = response.status
        finally:
            arrival.ended(status)
        return response

    async def _record_websocket(
        self, request: web.Request, handler: Handler, at_ms: int
    ) -> web.StreamResponse:
        refused = self._faults.handshake_fault(
            FaultTarget(request.path), user_data=has_listen_key(request.raw_path)
        )
        faults = () if refused is None else (refused,)
        arrival = self._log.begin(request.method, request.path, request.query, 0, at_ms, faults)
        # Logged at the start, because a websocket may last for days.
        arrival.ended(101 if refused is None else 503)
        if refused is not None:
            return web.Response(status=503)
        return await handler(request)

    @web.middleware
    async def _interfere(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Act as the network between client and exchange.

        A request is delayed by ``latency_ms`` and may be answered by a firewall; an answer may be
        late, damaged or lost.
        """
        if request.path.startswith("/_sim/"):
            return await self._found(request, handler)
        if self._latency_ms:
            await asyncio.sleep(self._latency_ms / 1000)
        faults: tuple[Fault, ...] = request.get(FAULTS, ())
        late_s = sum(fault.number or 0 for fault in faults if fault.stage is FaultStage.LATE)
        if late_s:
            await asyncio.sleep(late_s)
        front = first(faults, FaultStage.FRONT)
        response = (
            await self._found(request, handler) if front is None else self._shown_in_front(front)
        )
        delay_s = sum(fault.number or 0 for fault in faults if fault.stage is FaultStage.DELAY)
        if delay_s:
            await self._client_leaves(request, delay_s)
        silence = first(faults, FaultStage.NO_ANSWER)
        if silence is not None:
            if silence.kind == "stall":
                await self._client_leaves(request)
            if request.transport is not None:
                reset(request.transport)
            return response
        body = first(faults, FaultStage.BODY)
        if body is not None and body.kind == "cut" and isinstance(response, web.Response):
            return await cut(request, response, body.number or 0.0)
        return response

    async def _found(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return error_answer(ErrorAnswer(404, -1, "Unknown path."))
        except web.HTTPMethodNotAllowed:
            return error_answer(ErrorAnswer(405, -1, "Method not allowed."))

    def _shown_in_front(self, fault: Fault) -> web.Response:
        """Return the answer of a firewall, CDN or gateway in front of the exchange."""
        if fault.kind == "html":
            return html_answer(int(fault.number or 200))
        response = error_answer(
            error_answer_of(fault, self._clock.now_ms(), self._faults.seconds_left(fault))
        )
        return response if fault.kind == "451" else html_answer(response.status, response.headers)

    async def _client_leaves(self, request: web.Request, at_most_s: float | None = None) -> None:
        """Wait until the client has disconnected, the exchange stops, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                while not self._stopping.is_set():
                    if request.transport is None or request.transport.is_closing():
                        return
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)

    @web.middleware
    async def _charge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request's weight and orders, and send error answers in Binance's format."""
        market = _rest_market(request.path)
        if market is None:
            return await handler(request)
        address = request.remote or ""
        counts = order_counts(request.method, request.path)
        orders: Mapping[str, str] = {}
        try:
            self._meter.charge(market, address, request[_WEIGHT], self._clock.now_ms())
            if any(counts):
                orders = self._order_rate.charge(counts, self._clock.now_ms())
            faults = request[FAULTS]
            instead = first(faults, FaultStage.ANSWER)
            unknown = first(faults, FaultStage.UNKNOWN)
            response: web.StreamResponse
            if unknown is not None:
                response = await self._answered_without_knowing(request, handler, unknown)
            elif instead is not None:
                response = self._answered(instead)
            else:
                response = await handler(request)
        except ErrorAnswer as refused:
            response = error_answer(refused)
        used = str(self._meter.used(market, address))
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        response.headers.update(orders)
        if market == "spot":
            response.headers["X-MBX-USED-WEIGHT"] = used
        return response

    async def _answered_without_knowing(
        self, request: web.Request, handler: Handler, fault: Fault
    ) -> web.Response:
        """Handle the request unless the fault loses it, and hide the outcome."""
        if fault.word.startswith("done"):
            with contextlib.suppress(ErrorAnswer):
                await handler(request)
        return error_answer(unknown_answer_of(fault))

    def _answered(self, fault: Fault) -> web.Response:
        """Return the exchange's answer that a fault sends instead of the requested one."""
        body = _BODIES.get(fault.kind)
        if body is None:
            raise error_answer_of(fault, self._clock.now_ms(), self._faults.seconds_left(fault))
        return web.Response(body=body, content_type="application/json", charset="utf-8")


async def _read_request(request: web.Request) -> ClientRequest:
    """Read the request's parameters and store them with the request."""
    _, _, query = request.raw_path.partition("?")
    body = b"" if request.method in ("GET", "HEAD") else await request.read()
    sent = read_client_request(query, body.decode(errors="replace"))
    request[CLIENT_REQUEST] = sent
    return sent


def _rest_market(path: str) -> Market | None:
    if path.startswith("/fapi/"):
        return "um"
    return "spot" if path.startswith("/api/") else None


def _wants_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"
