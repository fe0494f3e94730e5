"""The first lines of the trader's page: does it trade, if not why, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.grid_reports import FREE, HELD, LIVE, NOTHING
from warmup_job.handoff.reporting.flatten_report import FlatReport, FlattenReport
from warmup_job.handoff.reporting.page.headline import alarms, headline
from warmup_job.handoff.reporting.report import (
    AccountReport,
    OtherTraderReport,
    Report,
    UncancelledReport,
)

ACCOUNT = AccountReport(state="ok", why="")


def grid(kind: str, reason: str) -> Any:
    return replace(FREE, block_kind=kind, block_reason=reason)


@pytest.mark.parametrize(
    ("report", "level", "text", "why", "remedy"),
    [
        (LIVE, "good", "Trading", "contiguous to noon", ""),
        (replace(LIVE, grids=()), "good", "Trading", "", ""),
        (
            replace(LIVE, grids=(grid("drawdown", "the drawdown limit was reached"),)),
            "held", "Live, but no entries", "the drawdown limit was reached",
            "resume --after-drawdown",
        ),
        (
            replace(LIVE, grids=(FREE, grid("circuit_breaker", "too many order errors"))),
            "held", "no entries in BTCUSDT-PERP.BINANCE", "too many order errors",
            "closes by itself",
        ),
        (
            replace(LIVE, state="paused", why="by the operator", trading=False, operator="paused"),
            "held", "Paused", "by the operator", "`warmup-job trader resume`",
        ),
        (
            replace(LIVE, operator="flattening", trading=False,
                    flatten=FlattenReport(since_ms=0, step="closing LONG")),
            "held", "Flattening", "closing LONG", "Wait",
        ),
        (
            replace(LIVE, state="filling", why="bars are still to be delivered", trading=False),
            "wait", "Not trading yet", "filling: bars are still to be delivered", "by itself",
        ),
        (replace(LIVE, state="starting", why=""), "wait", "Not trading yet", "starting", ""),
        (
            replace(LIVE, state="degraded", why="no websocket message for 9 s", trading=False),
            "bad", "Not trading", "no websocket message", "`warmup-job doctor`",
        ),
        (
            replace(LIVE, state="degraded", why="BTCUSDT 1m: 499 of 700 bars so far"),
            "bad", "Not trading", "499 of 700", "`warmup-job run`",
        ),
        (
            replace(LIVE, state="degraded", why="LONG differs",
                    account=AccountReport(state="differs", why="LONG differs")),
            "bad", "Not trading", "LONG differs", "compare positions and orders",
        ),
        (replace(LIVE, state="degraded", why="unusual"), "bad", "Not trading", "", "see the log"),
        (replace(LIVE, state="stopping", why="asked to"), "ended", "Stopping", "asked to", ""),
        (
            replace(LIVE, state="stopping", why="cannot go on: a bug"),
            "bad", "Stopping", "cannot go on: a bug", "log",
        ),
    ],
)  # fmt: skip
def test_headline_says_whether_it_trades_why_not_and_what_to_do(
    report: Report, level: str, text: str, why: str, remedy: str
) -> None:
    made = headline(report)
    assert made.level == level
    assert text in made.text
    assert why in made.why
    assert remedy in made.remedy


def test_a_good_trader_has_no_alarm_and_a_bare_position_is_the_first_one() -> None:
    assert alarms(replace(LIVE, account=ACCOUNT)) == ()
    bare = replace(HELD, unprotected_why="Binance refuses it")
    report = replace(
        LIVE, grids=(replace(FREE, books={"LONG": bare, "SHORT": NOTHING}),), unprotected_ms=2_500,
        operator="paused",
        uncancelled=UncancelledReport(ids=("E-1",), ms=4_000, why="overloaded"),
        flatten=FlattenReport(since_ms=0, end=FlatReport(flat=False, why_not="no answer")),
        account=replace(ACCOUNT, other_traders=(
            OtherTraderReport(tag="abc1", text="noticed", open_orders=2),
            OtherTraderReport(tag="def1", text="noticed", open_orders=0),
        )),
    )  # fmt: skip
    assert [each.text for each in alarms(report)] == [
        "0.006 BTC of BTCUSDT-PERP.BINANCE LONG has no stop loss: Binance refuses it (for 2.5 s)",
        "1 entry is not cancelled yet: overloaded (for 4.0 s)",
        "The last flatten did not end flat: no answer",
        "Another trader (abc1) has 2 open order(s) on this account and symbol",
    ]
    assert all(each.remedy for each in alarms(report))
