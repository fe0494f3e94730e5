"""One market of Binance through ccxt's raw endpoints: exact strings in, our own errors out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec

from warmup_job.binance import retry
from warmup_job.binance.answers import refusal
from warmup_job.binance.connection_errors import failure_of
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.http_session import BoundedResponse, Session
from warmup_job.binance.lean_ccxt import import_binance
from warmup_job.binance.outage import Outage
from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.binance.weight_budget import Budget
from warmup_job.errors import (
    BlockedError,
    DataInvalidError,
    ExchangeUnreachableError,
    RateLimitedError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Klines
from warmup_job.market.pages import (
    MAX_SYMBOLS_PER_REQUEST,
    TIME_WEIGHT,
    Market,
    Page,
    exchange_info_weight,
)
from warmup_job.market.rows import odd_kline, parse_rows
from warmup_job.market.stream_id import PriceType

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
type _Endpoint = Callable[[dict[str, Any]], Awaitable[Any]]
type _Row = tuple[int, str, str, str, str, str, int, str, int, str, str, str]

_IN_FLIGHT = 16
_TIMEOUT_MS = 10_000
_SLOW_MS = 1_000
_YEAR_2017_MS, _YEAR_2100_MS = 1_483_228_800_000, 4_102_444_800_000


_Binance, ccxt = import_binance()


class _Ccxt(_Binance):  # type: ignore[misc,valid-type]  # ccxt is untyped
    """ccxt's Binance with one door for every answer, so that no malformed one passes as data."""

    on_answer: Callable[[int, Mapping[str, str], object], None]
    through: Proxy | None
    session: Session | None
    _rows = msgspec.json.Decoder(list[_Row])

    def open(self, lazy: bool = False) -> None:
        super().open(lazy)  # makes the TLS context; the session is ours
        if self.session is None:
            self.tcp_connector = aiohttp.TCPConnector(
                ssl=self.ssl_context, family=socket.AF_UNSPEC, happy_eyeballs_delay=0
            )
            inner = aiohttp.ClientSession(
                connector=self.tcp_connector, response_class=BoundedResponse
            )
            self.session = Session(inner, self.through)

    async def close(self, clean_instance_data: bool = False) -> None:
        session = self.session  # ccxt closes its own only
        await super().close(clean_instance_data)
        if session is not None:
            await session.close()

    def parse_json(self, http_response: str) -> object:
        """Decode an answer; None if it is no JSON. Most of what comes is kline pages."""
        with contextlib.suppress(msgspec.ValidationError, msgspec.DecodeError):
            if http_response.startswith("[["):
                return self._rows.decode(http_response)
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(http_response)
        return None

    def handle_errors(self, code: int, *answer: Any) -> None:  # noqa: ANN401
        # reason, url, method, headers, body, parsed body, and what was sent
        _, _, _, headers, _, response, *_ = answer
        self.on_answer(code, headers, response)


def make_ccxt(
    on_answer: Callable[[int, Mapping[str, str], object], None],
    *,
    proxy: Proxy | None = None,
    api_key: str = "",
    api_secret: str = "",
    receive_window_ms: int = 5_000,
) -> _Ccxt:
    """ccxt's Binance as it is used here; ``on_answer`` gets status, headers and parsed body."""
    made = _Ccxt(
        {
            "enableRateLimit": False,  # the budget paces, by weight that is really counted
            "session": None,
            "timeout": _TIMEOUT_MS,
            "apiKey": api_key,
            "secret": api_secret,
            "options": {"include_OS_certificates": True, "recvWindow": receive_window_ms},
        }
    )
    made.on_answer = on_answer
    made.through = proxy
    made.timeout_on_exit = 0
    return made


class Clock(NamedTuple):
    """This machine's clock against the exchange's, in ms; half the round trip is the doubt."""

    ahead_ms: int
    round_trip_ms: int

    @property
    def is_believed(self) -> bool:
        """Whether the client goes by it: a slow answer says little."""
        return self.round_trip_ms <= _SLOW_MS


class BinanceClient:
    """An open connection to one market: ``async with BinanceClient(...) as client``.

    It needs no key and sends none. Every method raises errors of our own tree only, waits within
    the weight budget, and retries what passes until the deadline. When the exchange limits or bans
    this IP, nothing at all is sent until it is over.

    Args:
        url: REST base, such as https://fapi.binance.com.
        weight_per_minute: what may be spent, by everybody behind this IP.
        deadline_ms: how long from now all requests together may take.
        on_limit: told until when to be quiet (this machine's clock, UTC ms), at once.

    Raises:
        ConfigError: a proxy variable of the environment that is in effect is unusable.
    """

    def __init__(
        self,
        market: Market,
        url: str,
        *,
        weight_per_minute: int = 1200,
        deadline_ms: int = 60_000,
        on_limit: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.market = market
        self.url = public_url(url)
        """Where it asks, for people: without credentials."""
        self._server_ms = 0
        self._server_at = 0.0
        self._deadline_at = time.monotonic() + deadline_ms / 1000
        self._quiet: RateLimitedError | BlockedError | None = None
        self._on_limit = on_limit
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._used: int | None = None
        self._sent_at = 0.0
        self.budget = Budget(weight_per_minute, self.now_ms)
        self._outage = Outage(self.url)
        self._proxy = proxy_for(url)
        self._ccxt = make_ccxt(self._on_answer, proxy=self._proxy)
        urls = self._ccxt.urls["api"]
        urls["fapiPublic"] = f"{url}/fapi/v1"
        urls["public"] = f"{url}/api/v3"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._outage.close()
        await self._ccxt.close()

    def now_ms(self) -> int:
        """The exchange's time, UTC ms: never ahead of it, whatever this machine's clock says.

        Before the first `sync_clock` it is this machine's time.
        """
        if not self._server_ms:
            return _host_ms()
        return self._server_ms + int((_since_boot_s() - self._server_at) * 1000)

    @property
    def away(self) -> str:
        """Why no answer comes, or came, from the exchange; empty: it answers."""
        return self._outage.reason

    def extend_deadline(self, deadline_ms: int) -> None:
        """Start a new span: requests from now on may take ``deadline_ms`` together."""
        self._deadline_at = time.monotonic() + deadline_ms / 1000

    async def sync_clock(self) -> Clock:
        """Ask the exchange for its time, and hold this machine's clock against it."""
        api = self._ccxt
        ask = api.fapiPublicGetTime if self.market == "um" else api.publicGetTime

        def parse(answer: object) -> int:
            stamp = answer.get("serverTime") if isinstance(answer, dict) else None
            if type(stamp) is not int or not _YEAR_2017_MS < stamp < _YEAR_2100_MS:
                raise ExchangeUnreachableError(f"{self.url} does not answer like Binance: no time")
            return stamp

        server_ms = await self._ask(ask, {}, TIME_WEIGHT, parse)
        round_trip_ms, host_ms = round((time.monotonic() - self._sent_at) * 1000), _host_ms()
        # The stamp was made before it arrived here, so counting on from its arrival lags a little
        # and no forming kline can pass for closed. A slow answer lags too much to be better.
        if not self._server_ms or round_trip_ms <= _SLOW_MS:
            first = not self._server_ms
            self._server_ms, self._server_at = server_ms, _since_boot_s()
            if first:
                self.budget.clock_was_set(self._used)
        return Clock(host_ms - server_ms - round_trip_ms // 2, round_trip_ms)

    async def exchange_info(self, symbols: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The venue's raw entries, by symbol; a symbol that it does not list has none."""
        wanted = set(symbols)
        if self.market == "um":  # one answer holds them all
            entries = await self._exchange_info(self._ccxt.fapiPublicGetExchangeInfo, {})
            return {symbol: entry for symbol, entry in entries.items() if symbol in wanted}
        found: dict[str, dict[str, Any]] = {}
        names = sorted(wanted)
        for first in range(0, len(names), MAX_SYMBOLS_PER_REQUEST):
            found |= await self._spot_info(names[first : first + MAX_SYMBOLS_PER_REQUEST])
        return found

    async def _spot_info(self, symbols: list[str]) -> dict[str, dict[str, Any]]:
        """The entries of those that are listed. Spot refuses all for one that it does not know, and
        does not say which, so halves are asked for until it is found.
        """
        names = msgspec.json.encode(symbols).decode()
        try:
            return await self._exchange_info(self._ccxt.publicGetExchangeInfo, {"symbols": names})
        except UnknownSymbolError:
            half = len(symbols) // 2
            if not half:
                return {}
            return await self._spot_info(symbols[:half]) | await self._spot_info(symbols[half:])

    async def _exchange_info(
        self, endpoint: _Endpoint, params: dict[str, Any]
    ) -> dict[str, dict[str, Any]]:
        def parse(answer: object) -> dict[str, dict[str, Any]]:
            symbols = answer.get("symbols") if isinstance(answer, dict) else None
            if not isinstance(symbols, list) or not all(isinstance(e, dict) for e in symbols):
                raise ExchangeUnreachableError(
                    f"{self.url} does not answer like Binance: no symbols"
                )
            return {str(entry.get("symbol")): entry for entry in symbols}

        entries: dict[str, dict[str, Any]] = await self._ask(
            endpoint, params, exchange_info_weight(self.market), parse
        )
        return entries

    async def klines(
        self, symbol: str, interval: Interval, page: Page, price: PriceType = "last"
    ) -> Klines:
        """One page of klines, every row checked, ascending; the forming one may be among them."""
        api = self._ccxt
        if price == "mark":
            ask = api.fapiPublicGetMarkPriceKlines
        else:
            ask = api.fapiPublicGetKlines if self.market == "um" else api.publicGetKlines
        params = {
            "symbol": symbol,
            "interval": interval.name,
            "endTime": page.end_ms,
            "limit": page.limit,
        }
        if page.start_ms is not None:
            params["startTime"] = page.start_ms

        odd: set[int] = set()

        def parse(answer: object) -> Klines:
            rows = parse_rows(answer, interval, page.start_ms or 0, page.end_ms)
            if rows.odd_ms is not None and rows.odd_ms not in odd:
                odd.add(rows.odd_ms)  # the transport's fault or the venue's: asked once more
                raise DataInvalidError(odd_kline(rows.odd_ms, interval))
            return rows

        try:
            return await self._ask(ask, params, page.weight, parse)
        except (UnknownSymbolError, DataInvalidError) as error:
            raise type(error)(f"{symbol}: {error}") from None

    async def first_open_ms(
        self, symbol: str, interval: Interval, price: PriceType = "last"
    ) -> int | None:
        """When the venue's history of this symbol begins (open of its first kline); None: never."""
        page = Page(0, self.now_ms(), 1, 1 if self.market == "um" else 2)
        rows = await self.klines(symbol, interval, page, price)
        return rows.open_ms[0] if rows else None

    async def _ask[T](
        self,
        endpoint: _Endpoint,
        params: dict[str, Any],
        weight: int,
        parse: Callable[[object], T],
    ) -> T:
        attempt, away, answered = 0, False, False
        try:
            while True:
                attempt += 1
                try:
                    parsed = parse(await self._send(endpoint, params, weight))
                except WarmupError as error:
                    failure = error
                except ccxt.RequestTimeout:
                    failure = ExchangeUnreachableError(
                        f"{self.url} did not answer within {_TIMEOUT_MS // 1000} s"
                    )
                except ccxt.BaseError as error:
                    failure = failure_of(error, self.url, self._proxy)
                else:
                    answered = True
                    return parsed
                now_ms, left_ms = _host_ms(), round((self._deadline_at - time.monotonic()) * 1000)
                wait = retry.wait_ms(failure, attempt, now_ms, now_ms + left_ms, random.random())
                if wait is None:
                    raise failure
                if not away and isinstance(failure, ExchangeUnreachableError):
                    away = True
                    self._outage.begins(str(failure))
                await asyncio.sleep(wait / 1000)
        finally:
            if away:
                self._outage.ends(answered=answered)

    async def _send(self, endpoint: _Endpoint, params: dict[str, Any], weight: int) -> object:
        """One request, when there is room for it; none at all while we are to be quiet."""
        async with self._in_flight:
            minute = await self.budget.spend(weight)
            self._used = None
            self._sent_at = time.monotonic()
            try:
                if self._quiet is not None and (self._quiet.until_ms or 0) > _host_ms():
                    raise self._quiet
                return await endpoint(params)
            finally:
                self.budget.settle(weight, minute, self._used)

    def _on_answer(self, status: int, headers: Mapping[str, str], answer: object) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        used = lower.get("x-mbx-used-weight-1m", "")
        self._used = int(used) if _COUNT.fullmatch(used) else None
        if status == 200:
            if not isinstance(answer, dict | list):
                raise ExchangeUnreachableError(f"{self.url} answered something that is not JSON")
            return
        said = answer if isinstance(answer, dict) else {}
        error = refusal(
            self.url, status, said.get("code"), lower, _host_ms(),
            message=said.get("msg"), server_ms=self.now_ms(),
        )  # fmt: skip
        if isinstance(error, BlockedError) or (
            isinstance(error, RateLimitedError) and error.until_ms is not None
        ):
            self._quiet = error
        if error.remember_until_ms is not None:
            self._on_limit(error.remember_until_ms)
        raise error


def _since_boot_s() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _host_ms() -> int:
    return time.time_ns() // 1_000_000
