"""The local exchange as a web server: both markets' REST and websockets on one port.

``await start(options)`` for tests, ``await serve(options, ready)`` for the command line.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import time
import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from warmup_job.errors import ConfigError
from warmup_job.simulator import klines, refusal
from warmup_job.simulator.clock import ExchangeClock
from warmup_job.simulator.distortion import distort, html_page, refusal_of
from warmup_job.simulator.door import Door, reset
from warmup_job.simulator.faults import KINDS, Facts, Fault, FaultBoard, Stage, parse_fault
from warmup_job.simulator.market import GeneratedFeed, funding_time_ms
from warmup_job.simulator.refusal import Refusal
from warmup_job.simulator.replay import read_recording, recorded_feeds
from warmup_job.simulator.streams import StreamHub
from warmup_job.simulator.symbols import default_symbols
from warmup_job.simulator.weights import WeightMeter, request_weight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from warmup_job.simulator.feed import Feed, KlineSource
    from warmup_job.simulator.symbols import Market

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MARKETS: tuple[Market, ...] = ("um", "spot")
_KLINE_PATHS = frozenset({"/fapi/v1/klines", "/fapi/v1/markPriceKlines", "/api/v3/klines"})
_FAULTS = web.RequestKey("faults", tuple[Fault, ...])
_BODIES = {"empty": b"", "null": b"null", "object": b'{"status":"ok"}'}
_LOOK_SECONDS = 0.02  # how often a request that gets no answer looks whether its client is there
_CALL_SECONDS = 10  # how long another thread waits for the event loop
_KEPT_REQUESTS = 10_000
_GZIP_FROM_BYTES = 1024
_GZIP_LEVEL = 1  # fast: a page of 1500 rows shrinks to a fifth in 2 ms
_FUNDING_RATE = "0.00010000"
_INTEREST_RATE = "0.00010000"
_ORDER_LIMITS: dict[Market, list[dict[str, Any]]] = {
    "um": [
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ],
    "spot": [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """How the local exchange runs. Every default gives a well-behaved Binance of today."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port; the running exchange says which."""
    seed: int = 0
    """The same seed gives the same market, on any machine and at any time."""
    replay: tuple[str, ...] = ()
    """Recordings: PATH, or MARKET:SYMBOL:INTERVAL:PATH with MARKET um or spot."""
    now_ms: int | None = None
    """The exchange's time at its start, UTC ms; it ticks on from there. None: the machine's time,
    or with a replay, one second into the last row of the first recording."""
    clock_skew_ms: int = 0
    """Added to the exchange's clock: > 0, it is ahead of the machine's."""
    latency_ms: int = 0
    """Every REST answer comes this much later."""
    weight_limit: int | None = None
    """Request weight per address, market and minute. None: 2400 on futures, 6000 on spot."""
    ban_seconds: int = 120
    """How long the first ban lasts; each further one lasts twice as long."""
    kline_ms: int = 250
    """Time between two websocket updates of a forming kline."""
    volatility_bps: float = 10.0
    """Standard deviation of a minute's return, in basis points, 0 to 500."""
    root_streams: Market = "um"
    """Whose streams are at /stream and /ws, without a prefix: on Binance the host decides."""
    faults: tuple[str, ...] = ()
    """What goes wrong from the start, as ``429=30@klines:times=2``; see docs/local-exchange.md."""


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """A started exchange."""

    host: str
    port: int
    _runner: web.AppRunner
    _exchange: _Exchange
    _loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """The base of the REST paths of both markets: ``http://host:port``."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The base of the root streams (futures, unless ``root_streams`` says otherwise)."""
        return f"ws://{self.host}:{self.port}"

    @property
    def spot_ws_url(self) -> str:
        """The base of the spot streams."""
        return f"{self.ws_url}/spot"

    def now_ms(self) -> int:
        """The exchange's time, UTC ms."""
        return self._exchange.clock.now_ms()

    def add_fault(self, spec: str) -> str:
        """Let something go wrong from now on; its id takes it back. Any thread may call this.

        Raises:
            ConfigError: ``spec`` is no fault.
        """
        fault = parse_fault(spec)
        return self._in_loop(lambda: self._exchange.set_fault(fault))

    def clear_faults(self) -> None:
        """Take every fault back. Any thread may call this."""
        self._in_loop(self._exchange.clear_faults)

    def _in_loop[T](self, call: Callable[[], T]) -> T:
        try:
            inside = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            inside = False
        if inside:
            return call()
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(call())
            except Exception as error:  # noqa: BLE001 - it is raised where it was called
                outcome.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return outcome.result(_CALL_SECONDS)

    async def stop(self) -> None:
        """Close every connection and free the port."""
        await self._exchange.close_door()
        await self._exchange.hub.close()
        await self._runner.cleanup()


async def start(options: ExchangeOptions) -> RunningExchange:
    """Start an exchange in the running event loop.

    Raises:
        ConfigError: an option is out of range or a recording cannot be used.
        OSError: the port is taken.
    """
    exchange = _Exchange(options)
    runner = web.AppRunner(exchange.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        port = await exchange.listen(runner)
    except BaseException:
        await runner.cleanup()
        raise
    return RunningExchange(options.host, port, runner, exchange, asyncio.get_running_loop())


async def serve(options: ExchangeOptions, ready: Callable[[RunningExchange], None]) -> None:
    """Run an exchange until SIGTERM, SIGINT or cancellation; ``ready`` is called once it listens.

    Raises:
        ConfigError: an option is out of range or a recording cannot be used.
        OSError: the port is taken.
    """
    running = await start(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in signals:
            # Only the main thread may; elsewhere cancellation is the way to stop.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, stop.set)
        ready(running)
        await stop.wait()
    finally:
        for number in signals:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.remove_signal_handler(number)
        await running.stop()


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A request that is on record, and where its outcome is to be booked."""

    entry: dict[str, Any]
    by_status: Counter[str]

    def ended(self, status: int | None) -> None:
        """Note the status of the answer; None: the client got none."""
        self.entry["status"] = status
        self.by_status["none" if status is None else str(status)] += 1


@dataclass(slots=True)
class _RequestLog:
    """What was asked of the exchange, for tests that count on the server's side."""

    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT_REQUESTS))
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    weight: int = 0
    _began_s: float = field(default_factory=time.monotonic)

    def begin(
        self, path: str, params: Mapping[str, str], weight: int, at_ms: int, faults: Iterable[Fault]
    ) -> _Arrival:
        """Book a request on its arrival, before anything can delay or lose it."""
        entry = {
            "time": at_ms,
            "arrived": round((time.monotonic() - self._began_s) * 1000, 3),
            "path": path,
            "params": dict(params),
            "weight": weight,
            "status": None,
            "fault": "+".join(fault.kind for fault in faults) or None,
        }
        self.recent.append(entry)
        self.by_path[path] += 1
        self.weight += weight
        return _Arrival(entry, self.by_status)

    def clear(self) -> None:
        """Forget everything, also what has yet to be answered."""
        self.recent.clear()
        self.by_path.clear()
        self.by_status = Counter()
        self.weight = 0


class _Exchange:
    """The state behind the handlers of one running exchange."""

    def __init__(self, options: ExchangeOptions) -> None:
        if not 0 <= options.volatility_bps <= 500:
            raise ConfigError(f"volatility_bps is {options.volatility_bps}; it must be 0 to 500.")
        if options.kline_ms < 1 or options.latency_ms < 0 or options.ban_seconds < 1:
            raise ConfigError("kline_ms and ban_seconds must be at least 1, latency_ms at least 0.")
        self.options = options
        self._first_faults = [parse_fault(spec) for spec in options.faults]
        self.faults = FaultBoard(options.seed)
        recordings = [read_recording(spec) for spec in options.replay]
        now_ms = options.now_ms
        if now_ms is None and recordings:
            now_ms = recordings[0].default_now_ms
        self.clock = ExchangeClock(now_ms, options.clock_skew_ms, self.faults.skew_ms)

        listed = default_symbols()
        self.feeds: dict[tuple[Market, str], Feed] = {
            (symbol.market, symbol.name): GeneratedFeed(
                options.seed, symbol, options.volatility_bps
            )
            for symbol in listed
        }
        for feed in recorded_feeds(recordings, listed):
            self.feeds[feed.symbol.market, feed.symbol.name] = feed
        self.meter = WeightMeter(options.weight_limit, options.ban_seconds * 1000)
        self.log = _RequestLog()
        self.hub = StreamHub(self.feeds, self.clock, options.kline_ms, self.faults)
        self._door: Door | None = None
        self._reopening: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()

    def application(self) -> web.Application:
        """The routes and, from the outside in, what surrounds every handler."""
        app = web.Application(middlewares=[self._record, self._interfere, self._meter])
        for path, handler in self._rest_routes().items():
            app.router.add_get(path, handler)
        for prefix, market in (
            ("", self.options.root_streams),
            ("/market", "um"),
            ("/public", "um"),
            ("/spot", "spot"),
        ):
            app.router.add_get(f"{prefix}/stream", self._combined_streams(market))
            app.router.add_get(f"{prefix}/ws", self._raw_streams(market))
            app.router.add_get(f"{prefix}/ws/{{streams:.+}}", self._raw_streams(market))
        app.router.add_get("/_sim/requests", self._show_requests)
        app.router.add_post("/_sim/reset", self._reset)
        app.router.add_get("/_sim/faults", self._show_faults)
        app.router.add_post("/_sim/faults", self._add_fault)
        app.router.add_delete("/_sim/faults", self._remove_faults)
        app.router.add_delete("/_sim/faults/{id}", self._remove_fault)
        return app

    def _rest_routes(self) -> dict[str, Handler]:
        return {
            "/fapi/v1/ping": self._ping,
            "/fapi/v1/time": self._time,
            "/fapi/v1/exchangeInfo": self._futures_info,
            "/fapi/v1/klines": self._kline_handler("um", lambda feed: feed.klines),
            "/fapi/v1/markPriceKlines": self._kline_handler("um", lambda feed: feed.marks),
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/ticker/bookTicker": self._book_handler("um"),
            "/fapi/v2/ticker/price": self._price_handler("um"),
            "/api/v3/ping": self._ping,
            "/api/v3/time": self._time,
            "/api/v3/exchangeInfo": self._spot_info,
            "/api/v3/klines": self._kline_handler("spot", lambda feed: feed.klines),
            "/api/v3/ticker/bookTicker": self._book_handler("spot"),
            "/api/v3/ticker/price": self._price_handler("spot"),
        }

    # --- around every handler, outermost first ---

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note every request and its outcome, and which faults it meets: decided on arrival.

        The control interface is outside of all that.
        """
        path = request.path
        if path.startswith("/_sim/"):
            return await handler(request)
        market, params = _rest_market(path), request.query
        at_ms = self.clock.now_ms()
        faults: tuple[Fault, ...] = ()
        if market is None:
            if _wants_websocket(request):
                return await self._record_websocket(request, handler, at_ms)
        else:
            facts = Facts(path, params.get("symbol", ""), params.get("interval", ""))
            faults = self.faults.strike_request(facts, klines=path in _KLINE_PATHS)
        free = market is None or _first(faults, Stage.FRONT)
        weight = 0 if free else request_weight(path, params)
        request[_FAULTS] = faults
        arrival = self.log.begin(path, params, weight, at_ms, faults)
        status: int | None = None if _first(faults, Stage.SILENCE) else 500
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
        refused = self.faults.strike_handshake(Facts(request.path))
        faults = () if refused is None else (refused,)
        arrival = self.log.begin(request.path, request.query, 0, at_ms, faults)
        # Noted when it begins: it may last for days.
        arrival.ended(101 if refused is None else 503)
        if refused is not None:
            return web.Response(status=503)
        return await handler(request)

    @web.middleware
    async def _interfere(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What stands between the client and the exchange.

        The way there takes ``latency_ms`` and may end at somebody else's page; on the way back an
        answer can be late, damaged or lost.
        """
        if request.path.startswith("/_sim/"):
            return await self._found(request, handler)
        if self.options.latency_ms:
            await asyncio.sleep(self.options.latency_ms / 1000)
        faults: tuple[Fault, ...] = request.get(_FAULTS, ())
        front = _first(faults, Stage.FRONT)
        response = (
            await self._found(request, handler) if front is None else self._shown_in_front(front)
        )
        delay_s = sum(fault.number or 0 for fault in faults if fault.stage is Stage.WAIT)
        if delay_s:
            await self._client_leaves(request, delay_s)
        silence = _first(faults, Stage.SILENCE)
        if silence is not None:
            if silence.kind == "stall":
                await self._client_leaves(request)
            if request.transport is not None:
                reset(request.transport)
            return response
        body = _first(faults, Stage.BODY)
        if body is not None and body.kind == "cut" and isinstance(response, web.Response):
            return await _cut(request, response, body.number or 0.0)
        return response

    async def _found(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _error(Refusal(404, -1, "Unknown path."))
        except web.HTTPMethodNotAllowed:
            return _error(Refusal(405, -1, "Method not allowed."))

    def _shown_in_front(self, fault: Fault) -> web.Response:
        """What a firewall, a content network or a gateway answers in the exchange's stead."""
        if fault.kind == "html":
            return _page(int(fault.number or 200))
        response = _error(refusal_of(fault, self.clock.now_ms(), self.faults.left_s(fault)))
        return response if fault.kind == "451" else _page(response.status, response.headers)

    async def _client_leaves(self, request: web.Request, at_most_s: float | None = None) -> None:
        """Return when the client has gone, the exchange stops, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                while not self._stopping.is_set():
                    if request.transport is None or request.transport.is_closing():
                        return
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)

    @web.middleware
    async def _meter(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Charge the request's weight, and word refusals as Binance does."""
        market = _rest_market(request.path)
        if market is None:
            return await handler(request)
        address = request.remote or ""
        try:
            weight = request_weight(request.path, request.query)
            self.meter.charge(market, address, weight, self.clock.now_ms())
            faults = request[_FAULTS]
            instead = _first(faults, Stage.ANSWER)
            response = await handler(request) if instead is None else self._answered(instead)
        except Refusal as refused:
            response = _error(refused)
        used = str(self.meter.used(market, address))
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if market == "spot":
            response.headers["X-MBX-USED-WEIGHT"] = used
        return response

    def _answered(self, fault: Fault) -> web.Response:
        """What the exchange itself answers instead of what was asked for."""
        body = _BODIES.get(fault.kind)
        if body is None:
            raise refusal_of(fault, self.clock.now_ms(), self.faults.left_s(fault))
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    # --- REST ---

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return _answer(request, {})

    async def _time(self, request: web.Request) -> web.StreamResponse:
        return _answer(request, {"serverTime": self.clock.now_ms()})

    async def _futures_info(self, request: web.Request) -> web.StreamResponse:
        symbols = [feed.symbol for feed in self._all_feeds("um")]
        assets = list(dict.fromkeys(asset for s in symbols for asset in (s.quote, s.base)))
        info = self._info_head("um") | {
            "futuresType": "U_MARGINED",
            "assets": [
                {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
                for asset in assets
            ],
            "symbols": [symbol.info() for symbol in symbols],
        }
        return _answer(request, info)

    async def _spot_info(self, request: web.Request) -> web.StreamResponse:
        symbols = [feed.symbol for feed in self._chosen_spot_feeds(request.query)]
        return _answer(request, self._info_head("spot") | {"symbols": [s.info() for s in symbols]})

    def _chosen_spot_feeds(self, params: Mapping[str, str]) -> list[Feed]:
        if "symbols" in params:
            try:
                names = msgspec.json.decode(params["symbols"], type=list[str])
            except (msgspec.DecodeError, msgspec.ValidationError):
                raise refusal.illegal_characters(
                    "symbols", r'^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$'
                ) from None
            return [self._feed("spot", name) for name in names]
        if "symbol" in params:
            return [self._feed("spot", klines.read_symbol(params))]
        return self._all_feeds("spot")

    def _info_head(self, market: Market) -> dict[str, Any]:
        weight_limit = {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.meter.limit(market),
        }
        return {
            "timezone": "UTC",
            "serverTime": self.clock.now_ms(),
            "rateLimits": [weight_limit, *_ORDER_LIMITS[market]],
            "exchangeFilters": [],
        }

    def _kline_handler(self, market: Market, source_of: Callable[[Feed], KlineSource]) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            query = klines.read_query(request.query, market)
            source = source_of(self._feed(market, query.symbol))
            now_ms = self.clock.now_ms()
            faults = [fault for fault in request[_FAULTS] if fault.stage is Stage.ROWS]
            late_ms = [int((fault.number or 0) * 1000) for fault in faults if fault.kind == "late"]
            if late_ms:
                query = klines.before_late_rows(query, max(late_ms), now_ms)
            # Off the event loop: years of months take long enough to delay a closing kline.
            page = await asyncio.to_thread(klines.page, source, query, now_ms)
            if any(fault.kind == "forming" for fault in faults):
                page = klines.with_forming_row(page, source, query, now_ms)
            rows: list[Any] = [(*row, "0") for row in page]
            for fault in faults:
                rows = distort(rows, fault)
            return _answer(request, rows)

        return answer

    async def _premium_index(self, request: web.Request) -> web.StreamResponse:
        return self._one_or_all(request, "um", self._premium)

    def _premium(self, feed: Feed, now_ms: int) -> dict[str, Any]:
        mark = feed.mark_price(now_ms)
        return {
            "symbol": feed.symbol.name,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": _FUNDING_RATE,
            "interestRate": _INTEREST_RATE,
            "nextFundingTime": funding_time_ms(now_ms),
            "time": now_ms,
        }

    def _book_handler(self, market: Market) -> Handler:
        def entry(feed: Feed, now_ms: int) -> dict[str, Any]:
            book = feed.book(now_ms)
            ticker = {
                "symbol": feed.symbol.name,
                "bidPrice": book.bid,
                "bidQty": book.bid_quantity,
                "askPrice": book.ask,
                "askQty": book.ask_quantity,
            }
            return ticker if market == "spot" else ticker | {"time": now_ms}

        async def answer(request: web.Request) -> web.StreamResponse:
            return self._one_or_all(request, market, entry)

        return answer

    def _price_handler(self, market: Market) -> Handler:
        def entry(feed: Feed, now_ms: int) -> dict[str, Any]:
            ticker: dict[str, Any] = {"symbol": feed.symbol.name, "price": feed.last_price(now_ms)}
            return ticker if market == "spot" else ticker | {"time": now_ms}

        async def answer(request: web.Request) -> web.StreamResponse:
            return self._one_or_all(request, market, entry)

        return answer

    def _one_or_all(
        self, request: web.Request, market: Market, entry: Callable[[Feed, int], dict[str, Any]]
    ) -> web.Response:
        now_ms = self.clock.now_ms()
        if "symbol" in request.query:
            feed = self._feed(market, klines.read_symbol(request.query))
            return _answer(request, entry(feed, now_ms))
        return _answer(request, [entry(feed, now_ms) for feed in self._all_feeds(market)])

    def _feed(self, market: Market, name: str) -> Feed:
        feed = self.feeds.get((market, name))
        if feed is None:
            raise refusal.invalid_symbol()
        return feed

    def _all_feeds(self, market: Market) -> list[Feed]:
        return [feed for (of, _), feed in self.feeds.items() if of == market]

    # --- websockets ---

    def _combined_streams(self, market: Market) -> Handler:
        async def connect(request: web.Request) -> web.StreamResponse:
            names = [name for name in request.query.get("streams", "").split("/") if name]
            return await self.hub.serve(request, market, names, combined=True)

        return connect

    def _raw_streams(self, market: Market) -> Handler:
        async def connect(request: web.Request) -> web.StreamResponse:
            names = [name for name in request.match_info.get("streams", "").split("/") if name]
            return await self.hub.serve(request, market, names, combined=False)

        return connect

    # --- control, for tests ---

    async def _show_requests(self, request: web.Request) -> web.StreamResponse:
        answer = {
            "count": self.log.by_path.total(),
            "weight": self.log.weight,
            "by_path": dict(self.log.by_path),
            "by_status": dict(self.log.by_status),
            "minutes": {market: self.meter.minutes(market) for market in _MARKETS},
            "websockets": self.hub.connection_count,
            "requests": list(self.log.recent),
        }
        return _answer(request, answer)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        self.log.clear()
        self.meter.reset()
        return _answer(request, {})

    async def _show_faults(self, request: web.Request) -> web.StreamResponse:
        return _answer(request, self.faults.shown())

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            fault = parse_fault(_spec_in(await request.text()))
        except ConfigError as error:
            return _answer(request, {"error": str(error), "kinds": KINDS}, status=400)
        fault_id = self.set_fault(fault, spare=request.transport)
        return _answer(request, {"id": fault_id, "spec": fault.spec}, status=201)

    async def _remove_faults(self, request: web.Request) -> web.StreamResponse:
        self.clear_faults()
        return _answer(request, {})

    async def _remove_fault(self, request: web.Request) -> web.StreamResponse:
        if not self.faults.remove(request.match_info["id"]):
            return _answer(request, {"error": "There is no fault of this id."}, status=404)
        self._mind_the_door()
        return _answer(request, {})

    def set_fault(self, fault: Fault, *, spare: asyncio.Transport | None = None) -> str:
        """Let a fault begin, and give its id; ``spare`` is not cut if that is what it does."""
        fault_id = self.faults.add(fault).id
        if fault.stage is Stage.CONNECT:
            self.hub.drop(fault)
        if fault.stage is Stage.DOOR and self._door is not None:
            self._door.shut(spare=spare)
        self._mind_the_door()
        return fault_id

    def clear_faults(self) -> None:
        """Take every fault back."""
        self.faults.clear()
        self._mind_the_door()

    # --- the door ---

    async def listen(self, runner: web.AppRunner) -> int:
        """Begin to listen, say on which port, and let the faults of the start begin."""
        self._door = Door(runner)
        port = await self._door.open(self.options.host, self.options.port)
        for fault in self._first_faults:
            self.set_fault(fault)
        return port

    async def close_door(self) -> None:
        """Stop listening, and let go of who still waits for an answer."""
        self._stopping.set()
        if self._reopening is not None:
            self._reopening.cancel()
        if self._door is not None:
            await self._door.close()
            self._door = None

    def _mind_the_door(self) -> None:
        """Open it when no fault keeps it shut any more, now or then."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        left_s = self.faults.refuses_for_s()
        if left_s > 0:
            loop = asyncio.get_running_loop()
            self._reopening = loop.call_later(left_s, self._mind_the_door)
        elif self._door is not None:
            self._door.reopen()


def _first(faults: Iterable[Fault], stage: Stage) -> Fault | None:
    return next((fault for fault in faults if fault.stage is stage), None)


def _page(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    page = web.Response(text=html_page(status), status=status, content_type="text/html")
    if headers is not None and "Retry-After" in headers:
        page.headers["Retry-After"] = headers["Retry-After"]
    return page


def _spec_in(text: str) -> str:
    """The SPEC in the body of a request: as it is, or in JSON as text or ``{"spec": …}``."""
    if not text.lstrip().startswith(("{", '"')):
        return text
    try:
        body = msgspec.json.decode(text, type=str | dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise ConfigError('the body should be a SPEC, or {"spec": "SPEC"}.') from None
    return body if isinstance(body, str) else body.get("spec", "")


async def _cut(request: web.Request, response: web.Response, share: float) -> web.StreamResponse:
    """Promise a whole answer, and close the connection after ``share`` of its body."""
    whole = response.body
    if not isinstance(whole, bytes | bytearray):
        return response
    part = web.StreamResponse(status=response.status, headers=response.headers)
    part.content_length = len(whole)
    await part.prepare(request)
    await part.write(whole[: int(len(whole) * share)])
    if request.transport is not None:
        request.transport.close()  # what was written still goes out, and then the end
    return part


def _rest_market(path: str) -> Market | None:
    if path.startswith("/fapi/"):
        return "um"
    return "spot" if path.startswith("/api/") else None


def _wants_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _answer(request: web.Request, body: object, status: int = 200) -> web.Response:
    data = msgspec.json.encode(body)
    damage = _first(request.get(_FAULTS, ()), Stage.BODY)
    if damage is not None and damage.kind == "truncate":
        data = data[: int(len(data) * (damage.number or 0.0))]
    response = web.Response(
        body=data, status=status, content_type="application/json", charset="utf-8"
    )
    if len(data) >= _GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        response.body = packer.compress(data) + packer.flush()
        response.headers["Content-Encoding"] = "gzip"
    return response


def _error(refused: Refusal) -> web.Response:
    response = web.Response(
        body=msgspec.json.encode({"code": refused.code, "msg": refused.message}),
        status=refused.status,
        content_type="application/json",
        charset="utf-8",
    )
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response
