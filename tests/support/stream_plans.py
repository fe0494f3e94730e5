"""Plans of one stream, and packed bars, for tests of the code below the two programs."""

from __future__ import annotations

from typing import Any

from warmup_job.acquire.acquire_bars import AcquiredBars
from warmup_job.acquire.judge import Verdict
from warmup_job.catalog.packed_bars import BarSeries, join, pack
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Klines
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.regime.detector import DetectorSettings

MINUTE = Interval.parse("1m")
OPEN_MS = 1_700_000_040_000
DETECTOR = DetectorSettings(5, 12, 6, 4, 0)


def stream_plan(**changes: Any) -> StreamPlan:
    """Return a plan of BTCUSDT 1m with `bars: auto` and a quick detector."""
    values: dict[str, Any] = {
        "stream": StreamId("BTCUSDT", MINUTE),
        "bars": 125,
        "auto": True,
        "bar_counts": (70, 125, 250, 499),
        "reason": "for a test",
        "needs_proof": True,
        "detector": DETECTOR,
        "indicators": (),
        "needs_bounds": True,
    }
    return StreamPlan(**(values | changes))


def packed(*minutes: int, price: str = "5.0", volume: str = "1") -> BarSeries:
    """Return bars that open these minutes after `OPEN_MS`."""
    opens = [OPEN_MS + minute * 60_000 for minute in minutes]
    prices, closes, one = [price] * len(opens), [at + 59_999 for at in opens], ["1"] * len(opens)
    rest = (closes, one, [1] * len(opens), one, one)
    klines = Klines(opens, prices, prices, prices, prices, [volume] * len(opens), *rest)
    return join([pack(klines)] if opens else [])


def acquired(bars: BarSeries, **changes: Any) -> AcquiredBars:
    """Bars as `acquire_bars` returns them."""
    values: dict[str, Any] = {
        "gaps": [], "from_listing": False, "off_grid_ms": None, "verdict": Verdict(bars.rows),
    }  # fmt: skip
    return AcquiredBars(bars, **(values | changes))
