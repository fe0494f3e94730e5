"""Klines of BTCUSDT that a test invents, as a recording for the local exchange."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

MINUTE_MS = 60_000
_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip


class Minute(NamedTuple):
    """The prices of one minute."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


def calm(minutes: int, price: Decimal, seed: int = 1) -> list[Minute]:
    """Return minutes that move a little and end at ``price``."""
    random = Random(seed)
    prices = [price]
    for _ in range(minutes):
        prices.append((prices[-1] * Decimal(1 + random.gauss(0, 0.0004))).quantize(Decimal("0.1")))
    prices.reverse()
    return [_straight(*pair) for pair in pairwise(prices)]


def swings(price: Decimal, bps: int, minutes: int) -> list[Minute]:
    """Return minutes that each go from ``price`` to ``bps`` below it, as far above, and back."""
    far = price * bps / 10_000
    return [Minute(price, price + far, price - far, price)] * minutes


def moves(price: Decimal, percents: Iterable[int]) -> list[Minute]:
    """Return minutes that each move by so many percent of ``price``, within 20 s."""
    minutes, now = [], price
    for percent in percents:
        after = now + price * percent / 100
        minutes.append(_straight(now, after))
        now = after
    return minutes


def _straight(opened: Decimal, closed: Decimal) -> Minute:
    # A little beyond both ends, because a book that does not move sends no message.
    return Minute(opened, max(opened, closed) + 20, min(opened, closed) - 20, closed)


def record(folder: Path, before: list[Minute], after: list[Minute]) -> Path:
    """Write minutes until the present one and those that follow it.

    Args:
        folder: for the recording.
        before: the last of them is the minute that is now.
        after: of the future.
    """
    now_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
    first_ms = now_ms - (len(before) - 1) * MINUTE_MS
    path = folder / "um" / "BTCUSDT-1m-made-up.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for number, (opened, high, low, closed) in enumerate([*before, *after]):
            open_ms = first_ms + number * MINUTE_MS
            volume = Decimal("100.000")
            quote = f"{volume * (low + high) / 2:.5f}"
            half = f"{volume * (low + high) / 4:.5f}"
            rows.writerow(
                [open_ms, f"{opened:.2f}", f"{high:.2f}", f"{low:.2f}", f"{closed:.2f}",
                 volume, open_ms + MINUTE_MS - 1, quote, 6_000, "50.000", half, 0]
            )  # fmt: skip
    return path
