"""The web application of the local exchange: routes, faults, the request log and control paths."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.listen_key import ListenKeys
from warmup_job.local_binance.account.signature import Credentials
from warmup_job.local_binance.account_app import AccountApp
from warmup_job.local_binance.exchange_clock import ExchangeClock
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.faults.fault_board import FaultBoard
from warmup_job.local_binance.faults.fault_spec import (
    FAULT_KINDS,
    Fault,
    FaultStage,
    parse_fault,
)
from warmup_job.local_binance.listening_socket import ListeningSocket
from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
from warmup_job.local_binance.prices.generated_market import generated_feed
from warmup_job.local_binance.prices.replay import recorded_feeds
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.local_binance.rest.market_rest import MarketRest
from warmup_job.local_binance.rest.order_rate import OrderRate
from warmup_job.local_binance.rest.request_log import RequestLog
from warmup_job.local_binance.rest.request_middlewares import RequestMiddlewares
from warmup_job.local_binance.rest.responses import answer
from warmup_job.local_binance.rest.weight_meter import WeightMeter
from warmup_job.local_binance.websocket import websocket_api
from warmup_job.local_binance.websocket.market_messages import MarketMessages
from warmup_job.local_binance.websocket.stream_hub import StreamHub
from warmup_job.local_binance.websocket.user_data_stream import UserDataStream
from warmup_job.market.recording import read_recording

if TYPE_CHECKING:
    from warmup_job.local_binance.prices.price_feed import PriceFeed
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.market.pages import Market

_MARKETS: tuple[Market, ...] = ("um", "spot")


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
            now_ms = recordings[0].default_now_ms(time.time_ns() // 1_000_000)
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
        self.funding = FundingSchedule(options.funding)
        self.meter = WeightMeter(options.weight_limit, options.ban_seconds * 1000)
        credentials = Credentials(options.api_key, options.api_secret)
        self.order_rate = OrderRate()
        listen_keys = ListenKeys(lambda key: self.hub.end("um", key))
        self.log = RequestLog(credentials.concealed)
        self.user_data = UserDataStream(listen_keys, self.clock, self.faults)
        messages = MarketMessages(
            self.feeds, self.clock, options.kline_ms, self.faults, self.funding
        )
        self.hub = StreamHub(messages, self.faults, self.user_data)
        self.account = AccountApp(
            options,
            {name: feed for (market, name), feed in self.feeds.items() if market == "um"},
            self.clock,
            self.faults,
            self.funding,
            credentials,
            listen_keys,
            self.user_data,
        )
        self._market_rest = MarketRest(
            self.feeds, self.clock, self.meter, self.faults, self.funding
        )
        self.websocket_api = websocket_api.WebsocketApi(credentials, listen_keys, self.clock)
        self._socket: ListeningSocket | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._middlewares = RequestMiddlewares(
            self.clock, self.faults, self.meter, self.order_rate, self.log, options.latency_ms
        )

    def application(self) -> web.Application:
        """Return the web application with its routes and middlewares."""
        app = web.Application(middlewares=self._middlewares.in_order())
        for path, handler in self._market_rest.routes().items():
            app.router.add_get(path, handler)
        for method, path, handler in self.account.routes():
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
        app.cleanup_ctx.append(self.account.in_background)
        return app

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
        self.order_rate.reset()
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
        if fault.stage in (FaultStage.WEBSOCKET, FaultStage.USER_STREAM):
            self.hub.drop(fault)
        if fault.stage is FaultStage.LISTEN_KEY:
            self.user_data.expire()
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
        self._middlewares.release()
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
