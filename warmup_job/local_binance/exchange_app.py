"""The web application of the local exchange: routes, faults, the request log and control paths."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.listen_key import ListenKeys
from warmup_job.local_binance.account.signature import (
    ClientRequest,
    Credentials,
    read_client_request,
)
from warmup_job.local_binance.account.simulated_account import SimulatedAccount
from warmup_job.local_binance.exchange_clock import ExchangeClock
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.faults.distortion import error_answer_of
from warmup_job.local_binance.faults.fault_board import FaultBoard
from warmup_job.local_binance.faults.fault_spec import (
    FAULT_KINDS,
    Fault,
    FaultStage,
    FaultTarget,
    parse_fault,
)
from warmup_job.local_binance.listening_socket import ListeningSocket, reset
from warmup_job.local_binance.prices.generated_market import generated_feed
from warmup_job.local_binance.prices.replay import recorded_feeds
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.local_binance.rest.account_rest import CLIENT_REQUEST, AccountRest
from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.local_binance.rest.market_rest import KLINE_PATHS, MarketRest
from warmup_job.local_binance.rest.request_log import RequestLog
from warmup_job.local_binance.rest.responses import (
    FAULTS,
    answer,
    cut,
    error_answer,
    first,
    html_answer,
)
from warmup_job.local_binance.rest.weight_meter import WeightMeter, request_weight
from warmup_job.local_binance.websocket import websocket_api
from warmup_job.local_binance.websocket.stream_hub import StreamHub
from warmup_job.market.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmup_job.local_binance.prices.price_feed import PriceFeed
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.market.pages import Market

_MARKETS: tuple[Market, ...] = ("um", "spot")
_BODIES = {"empty": b"", "null": b"null", "object": b'{"status":"ok"}'}
_LOOK_SECONDS = 0.02  # between two checks whether the client of an unanswered request is connected


class ExchangeApp:
    """One exchange: its market, account, faults and request handlers.

    Raises:
        ConfigError: An option is out of range, or a recording cannot be used.
    """

    def __init__(self, options: ExchangeOptions) -> None:
        if not 0 <= options.volatility_bps <= 500:
            raise ConfigError(f"volatility_bps is {options.volatility_bps}; it must be 0 to 500.")
        if options.kline_ms < 1 or options.latency_ms < 0 or options.ban_seconds < 1:
            raise ConfigError("kline_ms and ban_seconds must be at least 1, latency_ms at least 0.")
        if not 0 < options.speed <= 1000:
            raise ConfigError(f"speed is {options.speed}; it must be more than 0, at most 1000.")
        self.options = options
        self._first_faults = [parse_fault(spec) for spec in options.faults]
        self.faults = FaultBoard(options.seed)
        recordings = [read_recording(spec) for spec in options.replay]
        now_ms = options.now_ms
        if now_ms is None and recordings:
            now_ms = recordings[0].default_now_ms
        self.clock = ExchangeClock(
            now_ms, options.clock_skew_ms, self.faults.skew_ms, options.speed
        )

        listed = default_symbols()
        self.feeds: dict[tuple[Market, str], PriceFeed] = {
            (symbol.market, symbol.name): generated_feed(
                options.seed, symbol, options.volatility_bps
            )
            for symbol in listed
        }
        for feed in recorded_feeds(recordings, listed):
            self.feeds[feed.symbol.market, feed.symbol.name] = feed
        self.meter = WeightMeter(options.weight_limit, options.ban_seconds * 1000)
        credentials = Credentials(options.api_key, options.api_secret)
        account = SimulatedAccount(
            [name for market, name in self.feeds if market == "um"],
            balance=options.balance,
            hedge_mode=not options.one_way,
            can_trade=not options.no_trading,
            opened_ms=self.clock.now_ms(),
        )
        listen_keys = ListenKeys(lambda key: self.hub.end("um", key))
        self.log = RequestLog(credentials.concealed)
        self.hub = StreamHub(self.feeds, self.clock, options.kline_ms, self.faults, listen_keys)
        self._market_rest = MarketRest(self.feeds, self.clock, self.meter, self.faults)
        self._account_rest = AccountRest(account, credentials, listen_keys, self.clock)
        self.websocket_api = websocket_api.WebsocketApi(credentials, listen_keys, self.clock)
        self._socket: ListeningSocket | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()

    def application(self) -> web.Application:
        """Return the web application with its routes and middlewares."""
        app = web.Application(middlewares=[self._record, self._interfere, self._meter])
        for path, handler in self._market_rest.routes().items():
            app.router.add_get(path, handler)
        for method, path, handler in self._account_rest.routes():
            app.router.add_route(method, path, handler)
        for prefix, market in (
            ("", self.options.root_streams),
            ("/market", "um"),
            ("/public", "um"),
            ("/private", "um"),
            ("/spot", "spot"),
        ):
            app.router.add_get(f"{prefix}/stream", self._combined_streams(market))
            app.router.add_get(f"{prefix}/ws", self._raw_streams(market))
            app.router.add_get(f"{prefix}/ws/{{streams:.+}}", self._raw_streams(market))
        app.router.add_get(websocket_api.PATH, self.websocket_api.serve)
        app.router.add_get("/_sim/requests", self._show_requests)
        app.router.add_post("/_sim/reset", self._reset)
        app.router.add_get("/_sim/faults", self._show_faults)
        app.router.add_post("/_sim/faults", self._add_fault)
        app.router.add_delete("/_sim/faults", self._remove_faults)
        app.router.add_delete("/_sim/faults/{id}", self._remove_fault)
        return app

    # --- middlewares, outermost first ---

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Log the request and its status, and decide which faults hit it.

        The control interface (/_sim) has no faults and is not logged.
        """
        path = request.path
        if path.startswith("/_sim/"):
            return await handler(request)
        market = _rest_market(path)
        at_ms = self.clock.now_ms()
        params: Mapping[str, str] = request.query
        faults: tuple[Fault, ...] = ()
        if market is None:
            if _wants_websocket(request):
                return await self._record_websocket(request, handler, at_ms)
        else:
            params = (await _read_request(request)).params
            target = FaultTarget(path, params.get("symbol", ""), params.get("interval", ""))
            faults = self.faults.request_faults(target, klines=path in KLINE_PATHS)
        free = market is None or first(faults, FaultStage.FRONT)
        weight = 0 if free else request_weight(path, params, request.method)
        request[FAULTS] = faults
        arrival = self.log.begin(request.method, path, params, weight, at_ms, faults)
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
        refused = self.faults.handshake_fault(FaultTarget(request.path))
        faults = () if refused is None else (refused,)
        arrival = self.log.begin(request.method, request.path, request.query, 0, at_ms, faults)
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
        if self.options.latency_ms:
            await asyncio.sleep(self.options.latency_ms / 1000)
        faults: tuple[Fault, ...] = request.get(FAULTS, ())
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
            error_answer_of(fault, self.clock.now_ms(), self.faults.seconds_left(fault))
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
    async def _meter(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request's weight, and send error answers in Binance's format."""
        market = _rest_market(request.path)
        if market is None:
            return await handler(request)
        address = request.remote or ""
        try:
            weight = request_weight(request.path, request[CLIENT_REQUEST].params, request.method)
            self.meter.charge(market, address, weight, self.clock.now_ms())
            faults = request[FAULTS]
            instead = first(faults, FaultStage.ANSWER)
            response = await handler(request) if instead is None else self._answered(instead)
        except ErrorAnswer as refused:
            response = error_answer(refused)
        used = str(self.meter.used(market, address))
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if market == "spot":
            response.headers["X-MBX-USED-WEIGHT"] = used
        return response

    def _answered(self, fault: Fault) -> web.Response:
        """Return the exchange's answer that a fault sends instead of the requested one."""
        body = _BODIES.get(fault.kind)
        if body is None:
            raise error_answer_of(fault, self.clock.now_ms(), self.faults.seconds_left(fault))
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    # --- websockets ---

    def _combined_streams(self, market: Market) -> Handler:
        async def connect(request: web.Request) -> web.StreamResponse:
            names = [name for name in request.query.get("streams", "").split("/") if name]
            return await self._serve_streams(request, market, names, combined=True)

        return connect

    def _raw_streams(self, market: Market) -> Handler:
        async def connect(request: web.Request) -> web.StreamResponse:
            names = [name for name in request.match_info.get("streams", "").split("/") if name]
            return await self._serve_streams(request, market, names, combined=False)

        return connect

    async def _serve_streams(
        self, request: web.Request, market: Market, names: list[str], *, combined: bool
    ) -> web.StreamResponse:
        listen_key = request.query.get("listenKey", "")
        if listen_key:
            # Only futures have a user data stream, whatever the path's market is.
            market, names = "um", [*names, listen_key]
        return await self.hub.serve(request, market, names, combined=combined)

    # --- control, for tests ---

    async def _show_requests(self, request: web.Request) -> web.StreamResponse:
        seen = {
            "count": self.log.by_path.total(),
            "weight": self.log.weight,
            "by_path": dict(self.log.by_path),
            "by_status": dict(self.log.by_status),
            "minutes": {market: self.meter.minutes(market) for market in _MARKETS},
            "websockets": self.hub.connection_count,
            "requests": list(self.log.recent),
        }
        return answer(request, seen)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        self.log.clear()
        self.meter.reset()
        return answer(request, {})

    async def _show_faults(self, request: web.Request) -> web.StreamResponse:
        return answer(request, self.faults.listed())

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            fault = parse_fault(_spec_in(await request.text()))
        except ConfigError as error:
            return answer(request, {"error": str(error), "kinds": FAULT_KINDS}, status=400)
        fault_id = self.set_fault(fault, spare=request.transport)
        return answer(request, {"id": fault_id, "spec": fault.spec}, status=201)

    async def _remove_faults(self, request: web.Request) -> web.StreamResponse:
        self.clear_faults()
        return answer(request, {})

    async def _remove_fault(self, request: web.Request) -> web.StreamResponse:
        if not self.faults.remove(request.match_info["id"]):
            return answer(request, {"error": "There is no fault with this id."}, status=404)
        self._reopen_when_due()
        return answer(request, {})

    def set_fault(self, fault: Fault, *, spare: asyncio.Transport | None = None) -> str:
        """Add a fault and return its id; a fault that cuts connections does not cut ``spare``."""
        fault_id = self.faults.add(fault).id
        if fault.stage is FaultStage.WEBSOCKET:
            self.hub.drop(fault)
        if fault.stage is FaultStage.PORT and self._socket is not None:
            self._socket.refuse(spare=spare)
        self._reopen_when_due()
        return fault_id

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.faults.clear()
        self._reopen_when_due()

    # --- the listening socket ---

    async def listen(self, runner: web.AppRunner) -> int:
        """Start to listen, add the first faults, and return the port."""
        self._socket = ListeningSocket(runner)
        port = await self._socket.open(self.options.host, self.options.port)
        for fault in self._first_faults:
            self.set_fault(fault)
        return port

    async def close_socket(self) -> None:
        """Stop listening, and release the requests that still wait for an answer."""
        self._stopping.set()
        if self._reopening is not None:
            self._reopening.cancel()
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    def _reopen_when_due(self) -> None:
        """Listen again once no fault keeps the port closed, now or by a timer."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        left_s = self.faults.refuse_seconds_left()
        if left_s > 0:
            loop = asyncio.get_running_loop()
            self._reopening = loop.call_later(left_s, self._reopen_when_due)
        elif self._socket is not None:
            self._socket.reopen()


def _spec_in(text: str) -> str:
    """Return the SPEC in a request's body: plain text, a JSON string or ``{"spec": …}``."""
    if not text.lstrip().startswith(("{", '"')):
        return text
    try:
        body = msgspec.json.decode(text, type=str | dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ConfigError('the body must be a SPEC, a JSON string or {"spec": "SPEC"}.') from None
    return body if isinstance(body, str) else body.get("spec", "")


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
