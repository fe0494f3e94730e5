"""Binance's rules for pages of klines, from its documentation and recorded answers.

They are written independently of the client, so that tests find a client's paging errors. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Kline-Candlestick-Data

- ``startTime`` and ``endTime`` are inclusive and refer to open times.
- With ``startTime``, a page has the earliest rows from it; without, the latest to ``endTime``.
- ``limit`` defaults to 500; its maximum is 1500 on futures (more is rejected) and 1000 on spot
  (more counts as 1000).
- The newest row is the forming kline with its current values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from warmup_job.errors import ConfigError
from warmup_job.local_binance.rest import error_answers
from warmup_job.market.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warmup_job.local_binance.prices.price_feed import KlineSource
    from warmup_job.market.kline import Kline
    from warmup_job.market.pages import Market

DEFAULT_LIMIT = 500
MAX_LIMIT: dict[Market, int] = {"um": 1500, "spot": 1000}

_SYMBOL_RANGE = r"^[A-Z0-9-_.]{1,20}$"
_NUMBER_RANGE = r"^[0-9]{1,20}$"


class KlineQuery(msgspec.Struct, frozen=True):
    """A validated kline request. Times are UTC ms."""

    symbol: str
    interval: Interval
    start_ms: int | None
    end_ms: int | None
    limit: int


def read_symbol(params: Mapping[str, str]) -> str:
    """Read the mandatory ``symbol``.

    Raises:
        ErrorAnswer: −1102, it is missing; −1100, it has illegal characters.
    """
    symbol = params.get("symbol", "")
    if not symbol:
        raise error_answers.missing("symbol")
    # \Z, not $: a trailing newline is not part of a symbol.
    if not re.match(_SYMBOL_RANGE.replace("$", r"\Z"), symbol):
        raise error_answers.illegal_characters("symbol", _SYMBOL_RANGE)
    return symbol


def read_query(params: Mapping[str, str], market: Market) -> KlineQuery:
    """Validate the parameters of a kline request.

    Raises:
        ErrorAnswer: −1102 for a missing parameter, −1100 for illegal characters, −1120 for the
            interval, −1130 for the limit, −1023 (futures) for a start after the end.
    """
    symbol = read_symbol(params)
    name = params.get("interval", "")
    if not name:
        raise error_answers.missing("interval")
    try:
        interval = Interval.parse(name)
    except ConfigError:
        raise error_answers.invalid_interval() from None

    start_ms, end_ms = read_number(params, "startTime"), read_number(params, "endTime")
    limit = read_number(params, "limit")
    if limit is None:
        limit = DEFAULT_LIMIT
    if limit < 1 or (limit > MAX_LIMIT[market] and market == "um"):
        raise error_answers.invalid_value("limit")
    if market == "um" and start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise error_answers.start_after_end()
    return KlineQuery(symbol, interval, start_ms, end_ms, min(limit, MAX_LIMIT[market]))


def page(source: KlineSource, query: KlineQuery, now_ms: int) -> list[Kline]:
    """Return the rows that answer a query.

    Args:
        source: The symbol's klines.
        query: The request.
        now_ms: The exchange's time, UTC ms.

    Raises:
        ErrorAnswer: −1120, the symbol has no klines of this interval.
    """
    if not source.offers(query.interval):
        raise error_answers.invalid_interval()
    until_ms = now_ms if query.end_ms is None else min(query.end_ms, now_ms)
    if query.start_ms is None:
        return source.latest(query.interval, until_ms, query.limit, now_ms)
    if query.start_ms > until_ms:
        return []
    return source.earliest(query.interval, query.start_ms, until_ms, query.limit, now_ms)


def before_late_rows(query: KlineQuery, late_ms: int, now_ms: int) -> KlineQuery:
    """Restrict a query to the rows of an exchange that publishes a row ``late_ms`` after its close.

    A row that closed less than ``late_ms`` ago is missing, as are all after it.
    """
    interval = query.interval
    known_ms = interval.floor(now_ms - late_ms)
    if known_ms == interval.floor(now_ms):
        return query  # the last close is old enough
    end_ms = known_ms - 1 if query.end_ms is None else min(query.end_ms, known_ms - 1)
    return replace(query, end_ms=end_ms)


def with_forming_row(
    rows: list[Kline], source: KlineSource, query: KlineQuery, now_ms: int
) -> list[Kline]:
    """Append the forming kline regardless of ``endTime`` and ``limit``."""
    forming = source.latest(query.interval, now_ms, 1, now_ms)
    return rows if rows[-1:] == forming else [*rows, *forming]


def read_number(params: Mapping[str, str], name: str) -> int | None:
    """Read an optional whole number.

    Raises:
        ErrorAnswer: −1102, it is empty; −1100, it is not a number.
    """
    text = params.get(name)
    if text is None:
        return None
    if not text:
        raise error_answers.missing(name)
    if not re.fullmatch("[0-9]{1,20}", text):
        raise error_answers.illegal_characters(name, _NUMBER_RANGE)
    return int(text)
