"""The runner's decision: in which state a trader is, whether orders may leave, and why."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from warmup_job.handoff.reporting.report import State
from warmup_job.handoff.trading_decision import (
    AccountProblem,
    Decision,
    Situation,
    StreamStatus,
    decide,
)

CLOSE_MS = 1_700_000_099_999
MINUTES = StreamStatus("BTCUSDT 1m", "contiguous", CLOSE_MS)
FILLING = StreamStatus("BTCUSDT 1m", "filling", CLOSE_MS, "2 bar(s) are missing from 22:13")
STUCK = StreamStatus("BTCUSDT 1m", "stuck", CLOSE_MS, "a gap cannot be filled yet: HTTP 503")
WAITING = StreamStatus("BTCUSDT 1m", "waiting", CLOSE_MS, "its bars are not requested yet")
FEW = StreamStatus("BTCUSDT 1m", "contiguous", CLOSE_MS, "29 of 30 bars so far")
UNPROVEN = StreamStatus("BTCUSDT 1m", "contiguous", CLOSE_MS, "not proven: UP or DOWN")
HOURS = StreamStatus("BTCUSDT 1h", "contiguous", CLOSE_MS + 60_000)
HOURS_STUCK = StreamStatus("BTCUSDT 1h", "stuck", CLOSE_MS, "a gap cannot be filled yet: banned")
ETH_MINUTES = "ETHUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
QUOTES = ("btcusdt@bookTicker",)

FOUR_SILENT = tuple(f"{name}usdt@kline_1m" for name in ("btc", "eth", "link", "sol"))
OVERDUE = AccountProblem("cannot be read for 15 s", is_unread=True, is_overdue=True)
LIVE = "contiguous to 2023-11-14T22:14:59Z"
BY = "paused by the operator since 2023-11-14T22:00:00Z"
NO_SUBSCRIBER = "no strategy has subscribed to bars of the venue yet"


def situation(*streams: StreamStatus, **changes: Any) -> Situation:
    return Situation(**{"state": "filling", "streams": streams, **changes})


TABLE: dict[str, tuple[Situation, State, str]] = {
    # -- live
    "all is well": (situation(MINUTES), "live", LIVE),
    "it stays live": (situation(MINUTES, state="live"), "live", LIVE),
    "it recovers": (situation(MINUTES, state="degraded"), "live", LIVE),
    "the newest of several streams is named": (
        situation(HOURS, MINUTES), "live", "contiguous to 2023-11-14T22:15:59Z",
    ),
    "while live, a bar that has just arrived halts nothing": (
        situation(MINUTES, state="live", delivering=True), "live", LIVE,
    ),
    "bars built from ticks beside a stream halt nothing": (
        situation(MINUTES, tick_built=("X-100-TICK-LAST-INTERNAL",)), "live", LIVE,
    ),
    # -- the operator
    "paused by the operator": (situation(MINUTES, state="live", operator=BY), "paused", BY),
    "paused while bars are missing": (
        situation(FILLING, operator=BY), "filling", "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    "it recovers into the pause": (situation(MINUTES, state="degraded", operator=BY), "paused", BY),
    # -- the account
    "the account differs": (
        situation(MINUTES, state="live", account=AccountProblem("order E-1: open at the exchange")),
        "degraded",
        "order E-1: open at the exchange",
    ),
    "the account is being read for the first time": (
        situation(MINUTES, account=AccountProblem("not read yet", is_unread=True)),
        "filling", "not read yet",
    ),
    "the account cannot be read since the start, so that no bars are delivered": (
        situation(FILLING, delivering=True, account=OVERDUE), "degraded", "cannot be read for 15 s",
    ),
    "bars are missing, and the account differs": (
        situation(FILLING, account=AccountProblem("differs")),
        "filling",
        "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    # -- no stream
    "no subscriber yet": (situation(delivering=True), "filling", NO_SUBSCRIBER),
    "no subscriber, heard": (situation(), "degraded", NO_SUBSCRIBER),
    "no subscriber any more": (situation(state="live"), "degraded", NO_SUBSCRIBER),
    "only bars built from ticks": (
        situation(unheard=QUOTES, tick_built=("A-5-TICK", "B-5-TICK", "C-5-TICK", "D-5-TICK")),
        "filling",
        f"{NO_SUBSCRIBER}, only to bars that Nautilus builds itself: A-5-TICK, B-5-TICK, C-5-TICK",
    ),
    # -- a stream is not contiguous
    "a gap is being filled at the start": (
        situation(FILLING), "filling", "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    "a gap is being filled while live": (
        situation(FILLING, state="live"), "filling",
        "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    "a gap is being filled again after it could not be": (
        situation(FILLING, state="degraded"), "degraded",
        "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    "a stream is not requested yet": (
        situation(WAITING), "filling", "BTCUSDT 1m: its bars are not requested yet",
    ),
    "a gap cannot be filled": (
        situation(STUCK), "degraded", "BTCUSDT 1m: a gap cannot be filled yet: HTTP 503",
    ),
    "a gap cannot be filled while live": (
        situation(STUCK, state="live"), "degraded",
        "BTCUSDT 1m: a gap cannot be filled yet: HTTP 503",
    ),
    "one of several streams is stuck": (
        situation(MINUTES, HOURS_STUCK), "degraded",
        "BTCUSDT 1h: a gap cannot be filled yet: banned",
    ),
    "one stream fills while another is stuck": (
        situation(FILLING, HOURS_STUCK), "degraded",
        "BTCUSDT 1m: 2 bar(s) are missing from 22:13",
    ),
    # -- the websocket
    "the websocket is not heard yet": (
        situation(MINUTES, unheard=QUOTES), "filling",
        "no websocket message yet from btcusdt@bookTicker",
    ),
    "of many unheard streams three are named": (
        situation(MINUTES, unheard=FOUR_SILENT), "filling",
        "no websocket message yet from btcusdt@kline_1m, ethusdt@kline_1m, linkusdt@kline_1m",
    ),
    "a connection broke": (
        situation(MINUTES, state="live", unheard=QUOTES), "filling",
        "no websocket message yet from btcusdt@bookTicker",
    ),
    "a stream is silent": (
        situation(MINUTES, state="live", silent=("btcusdt@kline_1m", 10.4)), "degraded",
        "btcusdt@kline_1m: no websocket message for 10 s",
    ),
    "a broken connection stays silent": (
        situation(MINUTES, unheard=QUOTES, silent=("btcusdt@bookTicker", 15.6)), "degraded",
        "no websocket message yet from btcusdt@bookTicker",
    ),
    # -- bars that were not delivered
    "bars are held at the start": (
        situation(MINUTES, delivering=True), "filling", "bars are still to be delivered",
    ),
    "bars are held after it was degraded": (
        situation(MINUTES, state="degraded", delivering=True), "degraded",
        "bars are still to be delivered",
    ),
    "a late subscriber's history is fetched": (
        situation(MINUTES, state="live", delivering=True, fetching=True), "degraded",
        "bars are still to be delivered",
    ),
    # -- cold
    "too few bars": (situation(FEW), "degraded", "BTCUSDT 1m: 29 of 30 bars so far"),
    "too few bars while others are delivered": (
        situation(FEW, delivering=True), "filling", "bars are still to be delivered",
    ),
    "the regime is not proven": (
        situation(HOURS, UNPROVEN), "degraded", "BTCUSDT 1m: not proven: UP or DOWN",
    ),
    "a followed stream has no history": (
        situation(MINUTES, unlisted=(ETH_MINUTES,)), "degraded",
        f"{ETH_MINUTES} is followed and has no history: list it in warmup.streams",
    ),
    "a strategy could not take its history": (
        situation(MINUTES, cold=("A-000 has had 3 of 30 bars", "B-001 has had 1 of 5 bars")),
        "degraded", "A-000 has had 3 of 30 bars",
    ),
    "a strategy reports that it is cold": (
        situation(MINUTES, cold_strategies=("A-000", "B-001")), "degraded",
        "A-000 reports that it is still cold",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_each_situation_gives_its_state_and_reason(name: str) -> None:
    seen, state, reason = TABLE[name]
    assert decide(seen)[:2] == (state, reason)


def test_only_reasons_of_the_account_the_clock_and_a_silence_are_logged_where_they_arise() -> None:
    """So the change of the state does not repeat them at their level."""
    wrong = AccountProblem("the clock is wrong", is_logged=True)
    assert decide(situation(MINUTES, state="live", account=wrong)).is_logged
    assert decide(situation(MINUTES, state="live", silent=("btcusdt@kline_1m", 12.0))).is_logged
    assert not decide(situation(STUCK, account=wrong)).is_logged
    assert not decide(situation(MINUTES, account=OVERDUE)).is_logged
    assert not decide(situation(FEW)).is_logged


def test_the_reported_reason_is_the_one_that_must_be_solved_first() -> None:
    """Start with every problem at once and solve one after the other."""
    wrong: dict[str, Any] = {
        "streams": (STUCK,), "unheard": QUOTES, "silent": ("btcusdt@kline_1m", 12.0),
        "fetching": True, "unlisted": ("ETHUSDT",), "cold": ("A-000 is cold",),
        "cold_strategies": ("A-000",),
    }  # fmt: skip
    repairs: list[dict[str, Any]] = [
        {}, {"streams": (FEW,)}, {"unheard": ()}, {"silent": None}, {"fetching": False},
        {"streams": (MINUTES,)}, {"unlisted": ()}, {"cold": ()}, {"cold_strategies": ()},
    ]  # fmt: skip
    reasons = []
    for repair in repairs:
        wrong |= repair
        reasons.append(decide(Situation(state="degraded", **wrong)).reason)
    assert reasons == [
        "BTCUSDT 1m: a gap cannot be filled yet: HTTP 503",
        "no websocket message yet from btcusdt@bookTicker",
        "btcusdt@kline_1m: no websocket message for 12 s",
        "bars are still to be delivered",
        "BTCUSDT 1m: 29 of 30 bars so far",
        "ETHUSDT is followed and has no history: list it in warmup.streams",
        "A-000 is cold",
        "A-000 reports that it is still cold",
        LIVE,
    ]
    assert all(before != after for before, after in pairwise(reasons))


def test_a_degraded_trader_is_never_filling() -> None:
    for seen, _, _ in TABLE.values():
        again = replace(seen, state="degraded")
        assert decide(again).state in {"live", "paused", "degraded"}


def test_bars_without_history_do_not_halt_trading_if_the_policy_accepts_them() -> None:
    seen = situation(MINUTES, unlisted=(ETH_MINUTES,))
    assert decide(seen, require_history=False) == Decision("live", LIVE)
