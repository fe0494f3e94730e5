"""Recorded klines: one CSV file (or gzip) per symbol and interval.

The columns are those of Binance's kline array, after one header line. The file name begins with
the symbol and interval (``BTCUSDT-1m-….csv.gz``); its folder is the market (``um`` or ``spot``).
The prefix ``um:BTCUSDT:1m:PATH`` says all three for a file with another name.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from warmup_job.errors import ConfigError
from warmup_job.market.interval import SECOND_MS, Interval
from warmup_job.market.kline import Kline
from warmup_job.market.pages import Market

_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Recording:
    """The klines of one file, ascending by open time."""

    market: Market
    symbol: str
    interval: Interval
    rows: tuple[Kline, ...]

    @property
    def default_now_ms(self) -> int:
        """A second into the last row, so that it is the forming kline."""
        return self.rows[-1].open_ms + SECOND_MS


def read_recording(spec: str) -> Recording:
    """Read one ``--replay`` argument: ``PATH``, or ``MARKET:SYMBOL:INTERVAL:PATH``.

    Raises:
        ConfigError: it does not say what it is, cannot be read, or is not a kline recording.
    """
    market_name, symbol, interval_name, path = _described(spec)
    if market_name not in ("um", "spot"):
        raise ConfigError(
            f"{spec}: its folder is neither um nor spot; say which: um:SYMBOL:INTERVAL:PATH."
        )
    try:
        interval = Interval.parse(interval_name)
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    try:
        rows = _read_rows(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: not a readable kline recording: {error}") from error
    if not rows:
        raise ConfigError(f"{path}: no klines in it.")
    if any(a.open_ms >= b.open_ms for a, b in pairwise(rows)):
        raise ConfigError(f"{path}: open times do not ascend.")
    market: Market = "um" if market_name == "um" else "spot"
    return Recording(market, symbol, interval, tuple(rows))


def _described(spec: str) -> tuple[str, str, str, Path]:
    parts = spec.split(":", 3)
    if len(parts) == 4:
        return parts[0], parts[1], parts[2], Path(parts[3])
    path = Path(spec)
    names = path.name.removesuffix(".gz").removesuffix(".csv").split("-")
    if len(names) < 2:
        raise ConfigError(f"{spec}: the name should begin with SYMBOL-INTERVAL.")
    return path.resolve().parent.name, names[0], names[1], path


def _read_rows(path: Path) -> list[Kline]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows: list[Kline] = []
    table = csv.reader(text.splitlines())
    next(table, None)
    for line in table:
        if len(line) != _COLUMNS:
            raise ValueError(f"line {table.line_num} has {len(line)} columns, not {_COLUMNS}")
        o, h, low, c, volume = line[1:6]
        rows.append(
            Kline(
                int(line[0]),
                o,
                h,
                low,
                c,
                volume,
                int(line[6]),
                line[7],
                int(line[8]),
                line[9],
                line[10],
            )
        )
    return rows
