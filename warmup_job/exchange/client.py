"""One market of Binance through ccxt's raw endpoints: exact strings in, our own errors out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import ccxt.async_support as ccxt

from warmup_job.errors import (
    ExchangeUnreachableError,
    RateLimitedError,
    RefusedError,
    WarmupError,
)
from warmup_job.exchange import retry
from warmup_job.exchange.budget import Budget
from warmup_job.market.gaps import parse_rows
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline
from warmup_job.market.moment import utc_text
from warmup_job.market.plan import Market, Page

type _Endpoint = Callable[[dict[str, Any]], Awaitable[Any]]

_UNKNOWN_SYMBOL, _UNKNOWN_INTERVAL = -1121, -1120
_ILLEGAL_PARAMETER = -1100  # what an odd symbol gets before it is looked up
_INFO_WEIGHT: dict[Market, int] = {"um": 1, "spot": 20}


class _Ccxt(ccxt.binance):  # type: ignore[misc]  # ccxt is untyped
    """ccxt's Binance with one door for every answer, so that no malformed one passes as data."""

    on_answer: Callable[[int, Mapping[str, str], object], None]

    def handle_errors(self, code: int, *answer: Any) -> None:  # noqa: ANN401
        # reason, url, method, headers, body, parsed body, and what was sent
        _, _, _, headers, _, response, *_ = answer
        self.on_answer(code, headers, response)


class BinanceClient:
    """An open connection to one market: ``async with BinanceClient(...) as client``.

    It needs no key and sends none. Every method raises errors of our own tree only, waits within
    the weight budget, and retries what passes until ``deadline_ms``.

    Args:
        url: REST base, such as https://fapi.binance.com.
        weight_per_minute: what this process may spend.
        deadline_ms: how long from now all requests together may take.
    """

    def __init__(
        self, market: Market, url: str, *, weight_per_minute: int = 1200, deadline_ms: int = 60_000
    ) -> None:
        self.market = market
        self.url = url
        self._server_ms = 0
        self._server_at = 0.0
        self._deadline = time.monotonic() + deadline_ms / 1000
        self.budget = Budget(weight_per_minute, self.now_ms)
        self._ccxt = _Ccxt(
            {
                "enableRateLimit": False,  # the budget paces, by weight that is really counted
                "aiohttp_trust_env": True,
                "timeout": 10_000,
            }
        )
        self._ccxt.on_answer = self._on_answer
        self._ccxt.timeout_on_exit = 0
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
        await self._ccxt.close()

    def now_ms(self) -> int:
        """The exchange's time, UTC ms: never ahead of it, whatever this machine's clock says.

        Before the first `sync_clock` it is this machine's time.
        """
        if not self._server_ms:
            return time.time_ns() // 1_000_000
        return self._server_ms + int((time.monotonic() - self._server_at) * 1000)

    def extend_deadline(self, deadline_ms: int) -> None:
        """Start a new span: requests from now on may take ``deadline_ms`` together."""
        self._deadline = time.monotonic() + deadline_ms / 1000

    async def sync_clock(self) -> int:
        """Ask the exchange for its time; returns how far this machine's clock is ahead, in ms."""
        answer = await self._ask(
            self._ccxt.fapiPublicGetTime if self.market == "um" else self._ccxt.publicGetTime, {}, 1
        )
        server_ms = answer.get("serverTime") if isinstance(answer, dict) else None
        if type(server_ms) is not int and not (isinstance(server_ms, str) and server_ms.isdigit()):
            raise ExchangeUnreachableError(
                f"{self.url} does not answer like Binance: no serverTime"
            )
        # The stamp was made before it arrived here, so counting on from its arrival lags a little
        # and no forming kline can pass for closed.
        self._server_ms, self._server_at = int(server_ms), time.monotonic()
        return time.time_ns() // 1_000_000 - self._server_ms

    async def exchange_info(self, symbols: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The venue's raw entries, by symbol; a symbol that it does not list has none."""
        wanted = set(symbols)
        if self.market == "um":  # one answer holds them all
            entries = await self._exchange_info(self._ccxt.fapiPublicGetExchangeInfo, {})
            return {symbol: entry for symbol, entry in entries.items() if symbol in wanted}
        found: dict[str, dict[str, Any]] = {}
        for symbol in sorted(wanted):  # spot refuses all of them for one that it does not know
            with contextlib.suppress(RefusedError):
                found |= await self._exchange_info(
                    self._ccxt.publicGetExchangeInfo, {"symbol": symbol}
                )
        return found

    async def _exchange_info(
        self, endpoint: _Endpoint, params: dict[str, Any]
    ) -> dict[str, dict[str, Any]]:
        answer = await self._ask(endpoint, params, _INFO_WEIGHT[self.market])
        if not isinstance(answer, dict) or not isinstance(answer.get("symbols"), list):
            raise ExchangeUnreachableError(f"{self.url} does not answer like Binance: no symbols")
        entries = (entry for entry in answer["symbols"] if isinstance(entry, dict))
        return {str(entry.get("symbol")): entry for entry in entries}

    async def klines(self, symbol: str, interval: Interval, page: Page) -> list[Kline]:
        """One page of klines, checked row by row, oldest first, the forming one included."""
        ask = self._ccxt.fapiPublicGetKlines if self.market == "um" else self._ccxt.publicGetKlines
        params = {
            "symbol": symbol,
            "interval": interval.name,
            "startTime": page.start_ms,
            "endTime": page.end_ms,
            "limit": page.limit,
        }

        def parse(answer: object) -> list[Kline]:
            return parse_rows(answer, interval, page.start_ms, page.end_ms)

        rows = await self._ask(ask, params, page.weight, parse)
        return list(rows)

    async def first_open_ms(self, symbol: str, interval: Interval) -> int | None:
        """When the venue's history of this symbol begins (open of its first kline); None: never."""
        page = Page(0, self.now_ms(), 1, 1 if self.market == "um" else 2)
        rows = await self.klines(symbol, interval, page)
        return rows[0].open_ms if rows else None

    async def _ask(
        self,
        endpoint: _Endpoint,
        params: dict[str, Any],
        weight: int,
        parse: Callable[[object], Any] | None = None,
    ) -> Any:  # noqa: ANN401  # JSON
        attempt = 0
        while True:
            attempt += 1
            try:
                await self.budget.spend(weight)
                answer = await endpoint(params)
                return parse(answer) if parse else answer
            except WarmupError as error:
                failure = error
            except ccxt.RequestTimeout:
                failure = ExchangeUnreachableError(f"{self.url} did not answer in time")
            except ccxt.BaseError as error:
                failure = ExchangeUnreachableError(
                    f"cannot reach {self.url} ({_cause(error)}): check the network and api.base_url"
                )
            now_ms, left_ms = self.now_ms(), round((self._deadline - time.monotonic()) * 1000)
            wait = retry.wait_ms(failure, attempt, now_ms, now_ms + left_ms, random.random())
            if wait is None:
                raise failure
            await asyncio.sleep(wait / 1000)

    def _on_answer(self, status: int, headers: Mapping[str, str], answer: object) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        used = lower.get("x-mbx-used-weight-1m", "")
        if used.isdigit():
            self.budget.observe(int(used))
        if status == 200:
            if not isinstance(answer, dict | list):
                raise ExchangeUnreachableError(f"{self.url} answered something that is not JSON")
            return
        code = answer.get("code") if isinstance(answer, dict) else None
        raise _refusal(self.url, status, code, lower.get("retry-after", ""), self.now_ms())


def _refusal(url: str, status: int, code: object, retry_after: str, now_ms: int) -> WarmupError:
    if status in {418, 429}:
        until_ms = now_ms + int(retry_after) * 1000 if retry_after.isdigit() else None
        what = "has banned this IP" if status == 418 else "limits this IP's rate"
        when = f" until {utc_text(until_ms)}" if until_ms else ""
        return RateLimitedError(f"{url} {what}{when} (HTTP {status})", until_ms=until_ms)
    if status == 451:
        return RefusedError(
            f"{url} does not serve this location (HTTP 451): run in another region, use the "
            "testnet or demo (api.environment), or set HTTPS_PROXY"
        )
    if status == 403:
        return RefusedError(
            f"{url} refuses this client (HTTP 403, its firewall): change the IP or set HTTPS_PROXY"
        )
    if code in {_UNKNOWN_SYMBOL, _ILLEGAL_PARAMETER}:
        return RefusedError(f"{url} does not list the symbol (code {code}): correct it")
    if code == _UNKNOWN_INTERVAL:
        return RefusedError(f"{url} does not offer the interval (code {code}): correct it")
    if 400 <= status < 500 and status not in {404, 408}:
        return RefusedError(f"{url} refused the request (HTTP {status}, code {code})")
    return ExchangeUnreachableError(f"{url} answered HTTP {status}")


def _cause(error: BaseException) -> str:
    """The name of the deepest cause: ccxt's own texts can hold URLs with signatures."""
    while error.__cause__ is not None:
        error = error.__cause__
    reason = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
