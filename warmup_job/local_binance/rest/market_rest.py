"""The REST endpoints of public market data, on both markets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from warmup_job.local_binance.faults.distortion import (
    book_with_decimals,
    distort,
    rows_with_decimals,
    with_unknown_values,
)
from warmup_job.local_binance.faults.fault_spec import FaultStage
from warmup_job.local_binance.prices import kline_pages as klines
from warmup_job.local_binance.prices.funding_schedule import CAP, HOUR_MS, USUAL_HOURS
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.order_rate import order_limits
from warmup_job.local_binance.rest.responses import FAULTS, answer, first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiohttp import web

    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import KlineSource, PriceFeed
    from warmup_job.local_binance.prices.symbols import ListedSymbol
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.local_binance.rest.weight_meter import WeightMeter
    from warmup_job.market.pages import Market

KLINE_PATHS = frozenset({"/fapi/v1/klines", "/fapi/v1/markPriceKlines", "/api/v3/klines"})
"""The paths whose answers have kline rows."""
_FUNDING_ROWS, _MOST_FUNDING_ROWS = 100, 1000
_INTEREST_RATE = "0.00010000"
_ORDER_LIMITS: dict[Market, list[dict[str, Any]]] = {
    "um": order_limits(),
    "spot": [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
    ],
}


class MarketRest:
    """Answers the requests of a client without a key.

    Args:
        feeds: The listed symbols' prices, by market and name.
        clock: The exchange's clock.
        meter: The weight limits in exchangeInfo.
        faults: The faults, for changed ticks and steps.
        funding: Funding rates and times.
    """

    def __init__(
        self,
        feeds: Mapping[tuple[Market, str], PriceFeed],
        clock: ExchangeClock,
        meter: WeightMeter,
        faults: FaultBoard,
        funding: FundingSchedule,
    ) -> None:
        self._faults = faults
        self._funding = funding
        self._feeds = feeds
        self._clock = clock
        self._meter = meter

    def routes(self) -> dict[str, Handler]:
        """Return the handler of a GET by path."""
        return {
            "/fapi/v1/ping": self._ping,
            "/fapi/v1/time": self._time,
            "/fapi/v1/exchangeInfo": self._futures_info,
            "/fapi/v1/klines": self._kline_handler("um", lambda feed: feed.klines),
            "/fapi/v1/markPriceKlines": self._kline_handler("um", lambda feed: feed.marks),
            "/fapi/v1/premiumIndex": self._premium_index,
            "/fapi/v1/fundingInfo": self._funding_info,
            "/fapi/v1/fundingRate": self._funding_rates,
            "/fapi/v1/ticker/bookTicker": self._book_handler("um"),
            "/fapi/v2/ticker/price": self._price_handler("um"),
            "/api/v3/ping": self._ping,
            "/api/v3/time": self._time,
            "/api/v3/exchangeInfo": self._spot_info,
            "/api/v3/klines": self._kline_handler("spot", lambda feed: feed.klines),
            "/api/v3/ticker/bookTicker": self._book_handler("spot"),
            "/api/v3/ticker/price": self._price_handler("spot"),
        }

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {})

    async def _time(self, request: web.Request) -> web.StreamResponse:
        return answer(request, {"serverTime": self._clock.now_ms()})

    async def _futures_info(self, request: web.Request) -> web.StreamResponse:
        symbols = [feed.symbol for feed in self._all_feeds("um")]
        assets = list(dict.fromkeys(asset for s in symbols for asset in (s.quote, s.base)))
        info = self._info_head("um") | {
            "futuresType": "U_MARGINED",
            "assets": [
                {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
                for asset in assets
            ],
            "symbols": self._entries(request, symbols),
        }
        return answer(request, info)

    async def _spot_info(self, request: web.Request) -> web.StreamResponse:
        symbols = [feed.symbol for feed in self._chosen_spot_feeds(request.query)]
        return answer(
            request, self._info_head("spot") | {"symbols": self._entries(request, symbols)}
        )

    def _entries(
        self, request: web.Request, symbols: Iterable[ListedSymbol]
    ) -> list[dict[str, Any]]:
        """Return the symbols' entries; a fault may add unknown values to one."""
        fault = first(request.get(FAULTS, ()), FaultStage.BODY)
        odd = fault.word if fault is not None and fault.kind == "enum" else ""
        return [
            with_unknown_values(self._listed(each)) if each.name == odd else self._listed(each)
            for each in symbols
        ]

    def _listed(self, symbol: ListedSymbol) -> dict[str, Any]:
        """Return a symbol's entry with its current tick and step."""
        changed = self._faults.tick_and_step(symbol.name)
        return (
            symbol if changed is None else symbol.with_tick_and_step(changed.tick, changed.step)
        ).info()

    def _chosen_spot_feeds(self, params: Mapping[str, str]) -> list[PriceFeed]:
        if "symbols" in params:
            try:
                names = msgspec.json.decode(params["symbols"], type=list[str])
            except (msgspec.DecodeError, msgspec.ValidationError):
                raise error_answers.illegal_characters(
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
            "limit": self._meter.limit(market),
        }
        return {
            "timezone": "UTC",
            "serverTime": self._clock.now_ms(),
            "rateLimits": [weight_limit, *_ORDER_LIMITS[market]],
            "exchangeFilters": [],
        }

    def _kline_handler(
        self, market: Market, source_of: Callable[[PriceFeed], KlineSource]
    ) -> Handler:
        async def reply(request: web.Request) -> web.StreamResponse:
            query = klines.read_query(request.query, market)
            source = source_of(self._feed(market, query.symbol))
            now_ms = self._clock.now_ms()
            faults = [fault for fault in request[FAULTS] if fault.stage is FaultStage.ROWS]
            late_ms = [int((fault.number or 0) * 1000) for fault in faults if fault.kind == "late"]
            if late_ms:
                query = klines.before_late_rows(query, max(late_ms), now_ms)
            # Off the event loop: years of months take long enough to delay a closing kline.
            page = await asyncio.to_thread(klines.page, source, query, now_ms)
            if any(fault.kind == "forming" for fault in faults):
                page = klines.with_forming_row(page, source, query, now_ms)
            rows: list[Any] = [(*row, "0") for row in page]
            if changed := self._faults.tick_and_step(query.symbol):
                rows = rows_with_decimals(rows, changed)
            for fault in faults:
                rows = distort(rows, fault)
            if any(fault.kind == "odd" for fault in faults) and query.end_ms is not None:
                rows = [row for row in rows if row[0] <= query.end_ms]  # it is asked for by opens
            return answer(request, rows)

        return reply

    async def _premium_index(self, request: web.Request) -> web.StreamResponse:
        return self._one_or_all(request, "um", self._premium)

    def _premium(self, feed: PriceFeed, now_ms: int) -> dict[str, Any]:
        mark = feed.mark_price(now_ms)
        return {
            "symbol": feed.symbol.name,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": f"{self._funding.terms(feed.symbol.name, now_ms).rate:.8f}",
            "interestRate": _INTEREST_RATE,
            "nextFundingTime": self._funding.next_ms(feed.symbol.name, now_ms),
            "time": now_ms,
        }

    async def _funding_info(self, request: web.Request) -> web.StreamResponse:
        """Answer each symbol's funding interval; Binance lists only the unusual ones."""
        now_ms = self._clock.now_ms()
        rows = [
            {
                "symbol": feed.symbol.name,
                "adjustedFundingRateCap": f"{CAP:.8f}",
                "adjustedFundingRateFloor": f"{-CAP:.8f}",
                "fundingIntervalHours": terms.hours,
                "disclaimer": False,
            }
            for feed in self._all_feeds("um")
            if (terms := self._funding.terms(feed.symbol.name, now_ms)).hours != USUAL_HOURS
        ]
        return answer(request, rows)

    async def _funding_rates(self, request: web.Request) -> web.StreamResponse:
        """Answer past rates: the first ones from startTime on, or else the last ones."""
        params = request.query
        feeds = self._all_feeds("um")
        if "symbol" in params:
            feeds = [self._feed("um", klines.read_symbol(params))]
        now_ms = self._clock.now_ms()
        start_ms, end_ms = (klines.read_number(params, name) for name in ("startTime", "endTime"))
        limit = klines.read_number(params, "limit")
        if limit is None:
            limit = _FUNDING_ROWS
        if not 1 <= limit <= _MOST_FUNDING_ROWS:
            raise error_answers.invalid_value("limit")
        until_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        # Every symbol pays at least this often, so the window has all rows that are asked for.
        window_ms = limit * USUAL_HOURS * HOUR_MS
        from_ms = until_ms - window_ms if start_ms is None else start_ms
        until_ms = min(until_ms, from_ms + window_ms)
        rows: list[dict[str, Any]] = [
            {
                "symbol": feed.symbol.name,
                "fundingTime": at_ms,
                "fundingRate": f"{self._funding.terms(feed.symbol.name, at_ms).rate:.8f}",
                "markPrice": feed.mark_price(at_ms),
            }
            for feed in feeds
            for at_ms in self._funding.times(
                feed.symbol.name, max(from_ms - 1, feed.symbol.onboard_ms), until_ms
            )
        ]
        rows.sort(key=lambda row: row["fundingTime"])
        return answer(request, rows[-limit:] if start_ms is None else rows[:limit])

    def _book_handler(self, market: Market) -> Handler:
        def entry(feed: PriceFeed, now_ms: int) -> dict[str, Any]:
            book = feed.book(now_ms)
            if changed := self._faults.tick_and_step(feed.symbol.name):
                book = book_with_decimals(book, changed)
            ticker = {
                "symbol": feed.symbol.name,
                "bidPrice": book.bid,
                "bidQty": book.bid_quantity,
                "askPrice": book.ask,
                "askQty": book.ask_quantity,
            }
            return ticker if market == "spot" else ticker | {"time": now_ms}

        async def reply(request: web.Request) -> web.StreamResponse:
            return self._one_or_all(request, market, entry)

        return reply

    def _price_handler(self, market: Market) -> Handler:
        def entry(feed: PriceFeed, now_ms: int) -> dict[str, Any]:
            ticker: dict[str, Any] = {"symbol": feed.symbol.name, "price": feed.last_price(now_ms)}
            return ticker if market == "spot" else ticker | {"time": now_ms}

        async def reply(request: web.Request) -> web.StreamResponse:
            return self._one_or_all(request, market, entry)

        return reply

    def _one_or_all(
        self,
        request: web.Request,
        market: Market,
        entry: Callable[[PriceFeed, int], dict[str, Any]],
    ) -> web.Response:
        now_ms = self._clock.now_ms()
        if "symbol" in request.query:
            feed = self._feed(market, klines.read_symbol(request.query))
            return answer(request, entry(feed, now_ms))
        return answer(request, [entry(feed, now_ms) for feed in self._all_feeds(market)])

    def _feed(self, market: Market, name: str) -> PriceFeed:
        feed = self._feeds.get((market, name))
        if feed is None:
            raise error_answers.invalid_symbol()
        return feed

    def _all_feeds(self, market: Market) -> list[PriceFeed]:
        return [feed for (of, _), feed in self._feeds.items() if of == market]
