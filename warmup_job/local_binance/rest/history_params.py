"""Reads which part of a history a request asks for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.account.account_history import HistoryQuery
from warmup_job.local_binance.prices.kline_pages import read_number
from warmup_job.local_binance.rest import error_answers

if TYPE_CHECKING:
    from warmup_job.local_binance.rest.parameter_values import Params


def read_history_query(params: Params, id_name: str | None, most: int, usual: int) -> HistoryQuery:
    """Read which part of a history is asked for.

    Args:
        params: The request's parameters.
        id_name: The parameter with the first id; None: there is none.
        most: The largest limit.
        usual: The limit of a request that gives none.

    Raises:
        ErrorAnswer: −1100, a number is malformed; −1130, the limit is out of range; −1023, the
            start is after the end.
    """
    start_ms, end_ms, limit = (
        read_number(params, name) for name in ("startTime", "endTime", "limit")
    )
    first_id = None if id_name is None else read_number(params, id_name)
    if limit is not None and not 1 <= limit <= most:
        raise error_answers.invalid_value("limit")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        raise error_answers.start_after_end()
    return HistoryQuery(start_ms, end_ms, usual if limit is None else limit, first_id)
