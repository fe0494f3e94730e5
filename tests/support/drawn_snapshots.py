"""Snapshots with a market worth drawing: a random walk with gaps, and changed bars."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from tests.support.snapshots import MINUTE_MS, START, make
from warmup_job.catalog import packed_bars as arrow
from warmup_job.market.kline import Klines
from warmup_job.market.rows import Gap
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings

DETECTOR = DetectorSettings(20, 50, 14, 14, 10.0)


def walk(count: int, missing: Collection[int] = (), changed: Collection[int] = ()) -> Klines:
    """Return minutes of a random walk around 60000 that is the same every time.

    Args:
        count: how many minutes, missing ones included.
        missing: the minutes without a bar.
        changed: the minutes with another volume.
    """
    random = np.random.default_rng(5)
    close = 60_000 + np.cumsum(random.normal(0, 20, count) + 8 * np.sin(np.arange(count) / 150))
    before = np.concatenate(([60_000.0], close[:-1]))
    reach = np.abs(random.normal(0, 12, (2, count)))
    columns = (before, np.maximum(before, close) + reach[0], np.minimum(before, close) - reach[1])
    there = [at for at in range(count) if at not in missing]
    opens = [START + at * MINUTE_MS for at in there]
    first, high, low, last = ([f"{column[at]:.2f}" for at in there] for column in (*columns, close))
    size = random.gamma(2, 3, count)
    sizes = [f"{size[at] + (1 if at in changed else 0):.3f}" for at in there]
    closes = [open_ms + MINUTE_MS - 1 for open_ms in opens]
    return Klines(opens, first, high, low, last, sizes, closes, sizes, opens, sizes, sizes)


def publish_walk(
    root: Path, count: int, missing: range = range(0), *, bars: Klines | None = None, at_s: int = 0
) -> None:
    """Publish a snapshot of a walk with its certificate."""
    klines = walk(count, missing) if bars is None else bars
    newest = [np.array(each[-998:], dtype=np.float64) for each in (
        klines.high, klines.low, klines.close,
    )]  # fmt: skip
    window = Window.of(*newest)
    first, last = START + missing.start * MINUTE_MS, START + (missing.stop - 1) * MINUTE_MS
    make(
        root,
        len(klines.open_ms),
        packed=arrow.BarSeries([arrow.pack(klines)]),
        at_s=at_s,
        first_open=klines.open_ms[0],
        last_close=klines.close_ms[-1],
        gaps=[Gap(first, last, len(missing))] if missing else [],
        detector=DETECTOR,
        certificate=certify(Evidence.of(DETECTOR, window), Bounds(1000.0, 200_000.0)),
    )
