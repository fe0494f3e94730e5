"""A trader's report in which every figure has a value."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from warmup_job.handoff.reporting.report import (
    AccountReport,
    BookReport,
    GridReport,
    Rejections,
    Report,
    StreamReport,
)

BOOKS = {
    "LONG": BookReport(
        quantity=Decimal("0.020"), entry_price=Decimal(50_000), unrealised=Decimal("1.5"),
        unprotected=Decimal("0.006"),
    ),
    "SHORT": BookReport(
        quantity=Decimal(0), entry_price=Decimal(0), unrealised=Decimal(0), unprotected=Decimal(0)
    ),
}  # fmt: skip
GRID = GridReport(
    instrument_id="BTCUSDT-PERP.BINANCE", quote_currency="USDT", base_currency="BTC", regime="DOWN",
    equity=Decimal("10001.5"), realised=Decimal("7E+1"), unrealised=Decimal("1.5"),
    fees=Decimal("0.3"), funding=Decimal("-0.0"), drawdown_pct=Decimal("2.5"), is_stopped=True,
    block_reason="until 12:00:00 UTC", block_kind="circuit_breaker", books=BOOKS,
    open_orders={"entry": 9, "stop_loss": 1}, result_at_ms=2_900,
)  # fmt: skip
REPORT = Report(
    state="paused", why="", mode="live", at_ms=3_000, since_ms=2_000, started_ms=1_000,
    operator="paused", grids=(GRID,), unprotected_ms=1_500,
    rejections=(Rejections(kind="rejected", code="-2010", count=4),),
    account=AccountReport(state="ok", why="", event_age_ms=2_500),
)  # fmt: skip
STREAM = StreamReport(
    bar_type="BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL", phase="live", contiguous_to_ms=1_500,
    history_bars=3, filled_bars=2, live_bars=1, silent_ms=250, why_not="",
)  # fmt: skip
WHOLE = msgspec.structs.replace(
    REPORT, streams=(STREAM,), live_after_s=1.25, trading=True, orders_open=10, positions_open=1
)
