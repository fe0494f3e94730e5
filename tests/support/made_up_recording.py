"""Klines of BTCUSDT that a test invents, as a recording for the local exchange."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

SECOND_MS, MINUTE_MS = 1_000, 60_000
_TICK = Decimal("0.1")
_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip


class Candle(NamedTuple):
    """The prices of a minute or of a second."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


def calm(minutes: int, price: Decimal, seed: int = 1) -> list[Candle]:
    """Return minutes that move a little and end at ``price``."""
    random = Random(seed)
    prices = [price]
    for _ in range(minutes):
        prices.append((prices[-1] * Decimal(1 + random.gauss(0, 0.0004))).quantize(Decimal("0.1")))
    prices.reverse()
    return [_straight(*pair) for pair in pairwise(prices)]


def turns(price: Decimal, bps: int, times: int) -> list[Decimal]:
    """Return where the price turns within a minute that begins and ends at ``price``.

    It goes ``bps`` below, as far above, and so on, ``times`` in each direction.
    """
    far = price * bps / 10_000
    return [price, *[price - far, price + far] * times, price]


def widening_turns(price: Decimal, bps: int, times: int) -> list[Decimal]:
    """Return such turns of which each one goes further by ``bps``; the first by half more."""
    step = price * bps / 10_000
    far = [step * (2 * number + 1) / 2 for number in range(1, times + 1)]
    return [price, *[price + way for each in far for way in (-each, each)], price]


def seconds(corners: Sequence[Decimal]) -> list[Candle]:
    """Return the seconds of a minute in which the price goes straight from corner to corner.

    Its speed is about the same all the time, and it turns at whole seconds.
    """
    legs = list(pairwise(corners))
    length = sum(abs(two - one) for one, two in legs)
    prices, gone = [corners[0]], Decimal(0)
    for one, two in legs:
        gone += abs(two - one)
        steps = round(gone / length * 60) - (len(prices) - 1)
        prices += [(one + (two - one) * n / steps).quantize(_TICK) for n in range(1, steps + 1)]
    return [
        Candle(opened, max(opened, closed), min(opened, closed), closed)
        for opened, closed in pairwise(prices)
    ]


def minute_of(parts: Sequence[Candle]) -> Candle:
    """Return the minute that consists of these seconds."""
    high, low = max(each.high for each in parts), min(each.low for each in parts)
    return Candle(parts[0].open, high, low, parts[-1].close)


def moves(price: Decimal, percents: Iterable[int]) -> list[Candle]:
    """Return minutes that each move by so many percent of ``price``, within 20 s."""
    minutes, now = [], price
    for percent in percents:
        after = now + price * percent / 100
        minutes.append(_straight(now, after))
        now = after
    return minutes


def _straight(opened: Decimal, closed: Decimal) -> Candle:
    # A little beyond both ends, because a book that does not move sends no message.
    return Candle(opened, max(opened, closed) + 20, min(opened, closed) - 20, closed)


def record(folder: Path, before: list[Candle], after: list[Candle]) -> Path:
    """Write minutes until the present one, which is the first of ``after``; return the file."""
    now_ms = _this_minute_ms()
    return _write(folder, "1m", now_ms - len(before) * MINUTE_MS, [*before, *after])


def record_seconds(folder: Path, each_minute: Sequence[Candle], minutes: int) -> Path:
    """Write the same seconds for the present minute and those that follow it; return the file."""
    return _write(folder, "1s", _this_minute_ms(), [*each_minute] * minutes)


def _this_minute_ms() -> int:
    return time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS


def _write(folder: Path, interval: str, first_ms: int, candles: list[Candle]) -> Path:
    length_ms = MINUTE_MS if interval == "1m" else SECOND_MS
    path = folder / "um" / f"BTCUSDT-{interval}-made-up.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="", compresslevel=1) as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for number, (opened, high, low, closed) in enumerate(candles):
            open_ms = first_ms + number * length_ms
            volume = Decimal("100.000")
            quote = f"{volume * (low + high) / 2:.5f}"
            half = f"{volume * (low + high) / 4:.5f}"
            rows.writerow(
                [open_ms, f"{opened:.2f}", f"{high:.2f}", f"{low:.2f}", f"{closed:.2f}",
                 volume, open_ms + length_ms - 1, quote, 6_000, "50.000", half, 0]
            )  # fmt: skip
    return path
