"""What `warmup-job trader status` prints for a person."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tests.support.grid_reports import GRID, STREAM
from warmup_job.handoff.reporting.flatten_report import ClosedPosition, FlatReport, FlattenReport
from warmup_job.handoff.reporting.report import (
    AccountReport,
    GridReport,
    OtherTraderReport,
    Rejections,
    Report,
    UncancelledReport,
)
from warmup_job.trader.status_text import pause_line, resume_lines, status_lines

CLOSED = ClosedPosition(position="LONG", quantity=Decimal("0.020"), price=Decimal("50000.1"))
NOW_MS = 1_800_000_090_400
STARTING = Report(state="starting", why="", mode="paper", at_ms=5, since_ms=5, started_ms=5)


def test_status_shows_everything_that_an_operator_asks_for() -> None:
    report = Report(
        state="paused", why="by the operator", mode="live", at_ms=NOW_MS,
        since_ms=NOW_MS - 30_400, started_ms=NOW_MS - 90_400, operator="paused", orders_open=1,
        positions_open=1, streams=(STREAM,), grids=(GRID,), unprotected_ms=2_500,
        rejections=(Rejections(kind="rejected", code="-5022", count=3),),
        flatten=FlattenReport(
            since_ms=NOW_MS - 30_400, end=FlatReport(flat=True, closed=(CLOSED,))
        ),
        account=AccountReport(state="differs", why="LONG differs", event_age_ms=400,
                              differences=("LONG is 0.02 there, 0 here",), other_traders=(
                                  OtherTraderReport(tag="abc1", text="noticed", open_orders=2),
                                  OtherTraderReport(tag="def1", text="noticed", open_orders=0),
                              )),
    )  # fmt: skip
    assert list(status_lines(report)) == [
        "paused: by the operator",
        "  since       2027-01-15T08:01:00Z (30 s ago)",
        "  mode        live, started 2027-01-15T08:00:00Z (90 s ago)",
        "  entries     are held back; exits may leave",
        "  open        1 order(s), 1 position(s)",
        "  flatten     asked for at 2027-01-15T08:01:00Z (30 s ago)",
        "              closed 0.020 of LONG at 50000.1",
        "              flat: the exchange reports no position; the trader stays paused",
        "  WARNING     no stop loss for 2.5 s",
        "  account     differs: LONG differs; last event 0.4 s ago",
        "              LONG is 0.02 there, 0 here",
        "  WARNING     2 open order(s) of another trader (abc1): the next start needs --take-over",
        "  refused     3× rejected -5022",
        "BTCUSDT-PERP.BINANCE, UP",
        "  no entries  the operator has paused trading",
        "  equity      9998.50 USDT, drawdown 2.50 %",
        "  result      +5.10 USDT: realised +7.00, fees paid 0.30, funding -0.10, unrealised -1.50",
        "              equity, drawdown and result as of 2027-01-15T08:01:25Z (5 s ago)",
        "  LONG        0.020 BTC at 50000.1, unrealised -1.50 USDT; 0.006 BTC WITHOUT A STOP LOSS",
        "  SHORT       0 BTC",
        "  orders      0 entry, 1 stop_loss",
        "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL: contiguous to 2027-01-15T08:00:59Z",
    ]


def test_status_of_a_trader_that_starts_is_short() -> None:
    first, *rest = status_lines(STARTING)
    assert first == "starting"
    assert len(rest) == 4


def test_amounts_that_round_to_zero_have_no_minus_sign() -> None:
    little = Decimal("-0.001")
    grid = replace(
        GRID, equity=little, realised=little, unrealised=little, fees=little, funding=-little,
        drawdown_pct=little,
    )  # fmt: skip
    text = "\n".join(status_lines(replace(STARTING, grids=(grid,))))
    assert "-0.00" not in text
    assert "result      +0.00 USDT: realised +0.00, fees paid 0.00, funding +0.00" in text


def test_flatten_that_is_under_way_shows_its_step() -> None:
    flatten = FlattenReport(since_ms=0, step="closing 0.02 of LONG")
    lines = list(status_lines(replace(STARTING, flatten=flatten)))
    (line,) = [each for each in lines if "under way" in each]
    assert line.endswith("ago): closing 0.02 of LONG")


def test_resume_says_what_still_holds_entries_back() -> None:
    degraded = replace(STARTING, state="degraded", why="no bars")
    assert list(resume_lines(degraded, None)) == ["resumed; degraded: no bars"]
    grid = replace(GRID, is_stopped=True, block_reason="the drawdown limit was reached")
    live = replace(STARTING, state="live", why="contiguous", trading=True, grids=(grid,))
    assert list(resume_lines(live, None)) == [
        "resumed; live: contiguous",
        (
            "BTCUSDT-PERP.BINANCE: no entries, the drawdown limit was reached: "
            "`warmup-job trader resume --after-drawdown` lifts this"
        ),
    ]
    lifted = replace(live, grids=(replace(grid, is_stopped=False, block_reason=""),))
    assert list(resume_lines(lifted, 1))[1:] == ["the drawdown stop is lifted"]
    assert list(resume_lines(lifted, 0))[1:] == ["no drawdown had stopped the entries"]
    assert list(resume_lines(None, 1)) == ["resumed", "the drawdown stop is lifted"]


def test_status_of_a_live_trader_says_that_the_strategy_holds_entries_back() -> None:
    def entries(*grids: GridReport) -> str:
        live = replace(STARTING, state="live", trading=True, grids=grids)
        (line,) = [each for each in status_lines(live) if each.startswith("  entries ")]
        return line.removeprefix("  entries").strip()

    free = replace(GRID, block_reason="")
    why = "too many order errors: circuit breaker until 12:05:00 UTC"
    broken = replace(GRID, block_reason=why, block_kind="circuit_breaker")
    assert entries(free) == "may leave"
    assert entries(broken) == f"are held back ({why})"
    other = replace(free, instrument_id="ETHUSDT-PERP.BINANCE")
    assert entries(broken, other) == "may leave, but none of BTCUSDT-PERP.BINANCE"
    limited = replace(GRID, block_kind="limited")
    assert entries(limited) == "are held back, and so is every other order"


def test_status_does_not_say_that_a_trader_is_flat_and_paused_that_has_resumed() -> None:
    flatten = FlattenReport(since_ms=0, end=FlatReport(flat=True, closed=(CLOSED,)))
    resumed = replace(STARTING, state="live", operator="trading", flatten=flatten)
    text = "\n".join(status_lines(resumed))
    assert "flat then: the exchange reported no position; resumed since" in text
    assert "stays paused" not in text


def test_status_and_pause_say_which_entries_are_not_cancelled_and_why() -> None:
    left = UncancelledReport(ids=("E-1", "E-2"), ms=12_300, why="-1008 overloaded")
    report = replace(STARTING, uncancelled=left)
    (line,) = [each for each in status_lines(report) if "WARNING" in each]
    assert line == "  WARNING     for 12.3 s, 2 entries are not cancelled yet: -1008 overloaded"
    words = "exits stay, but 1 entry is not cancelled yet: the exchange has not answered yet. Each"
    one = replace(report, uncancelled=replace(left, ids=("E-1",), why=""))
    assert words in pause_line(one)
    assert pause_line(STARTING) == "paused: entries are held back, exits stay"
