"""Read one Binance market through ccxt's raw endpoints, which keep decimals as text."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Annotated, Any, NamedTuple, Self

import aiohttp
import msgspec
from loguru import logger

from warmup_job.binance import retry
from warmup_job.binance.answers import answer_error
from warmup_job.binance.connection_errors import connection_error
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.http_session import BoundedResponse, CcxtSession
from warmup_job.binance.lean_ccxt import import_binance
from warmup_job.binance.limit_wait import LimitWait
from warmup_job.binance.outage import Outage
from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.binance.weight_budget import WeightBudget
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
    FUNDING_WEIGHT,
    MAX_SYMBOLS_PER_REQUEST,
    TIME_WEIGHT,
    Market,
    Page,
    exchange_info_weight,
)
from warmup_job.market.rows import off_grid_text, parse_rows
from warmup_job.market.stream_id import PriceType
from warmup_job.market.times import YEAR_2100_MS
from warmup_job.process.late_tls import late_context

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
type _Endpoint = Callable[[dict[str, Any]], Awaitable[Any]]
type _Row = tuple[int, str, str, str, str, str, int, str, int, str, str, str]

_MAX_IN_FLIGHT = 16
_TIMEOUT_MS = 10_000
_SLOW_MS = 1_000
_YEAR_2017_MS = 1_483_228_800_000  # Binance opened


_Binance, ccxt = import_binance()


class _Ccxt(_Binance):  # type: ignore[misc,valid-type]  # ccxt is untyped
    """ccxt's Binance class, changed so that every answer is checked before it counts as data."""

    on_answer: Callable[[int, Mapping[str, str], object], None]
    through: Proxy | None
    is_encrypted: bool
    session: CcxtSession | None
    ssl_context: ssl.SSLContext | None
    _rows = msgspec.json.Decoder(list[_Row])

    def open(self, lazy: bool = False) -> None:
        if self.ssl_context is None:
            trust = late_context(cafile=self.cafile)
            system = ssl.get_default_verify_paths().cafile
            if system is not None:
                trust.load_verify_locations(cafile=system)
            if self.is_encrypted:  # while the name is resolved and the connection is opened
                trust.read_in_background()
            self.ssl_context = trust
        super().open(lazy)
        if self.session is None:
            self.tcp_connector = aiohttp.TCPConnector(
                ssl=self.ssl_context, family=socket.AF_UNSPEC, happy_eyeballs_delay=0
            )
            inner = aiohttp.ClientSession(
                connector=self.tcp_connector, response_class=BoundedResponse
            )
            self.session = CcxtSession(inner, self.through)

    async def close(self, clean_instance_data: bool = False) -> None:
        session = self.session  # ccxt closes only a session that it made itself
        await super().close(clean_instance_data)
        if session is not None:
            await session.close()

    def parse_json(self, http_response: str) -> object:
        """Decode an answer; return None if it is not JSON. Kline pages have a fast decoder."""
        with contextlib.suppress(msgspec.ValidationError, msgspec.DecodeError):
            if http_response.startswith("[["):
                return self._rows.decode(http_response)
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(http_response)
        return None

    def handle_errors(self, code: int, *answer: Any) -> None:  # noqa: ANN401
        # reason, url, method, headers, body, parsed body, request headers and body
        _, _, _, headers, _, response, *_ = answer
        self.on_answer(code, headers, response)


def make_ccxt(
    on_answer: Callable[[int, Mapping[str, str], object], None],
    *,
    proxy: Proxy | None = None,
    api_key: str = "",
    api_secret: str = "",
    receive_window_ms: int = 5_000,
    is_encrypted: bool = True,
) -> _Ccxt:
    """Make the ccxt client.

    Args:
        on_answer: Called with HTTP status, headers and parsed body of every answer; it raises if
            the answer is an error.
        proxy: The proxy of every request; None: connect directly.
        api_key: Empty for public requests.
        api_secret: See `warmup_job.binance.api_keys.signing_secret`.
        receive_window_ms: Binance's recvWindow of signed requests.
        is_encrypted: Whether it will need certificate authorities.
    """
    made = _Ccxt(
        {
            "enableRateLimit": False,  # `WeightBudget` does it, with Binance's own count
            "session": None,
            "timeout": _TIMEOUT_MS,
            "apiKey": api_key,
            "secret": api_secret,
            "options": {"recvWindow": receive_window_ms},
        }
    )
    made.on_answer = on_answer
    made.through = proxy
    made.is_encrypted = is_encrypted
    made.timeout_on_exit = 0
    return made


class _Funding(msgspec.Struct, frozen=True):
    """A row of fundingInfo."""

    symbol: str
    hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = msgspec.field(name="fundingIntervalHours")


class ClockOffset(NamedTuple):
    """This machine's clock compared with the exchange's.

    Attributes:
        offset_ms: This machine's time minus the exchange's, in ms; its error is at most half the
            round trip.
        round_trip_ms: How long the request took.
    """

    offset_ms: int
    round_trip_ms: int

    @property
    def is_reliable(self) -> bool:
        """Whether the round trip was short enough to set the client's clock by it."""
        return self.round_trip_ms <= _SLOW_MS


class BinanceClient:
    """A connection to one market; use it as ``async with BinanceClient(...) as client``.

    It uses public endpoints and sends no key. Every method raises only `WarmupError`, waits for
    room in the weight budget, and retries transient errors until the deadline. While the exchange
    limits or bans this IP, no request is sent.

    Args:
        market: The market.
        url: The REST base URL, such as https://fapi.binance.com.
        weight_per_minute: Request weight to use per minute; other programs behind this IP count.
        deadline_ms: How long from now all requests together may take, in ms.
        on_limit: Called at once with the end of a limit or ban (this machine's clock, UTC ms).

    Raises:
        ConfigError: The proxy variable in effect is invalid.
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
        """The REST base URL without credentials, for logs and errors."""
        self.listed: frozenset[str] = frozenset()
        """All symbols of the latest exchangeInfo; empty: none was fetched, or it had only some."""
        self._server_ms = 0
        self._server_at = 0.0
        self._deadline_at = time.monotonic() + deadline_ms / 1000
        self._limit: RateLimitedError | None = None
        self._block: BlockedError | None = None
        self._on_limit = on_limit
        self._in_flight = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._used: int | None = None
        self.budget = WeightBudget(weight_per_minute, self.now_ms)
        self._outage = Outage(self.url)
        self._limit_wait = LimitWait(self.url)
        self._proxy = proxy_for(url)
        self._ccxt = make_ccxt(
            self._on_answer, proxy=self._proxy, is_encrypted=url.startswith("https:")
        )
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
        self._limit_wait.close()
        await self._ccxt.close()

    def now_ms(self) -> int:
        """Return the exchange's time, UTC ms; the result is never ahead of it.

        Before the first `sync_clock` it is this machine's time.
        """
        if not self._server_ms:
            return _host_ms()
        return self._server_ms + int((_since_boot_s() - self._server_at) * 1000)

    @property
    def outage_reason(self) -> str:
        """Why the exchange cannot be reached; empty: it answers."""
        return self._outage.reason

    def extend_deadline(self, deadline_ms: int) -> None:
        """Set the deadline of all further requests to ``deadline_ms`` from now."""
        self._deadline_at = time.monotonic() + deadline_ms / 1000

    async def sync_clock(self) -> ClockOffset:
        """Fetch the exchange's time and return the offset of this machine's clock."""
        api = self._ccxt
        ask = api.fapiPublicGetTime if self.market == "um" else api.publicGetTime

        def parse(answer: object) -> int:
            stamp = answer.get("serverTime") if isinstance(answer, dict) else None
            if type(stamp) is not int or not _YEAR_2017_MS < stamp < YEAR_2100_MS:
                raise ExchangeUnreachableError(
                    f"{self.url} is not Binance's API: its answer has no serverTime"
                )
            return stamp

        sent_at = 0.0

        async def asked_now(params: dict[str, Any]) -> object:
            nonlocal sent_at
            sent_at = time.monotonic()  # of the attempt that is answered
            return await ask(params)

        server_ms = await self._ask(asked_now, {}, TIME_WEIGHT, parse)
        round_trip_ms, host_ms = round((time.monotonic() - sent_at) * 1000), _host_ms()
        # The exchange took its time before we received it, so our copy lags a little, and a
        # forming kline never counts as closed. A slow answer would lag too much.
        if not self._server_ms or round_trip_ms <= _SLOW_MS:
            first = not self._server_ms
            self._server_ms, self._server_at = server_ms, _since_boot_s()
            if first:
                self.budget.clock_synced(self._used)
        return ClockOffset(host_ms - server_ms - round_trip_ms // 2, round_trip_ms)

    async def exchange_info(self, symbols: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the raw exchangeInfo entries by symbol; unlisted symbols are missing."""
        wanted = set(symbols)
        if self.market == "um":  # one answer has all symbols
            entries = await self._exchange_info(self._ccxt.fapiPublicGetExchangeInfo, {})
            self.listed = frozenset(entries)
            return {symbol: entry for symbol, entry in entries.items() if symbol in wanted}
        found: dict[str, dict[str, Any]] = {}
        names = sorted(wanted)
        for first in range(0, len(names), MAX_SYMBOLS_PER_REQUEST):
            found |= await self._spot_info(names[first : first + MAX_SYMBOLS_PER_REQUEST])
        return found

    async def _spot_info(self, symbols: list[str]) -> dict[str, dict[str, Any]]:
        """Return the entries of the listed symbols.

        Spot rejects the whole request if one symbol is unknown and does not name it, so this
        halves the list until the symbol is found.
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
                    f"{self.url} is not Binance's API: its answer has no symbols"
                )
            return {str(entry.get("symbol")): entry for entry in symbols}

        entries: dict[str, dict[str, Any]] = await self._ask(
            endpoint, params, exchange_info_weight(self.market), parse
        )
        return entries

    async def funding_hours(self) -> dict[str, int]:
        """Return the hours between two funding payments, by symbol; futures only.

        Binance lists only symbols whose funding was adjusted. All others pay every 8 hours:
        https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Get-Funding-Rate-Info
        """

        def parse(answer: object) -> dict[str, int]:
            try:
                return {row.symbol: row.hours for row in msgspec.convert(answer, list[_Funding])}
            except msgspec.ValidationError as error:
                raise ExchangeUnreachableError(
                    f"{self.url} is not Binance's API: its fundingInfo has {error}"
                ) from None

        return await self._ask(self._ccxt.fapiPublicGetFundingInfo, {}, FUNDING_WEIGHT, parse)

    async def klines(
        self, symbol: str, interval: Interval, page: Page, price: PriceType = "last"
    ) -> Klines:
        """Fetch one page of klines, ascending and validated; the last may still be forming.

        Raises:
            DataInvalidError: The rows are invalid, repeatedly.
            UnknownSymbolError: Binance does not list the symbol.
            WarmupError: Any other failure that did not pass before the deadline.
        """
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
            if rows.off_grid_ms is not None and rows.off_grid_ms not in odd:
                odd.add(rows.off_grid_ms)  # retry once: the cause may be the transport
                raise DataInvalidError(off_grid_text(rows.off_grid_ms, interval))
            return rows

        try:
            return await self._ask(ask, params, page.weight, parse)
        except (UnknownSymbolError, DataInvalidError) as error:
            raise type(error)(f"{symbol}: {error}") from None

    async def first_open_ms(
        self, symbol: str, interval: Interval, price: PriceType = "last"
    ) -> int | None:
        """Return the open of the symbol's first kline, UTC ms; None: it has no klines."""
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
        attempt, failing, answered = 0, False, False
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
                    failure = connection_error(error, self.url, self._proxy)
                else:
                    answered = True
                    return parsed
                now_ms, left_ms = _host_ms(), round((self._deadline_at - time.monotonic()) * 1000)
                wait = retry.wait_ms(failure, attempt, now_ms, now_ms + left_ms, random.random())
                if wait is None:
                    raise failure
                if not failing and isinstance(failure, ExchangeUnreachableError):
                    failing = True
                    self._outage.request_failed(str(failure))
                logger.debug(
                    "attempt {attempt} failed: {reason}; the next in {wait_ms} ms",
                    event="request.retried",
                    attempt=attempt,
                    reason=str(failure),
                    wait_ms=wait,
                )
                if isinstance(failure, RateLimitedError):
                    await self._limit_wait.sleep(wait / 1000, str(failure))
                    continue
                if failing:
                    self._outage.attempt_failed(wait)
                await asyncio.sleep(wait / 1000)
        finally:
            if failing:
                self._outage.request_ended(answered=answered)

    async def _send(self, endpoint: _Endpoint, params: dict[str, Any], weight: int) -> object:
        """Send one request when the budget has room; raise while a limit or block is in effect."""
        async with self._in_flight:
            minute = await self.budget.spend(weight)
            self._used = None
            try:
                self.check_allowed()
                return await self._answered(endpoint, params, weight)
            finally:
                self.budget.request_ended(weight, minute, self._used)

    async def _answered(self, endpoint: _Endpoint, params: dict[str, Any], weight: int) -> object:
        sent_at = time.monotonic()
        try:
            return await endpoint(params)
        finally:
            logger.debug(
                "{endpoint} {params}: weight {weight}, {took_ms} ms",
                event="request.sent",
                endpoint=self.url,
                params=str(params),
                weight=weight,
                took_ms=round((time.monotonic() - sent_at) * 1000),
            )

    def check_allowed(self) -> None:
        """Raise the error of a limit or block of this IP that has not ended yet.

        Raises:
            RateLimitedError: The exchange limits or bans this IP.
            BlockedError: The exchange refuses this client.
        """
        both = [each for each in (self._limit, self._block) if each is not None]
        longest = max(both, key=_end_ms, default=None)
        if longest is not None and _end_ms(longest) > _host_ms():
            raise longest

    @property
    def limited_until_ms(self) -> int | None:
        """Until when the exchange limits or bans this IP, this machine's clock; None: it does not.

        The block of a firewall does not count.
        """
        until_ms = 0 if self._limit is None else _end_ms(self._limit)
        return until_ms if until_ms > _host_ms() else None

    @property
    def counted_weight(self) -> int | None:
        """The weight of this minute that the exchange counted in its latest answer.

        All programs behind this IP count. None: the answer does not have it, or failed.
        """
        return self._used

    def used_weight(self, headers: Mapping[str, str]) -> int | None:
        """Return the weight that the exchange has counted in this minute; None: it is not told."""
        lower = {name.lower(): value for name, value in headers.items()}
        used = lower.get("x-mbx-used-weight-1m", "")
        return int(used) if _COUNT.fullmatch(used) else None

    def _on_answer(self, status: int, headers: Mapping[str, str], answer: object) -> None:
        self._used = self.used_weight(headers)
        self.check_answer(status, headers, answer)

    def check_answer(self, status: int, headers: Mapping[str, str], answer: object) -> None:
        """Raise if an answer is an error, and remember a limit or block of this IP.

        Args:
            status: The HTTP status.
            headers: The HTTP headers.
            answer: The parsed body; None: it is not JSON.

        Raises:
            WarmupError: The answer is an error.
        """
        lower = {name.lower(): value for name, value in headers.items()}
        if status == 200:
            if not isinstance(answer, dict | list):
                raise ExchangeUnreachableError(f"{self.url} sent an answer that is not JSON")
            return
        details = answer if isinstance(answer, dict) else {}
        error = answer_error(
            self.url, status, details.get("code"), lower, _host_ms(),
            message=details.get("msg"), server_ms=self.now_ms(),
        )  # fmt: skip
        if isinstance(error, BlockedError):
            self._block = _later(self._block, error)
        elif isinstance(error, RateLimitedError):
            self._limit = _later(self._limit, error)
        if error.remember_until_ms is not None:
            self._on_limit(error.remember_until_ms)
        raise error


def _end_ms(error: RateLimitedError | BlockedError) -> int:
    return error.until_ms or 0


def _later[E: (RateLimitedError, BlockedError)](before: E | None, error: E) -> E:
    return error if before is None or _end_ms(error) >= _end_ms(before) else before


def _since_boot_s() -> float:
    """Return a clock that never jumps and, where supported, counts the machine's sleep."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _host_ms() -> int:
    return time.time_ns() // 1_000_000
