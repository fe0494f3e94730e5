"""Request weights, and the rejections of addresses that exceed their limit.

Each address has one limit per market and calendar minute, as on Binance, where the markets are
different hosts. Requests above it get 429. An address that continues gets 418, a ban whose length
doubles each time (https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from warmup_job.local_binance.rest.error_answers import ErrorAnswer
from warmup_job.market.interval import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmup_job.market.pages import Market

MINUTE_LIMIT: dict[Market, int] = {"um": 2400, "spot": 6000}
PATIENCE = 10
"""Rejected requests in a minute before a ban."""
_KEPT_MINUTES = 1440

_FLAT: dict[str, int] = {
    "/fapi/v1/exchangeInfo": 1,
    "/fapi/v1/accountConfig": 5,
    "/fapi/v1/allAlgoOrders": 5,
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/commissionRate": 20,
    "/fapi/v1/income": 30,
    "/fapi/v1/multiAssetsMargin": 30,
    "/fapi/v1/positionSide/dual": 30,
    "/fapi/v1/symbolConfig": 5,
    "/fapi/v1/userTrades": 5,
    "/fapi/v2/account": 5,
    "/fapi/v2/balance": 5,
    "/fapi/v2/positionRisk": 5,
    "/fapi/v3/account": 5,
    "/fapi/v3/balance": 5,
    "/fapi/v3/positionRisk": 5,
    "/api/v3/account": 20,
    "/api/v3/exchangeInfo": 20,
    "/api/v3/klines": 2,
}
# What changes the account costs 1, except these. New and changed orders also count against a
# separate limit of the account (`order_rate`).
_CHANGES: dict[tuple[str, str], int] = {
    ("POST", "/fapi/v1/order"): 0,
    ("PUT", "/fapi/v1/order"): 0,
    ("POST", "/fapi/v1/algoOrder"): 0,
    ("POST", "/fapi/v1/batchOrders"): 5,
    ("PUT", "/fapi/v1/batchOrders"): 5,
    ("POST", "/fapi/v1/countdownCancelAll"): 10,
}
# (with a symbol, without)
_BY_SYMBOL: dict[str, tuple[int, int]] = {
    "/fapi/v1/openAlgoOrders": (1, 40),
    "/fapi/v1/openOrders": (1, 40),
    "/fapi/v1/premiumIndex": (1, 10),
    "/fapi/v1/ticker/bookTicker": (2, 5),
    "/fapi/v2/ticker/price": (1, 2),
    "/api/v3/ticker/bookTicker": (2, 4),
    "/api/v3/ticker/price": (2, 4),
}
_BY_LIMIT = frozenset({"/fapi/v1/klines", "/fapi/v1/markPriceKlines"})


def request_weight(path: str, params: Mapping[str, str], method: str = "GET") -> int:
    """Return a request's weight, by Binance's documentation of its endpoint."""
    if method not in ("GET", "HEAD"):
        return _CHANGES.get((method, path), 1)
    if path in _BY_LIMIT:
        return _futures_kline_weight(params.get("limit", "500"))
    if path in _BY_SYMBOL:
        with_symbol, without = _BY_SYMBOL[path]
        return with_symbol if "symbol" in params else without
    return _FLAT.get(path, 1)


def _futures_kline_weight(limit_text: str) -> int:
    limit = int(limit_text) if limit_text.isascii() and limit_text.isdigit() else 1
    if limit < 100:
        return 1
    if limit < 500:
        return 2
    return 5 if limit <= 1000 else 10


class _Address(msgspec.Struct):
    """One address on one market."""

    minute: int = -1
    used: int = 0
    refused: int = 0
    bans: int = 0
    banned_until_ms: int = 0


class WeightMeter(msgspec.Struct):
    """Counts weights per address, market and minute. Times are the exchange's UTC ms."""

    minute_limit: int | None = None
    """The limit on each market; None: Binance's, 2400 on futures and 6000 on spot."""
    ban_ms: int = 120_000
    """Length of the first ban, ms."""
    _addresses: dict[tuple[Market, str], _Address] = msgspec.field(default_factory=dict)
    _spent: dict[tuple[Market, str], dict[int, int]] = msgspec.field(default_factory=dict)

    def limit(self, market: Market) -> int:
        """Return the limit of a market per address and minute."""
        return self.minute_limit if self.minute_limit is not None else MINUTE_LIMIT[market]

    def used(self, market: Market, address: str) -> int:
        """Return the weight that an address has used in the minute of its last request."""
        record = self._addresses.get((market, address))
        return record.used if record else 0

    def charge(self, market: Market, address: str, weight: int, now_ms: int) -> None:
        """Count a request's weight.

        Raises:
            ErrorAnswer: 429 if it exceeds the limit, 418 during a ban.
        """
        record = self._addresses.setdefault((market, address), _Address())
        if now_ms < record.banned_until_ms:
            raise self._banned(record, now_ms)
        minute = now_ms // MINUTE_MS
        if minute != record.minute:
            record.minute, record.used, record.refused = minute, 0, 0
        record.used += weight
        self._book((market, address), minute * MINUTE_MS, weight)
        limit = self.limit(market)
        if record.used <= limit:
            return
        record.refused += 1
        if record.refused > PATIENCE:
            record.banned_until_ms = now_ms + self.ban_ms * 2**record.bans
            record.bans += 1
            record.refused = 0
            raise self._banned(record, now_ms)
        raise ErrorAnswer(
            429,
            -1003,
            f"Too many requests; current limit of IP({address}) is {limit} requests per minute. "
            "Please use the websocket for live updates to avoid polling the API.",
            retry_after_s=_seconds((minute + 1) * MINUTE_MS - now_ms),
        )

    def reset(self) -> None:
        """Forget the weights and bans of all addresses."""
        self._addresses.clear()
        self._spent.clear()

    def minutes(self, market: Market) -> dict[int, int]:
        """Return the used weight by the start of the calendar minute (UTC ms), for the last day.

        It is the weight of the address that used most, rejected requests included.
        """
        most: dict[int, int] = {}
        for (of, _), spent in self._spent.items():
            if of == market:
                for minute_ms, weight in spent.items():
                    most[minute_ms] = max(weight, most.get(minute_ms, 0))
        return dict(sorted(most.items()))

    def _book(self, address: tuple[Market, str], minute_ms: int, weight: int) -> None:
        spent = self._spent.setdefault(address, {})
        spent[minute_ms] = spent.get(minute_ms, 0) + weight
        if len(spent) > _KEPT_MINUTES:
            del spent[next(iter(spent))]

    @staticmethod
    def _banned(record: _Address, now_ms: int) -> ErrorAnswer:
        return ErrorAnswer(
            418,
            -1003,
            f"Way too many requests; IP banned until {record.banned_until_ms}. "
            "Please use the websocket for live updates to avoid bans.",
            retry_after_s=_seconds(record.banned_until_ms - now_ms),
        )


def _seconds(duration_ms: int) -> int:
    return max(1, -(-duration_ms // 1000))
