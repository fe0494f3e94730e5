"""Reports of a trader with a grid."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from warmup_job.handoff.reporting.report import (
    BookReport,
    GridReport,
    Report,
    StreamReport,
)

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
    open_orders={"entry": 0, "stop_loss": 1}, result_at_ms=1_800_000_085_000,
)  # fmt: skip
STREAM = StreamReport(
    bar_type="BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL", phase="contiguous",
    contiguous_to_ms=1_800_000_059_999, history_bars=499, filled_bars=0, live_bars=1, why_not="",
)  # fmt: skip
FREE = replace(GRID, block_reason="", block_kind="", books={"LONG": NOTHING, "SHORT": NOTHING})
LIVE = Report(
    state="live", why="contiguous to noon", mode="live", at_ms=0, since_ms=0, started_ms=0,
    trading=True, grids=(FREE,), streams=(STREAM,),
)  # fmt: skip
