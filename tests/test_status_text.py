"""What `warmup-job trader status` prints for a person."""

from __future__ import annotations

from decimal import Decimal

from warmup_job.handoff.reporting.report import (
    AccountReport,
    BookReport,
    GridReport,
    Rejections,
    Report,
    StreamReport,
)
from warmup_job.trader.status_text import status_lines

NOTHING = BookReport(
    quantity=Decimal(0), entry_price=Decimal(0), unrealised=Decimal(0), unprotected=Decimal(0)
)
HELD = BookReport(
    quantity=Decimal("0.020"), entry_price=Decimal("50000.10000000001"), unrealised=Decimal("-1.5"),
    unprotected=Decimal("0.006"),
)  # fmt: skip
GRID = GridReport(
    instrument_id="BTCUSDT-PERP.BINANCE", quote_currency="USDT", base_currency="BTC", regime="UP",
    equity=Decimal("9998.5"), realised=Decimal(7), unrealised=Decimal("-1.5"), fees=Decimal("0.3"),
    funding=Decimal("-0.1"), drawdown_pct=Decimal("2.5"), is_stopped=False,
    block_reason="the operator has paused trading", books={"LONG": HELD, "SHORT": NOTHING},
    open_orders={"entry": 0, "stop_loss": 1},
)  # fmt: skip
NOW_MS = 1_800_000_090_400
STREAM = StreamReport(
    bar_type="BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL", phase="contiguous",
    contiguous_to_ms=1_800_000_059_999, history_bars=499, filled_bars=0, live_bars=1, why_not="",
)  # fmt: skip


def test_status_shows_everything_that_an_operator_asks_for() -> None:
    report = Report(
        state="paused", why="by the operator", mode="live", at_ms=NOW_MS,
        since_ms=NOW_MS - 30_400, started_ms=NOW_MS - 90_400, operator="paused", orders_open=1,
        positions_open=1, streams=(STREAM,), grids=(GRID,), unprotected_ms=2_500,
        rejections=(Rejections(kind="rejected", code="-5022", count=3),),
        account=AccountReport(state="differs", why="LONG differs", event_age_ms=400,
                              differences=("LONG is 0.02 there, 0 here",)),
    )  # fmt: skip
    assert list(status_lines(report)) == [
        "paused: by the operator",
        "  since       2027-01-15T08:01:00Z (30 s ago)",
        "  mode        live, started 2027-01-15T08:00:00Z (90 s ago)",
        "  entries     are held back; exits may leave",
        "  open        1 order(s), 1 position(s)",
        "  WARNING     no stop loss for 2.5 s",
        "  account     differs: LONG differs; last event 0.4 s ago",
        "              LONG is 0.02 there, 0 here",
        "  refused     3× rejected -5022",
        "BTCUSDT-PERP.BINANCE, UP",
        "  no entries  the operator has paused trading",
        "  equity      9998.50 USDT, drawdown 2.50 %",
        "  result      +5.10 USDT: realised +7.00, fees -0.30, funding -0.10, unrealised -1.50",
        "  LONG        0.020 BTC at 50000.1, unrealised -1.50 USDT; 0.006 BTC WITHOUT A STOP LOSS",
        "  SHORT       0 BTC",
        "  orders      0 entry, 1 stop_loss",
        "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL: contiguous to 2027-01-15T08:00:59Z",
    ]


def test_status_of_a_trader_that_starts_is_short() -> None:
    report = Report(state="starting", why="", mode="paper", at_ms=5, since_ms=5, started_ms=5)
    first, *rest = status_lines(report)
    assert first == "starting"
    assert len(rest) == 4
