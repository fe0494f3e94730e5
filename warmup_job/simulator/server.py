"""The local exchange as a web server: both markets' REST and websockets on one port.

``await start(options)`` for tests, ``await serve(options, ready)`` for the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from warmup_job.errors import ConfigError
from warmup_job.simulator import klines, refusal
from warmup_job.simulator.clock import ExchangeClock
from warmup_job.simulator.market import GeneratedFeed, funding_time_ms
from warmup_job.simulator.refusal import Refusal
from warmup_job.simulator.replay import read_recording, recorded_feeds
from warmup_job.simulator.streams import StreamHub
from warmup_job.simulator.symbols import default_symbols
from warmup_job.simulator.weights import WeightMeter, request_weight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from warmup_job.simulator.feed import Feed, KlineSource
    from warmup_job.simulator.symbols import Market

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

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


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """A started exchange."""

    host: str
    port: int
    _runner: web.AppRunner
    _exchange: _Exchange

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

    async def stop(self) -> None:
        """Close every connection and free the port."""
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
        site = web.TCPSite(runner, options.host, options.port)
        await site.start()
    except BaseException:
        await runner.cleanup()
        raise
    port = int(runner.addresses[0][1])
    return RunningExchange(options.host, port, runner, exchange)


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


@dataclass(slots=True)
class _RequestLog:
    """What was asked of the exchange, for tests that count on the server's side."""

    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT_REQUESTS))
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    weight: int = 0

    def add(
        self, path: str, params: Mapping[str, str], weight: int, status: int, at_ms: int
    ) -> None:
        """Book a request and its outcome; 101 is an accepted websocket."""
        self.recent.append(
            {
                "time": at_ms,
                "path": path,
                "params": dict(params),
                "weight": weight,
                "status": status,
            }
        )
        self.by_path[path] += 1
        self.by_status[str(status)] += 1
        self.weight += weight

    def clear(self) -> None:
        """Forget everything."""
        self.recent.clear()
        self.by_path.clear()
        self.by_status.clear()
        self.weight = 0


class _Exchange:
    """The state behind the handlers of one running exchange."""

    def __init__(self, options: ExchangeOptions) -> None:
        if not 0 <= options.volatility_bps <= 500:
            raise ConfigError(f"volatility_bps is {options.volatility_bps}; it must be 0 to 500.")
        if options.kline_ms < 1 or options.latency_ms < 0 or options.ban_seconds < 1:
            raise ConfigError("kline_ms and ban_seconds must be at least 1, latency_ms at least 0.")
        self.options = options
        recordings = [read_recording(spec) for spec in options.replay]
        now_ms = options.now_ms
        if now_ms is None and recordings:
            now_ms = recordings[0].default_now_ms
        self.clock = ExchangeClock(now_ms, options.clock_skew_ms)

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
        self.hub = StreamHub(self.feeds, self.clock, options.kline_ms)

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
        """Note every request and its outcome, except those of the control interface."""
        if request.path.startswith("/_sim/"):
            return await handler(request)
        at_ms = self.clock.now_ms()
        market = _rest_market(request.path)
        weight = request_weight(request.path, request.query) if market else 0
        if market is None and _wants_websocket(request):
            # Noted when it begins: it may last for days.
            self.log.add(request.path, request.query, 0, 101, at_ms)
            return await handler(request)
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPNotFound:
            response = _error(Refusal(404, -1, "Unknown path."))
            status = 404
        except web.HTTPMethodNotAllowed:
            response = _error(Refusal(405, -1, "Method not allowed."))
            status = 405
        finally:
            self.log.add(request.path, request.query, weight, status, at_ms)
        return response

    @web.middleware
    async def _interfere(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What stands between the client and the exchange: today only the way there is long.

        This is the place for faults: anything here happens before a request is metered or answered,
        and may answer in the exchange's stead.
        """
        if self.options.latency_ms and not request.path.startswith("/_sim/"):
            await asyncio.sleep(self.options.latency_ms / 1000)
        return await handler(request)

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
            response = await handler(request)
        except Refusal as refused:
            response = _error(refused)
        used = str(self.meter.used(market, address))
        response.headers["X-MBX-USED-WEIGHT-1M"] = used
        if market == "spot":
            response.headers["X-MBX-USED-WEIGHT"] = used
        return response

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
            # Off the event loop: years of months take long enough to delay a closing kline.
            rows = await asyncio.to_thread(klines.page, source, query, now_ms)
            return _answer(request, [(*row, "0") for row in rows])

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
            "websockets": self.hub.connection_count,
            "requests": list(self.log.recent),
        }
        return _answer(request, answer)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        self.log.clear()
        self.meter.reset()
        return _answer(request, {})


def _rest_market(path: str) -> Market | None:
    if path.startswith("/fapi/"):
        return "um"
    return "spot" if path.startswith("/api/") else None


def _wants_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _answer(request: web.Request, body: object, status: int = 200) -> web.Response:
    data = msgspec.json.encode(body)
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
