"""Nautilus' HTTP requests share the memory of rate limits and bans with our own client.

Binance limits and bans an IP, so whoever learns of it first has to stop all: klines and readings of
the account after a refused order, and orders after a refused request for klines.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.adapters.binance.http.error import BinanceClientError
from nautilus_trader.core.nautilus_pyo3 import HttpClient, HttpMethod, HttpResponse, Quota

from warmup_job.binance.answers import TOO_MANY_REQUESTS, is_ip_limit, limit_text
from warmup_job.binance.client import BinanceClient
from warmup_job.errors import RateLimitedError

_TOO_MANY = 429
_HEADERS = ["retry-after", "x-mbx-used-weight-1m"]
_QUOTA = Quota.rate_per_minute(2400)  # Nautilus' own; `OrderGate` limits the orders


class LimitedRequests:
    """Stands in front of the HTTP client of Nautilus' Binance client.

    While the exchange limits or bans this IP, it sends nothing. The reason of such a request, and
    of one that the exchange refuses for a limit, says until when, on this machine's clock.

    Args:
        requests: Sends the requests.
        client: Our client of the same exchange; it remembers limits and counts the weight.
    """

    def __init__(self, requests: HttpClient, client: BinanceClient) -> None:
        self._requests = requests
        self._client = client

    async def request(self, method: HttpMethod, **fields: Any) -> HttpResponse:  # noqa: ANN401
        """Send a request and return its answer.

        Raises:
            BinanceClientError: The exchange limits or bans this IP.
        """
        until_ms = self._client.limited_until_ms
        if until_ms is not None:
            raise _refusal(_TOO_MANY, until_ms)
        minute = self._client.budget.count(0)
        used: int | None = None
        try:
            answer = await self._requests.request(method, **fields)
            used = self._client.used_weight(answer.headers)
        finally:
            self._client.budget.request_ended(0, minute, used)
        if answer.status >= 400:
            self._check(answer)
        return answer

    def _check(self, answer: HttpResponse) -> None:
        try:
            details = msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            details = None
        code = details.get("code") if isinstance(details, dict) else None
        if not is_ip_limit(answer.status, code):
            return
        try:
            self._client.check_answer(answer.status, answer.headers, details)
        except RateLimitedError as error:
            if error.until_ms is not None:
                raise _refusal(answer.status, error.until_ms) from None


def share_limits(http: BinanceHttpClient, client: BinanceClient, proxy_url: str | None) -> None:
    """Let a client of Nautilus respect and report the limits that our client knows.

    Nautilus' own HTTP client passes no header on, so that it knows neither `Retry-After` nor the
    weight used.

    Args:
        http: Nautilus' client.
        client: Our client of the same exchange.
        proxy_url: The proxy of Nautilus' requests; None: it connects directly.
    """
    requests = HttpClient(header_keys=_HEADERS, default_quota=_QUOTA, proxy_url=proxy_url)
    http._client = LimitedRequests(requests, client)


def _refusal(status: int, until_ms: int) -> BinanceClientError:
    message = {"code": TOO_MANY_REQUESTS, "msg": limit_text(until_ms)}
    left_s = max(1, -(-(until_ms - time.time_ns() // 1_000_000) // 1000))
    return BinanceClientError(status, message, {"Retry-After": str(left_s)})
