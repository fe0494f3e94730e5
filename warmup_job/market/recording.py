"""Read recorded klines: one CSV file, plain or gzip, per symbol and interval.

The file has one header line and the columns of Binance's kline row. The file name begins with
symbol and interval (``BTCUSDT-1m-….csv.gz``), and its folder is the market (``um`` or ``spot``).
For other names write ``um:BTCUSDT:1m:PATH``.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from itertools import pairwise
from pathlib import Path

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.market.interval import SECOND_MS, Interval
from warmup_job.market.kline import Kline
from warmup_job.market.pages import Market

_COLUMNS = 12


class Recording(msgspec.Struct, frozen=True):
    """The klines of one file, ascending by open time; at least one."""

    market: Market
    symbol: str
    interval: Interval
    rows: tuple[Kline, ...]

    def default_now_ms(self, machine_ms: int) -> int:
        """Return the time at which its replay begins, UTC ms.

        That is this machine's time if the recording has it, so that clients that sign requests by
        their own clock can be used. Otherwise it is one second after the last row opens: that row
        is then the forming kline.

        Args:
            machine_ms: this machine's time, UTC ms.
        """
        if self.rows[0].open_ms <= machine_ms <= self.rows[-1].close_ms:
            return machine_ms
        return self.rows[-1].open_ms + SECOND_MS


def read_recording(spec: str) -> Recording:
    """Read the file that one ``--replay`` argument names.

    Args:
        spec: ``PATH``, or ``MARKET:SYMBOL:INTERVAL:PATH``.

    Raises:
        ConfigError: The market, symbol or interval is unknown, the file cannot be read, or it is
            not a kline recording.
    """
    if ":" not in spec and not Path(spec).is_file():
        raise ConfigError(f"{spec}: not a readable kline recording: there is no such file")
    market_name, symbol, interval_name, path = _parse_spec(spec)
    if market_name not in ("um", "spot"):
        raise ConfigError(
            f"{spec}: the folder is neither um nor spot; write MARKET:SYMBOL:INTERVAL:PATH."
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
        raise ConfigError(f"{path}: the file has no klines.")
    if any(a.open_ms >= b.open_ms for a, b in pairwise(rows)):
        raise ConfigError(f"{path}: the open times do not ascend.")
    market: Market = "um" if market_name == "um" else "spot"
    return Recording(market, symbol, interval, tuple(rows))


def _parse_spec(spec: str) -> tuple[str, str, str, Path]:
    parts = spec.split(":", 3)
    if len(parts) == 4:
        return parts[0], parts[1], parts[2], Path(parts[3])
    path = Path(spec)
    names = path.name.removesuffix(".gz").removesuffix(".csv").split("-")
    if len(names) < 2:
        raise ConfigError(f"{spec}: the file name must begin with SYMBOL-INTERVAL.")
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
        open_ms, o, h, low, c, volume, close_ms, quote_volume, trades, *taker, _ = line
        rows.append(
            Kline(
                int(open_ms), o, h, low, c, volume, int(close_ms), quote_volume, int(trades), *taker
            )
        )
    return rows
