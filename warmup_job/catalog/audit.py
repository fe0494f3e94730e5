"""Validate the content of a catalog's files with pyarrow and numpy, without Nautilus.

A digest proves that a file is the one that was written. This module checks that its content is what
a reader expects: the schema, plausible rows, and the instrument of the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from warmup_job.catalog.packed_bars import PRICE_MAX, SIZE_MAX, VALUES, decimals_of, fits
from warmup_job.errors import SnapshotError
from warmup_job.market.interval import Interval
from warmup_job.market.rows import Gap, find_gaps
from warmup_job.market.times import NS_PER_MS, YEAR_2100_MS, utc_text

if TYPE_CHECKING:
    import pyarrow as pa

Opens = npt.NDArray[np.int64]

INSTRUMENT_CLASSES = {
    "crypto_perpetual": "CryptoPerpetual",
    "crypto_future": "CryptoFuture",
    "currency_pair": "CurrencyPair",
}
"""The Nautilus classes of Binance's instruments, by folder in a catalog."""
_WORD, _UNIT = 1 << 64, 10**16


@contextmanager
def snapshot_errors(path: Path | str) -> Iterator[None]:
    """Translate every decoding error of a snapshot's file into a `SnapshotError`.

    An error of the operating system is raised unchanged, because the disk caused it.
    """
    try:
        yield
    except (OSError, SnapshotError) as error:
        if isinstance(error, SnapshotError) or error.errno is not None:
            raise
        raise SnapshotError(f"{path} cannot be decoded: {_first_line(error)}") from None
    except Exception as error:  # noqa: BLE001  # a decoder may raise anything on garbage
        raise SnapshotError(f"{path} cannot be decoded: {_first_line(error)}") from None


class ExpectedInstrument(msgspec.Struct, frozen=True):
    """What the manifest says about an instrument."""

    symbol: str
    instrument_id: str
    price_precision: int
    size_precision: int


def instrument_problem(table: pa.Table, kind: str, expected: ExpectedInstrument) -> str | None:
    """Return what is wrong with an instrument's table, or None.

    Args:
        table: The table of the file.
        kind: The folder of the file, a key of `INSTRUMENT_CLASSES`.
        expected: What the manifest says.
    """
    columns = (
        "id", "raw_symbol", "price_precision", "size_precision", "price_increment",
        "size_increment", "ts_event", "ts_init",
    )  # fmt: skip
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        return f"it is not an instrument: it lacks the column {', '.join(missing)}"
    class_name = (table.schema.metadata or {}).get(b"class", b"").decode(errors="replace")
    if class_name != INSTRUMENT_CLASSES.get(kind):
        return f"the class {class_name or '(none)'} does not belong in the folder {kind}"
    if table.num_rows != 1:
        return f"it has {table.num_rows} instruments instead of 1"
    (row,) = table.select(columns).to_pylist()
    for name, value in (
        ("id", expected.instrument_id),
        ("raw_symbol", expected.symbol),
        ("price_precision", expected.price_precision),
        ("size_precision", expected.size_precision),
    ):
        if row[name] != value:
            return f"its {name} is {row[name]!r}, the manifest says {value!r}"
    for name, precision in (
        ("price_increment", expected.price_precision),
        ("size_increment", expected.size_precision),
    ):
        step = _decimal(row[name])
        if step is None or step <= 0 or _decimals(step) > precision:
            return f"its {name} is {row[name]!r}, which does not fit {precision} decimals"
    return None


def row_problem(table: pa.Table, price_precision: int, size_precision: int) -> str | None:
    """Return what is wrong with the values of bars in the catalog's schema, or None.

    Args:
        table: Bars in the catalog's schema.
        price_precision: The decimals of prices, according to the manifest.
        size_precision: The decimals of volumes, according to the manifest.
    """
    precisions = (price_precision,) * 4 + (size_precision,)
    if any(table.column(name).null_count for name in table.column_names):
        return "a value is missing"
    columns = [_halves(table.column(name)) for name in VALUES]
    opened, high, low, close, volume = columns
    valid = _below(_halves_of(0), low)
    for price in (opened, close):
        valid &= _at_most(low, price) & _at_most(price, high)
    valid &= _at_most(high, _halves_of(PRICE_MAX * _UNIT)) & (volume[0] >= 0)
    valid &= _at_most(volume, _halves_of(SIZE_MAX * _UNIT))
    if not valid.all():
        at_ns = table.column("ts_event")[int(np.argmin(valid))].as_py()
        return f"the bar that closes at {_text(at_ns)} has impossible values"
    for name, precision in zip(VALUES, precisions, strict=True):
        if not fits(decimals_of(table.column(name)), precision):
            return f"a value of {name} has more than {precision} decimals"
    return None


def opens_of(table: pa.Table, interval: Interval) -> Opens | str:
    """Return the open of each bar, UTC ms, or what is wrong with the timestamps."""
    closes_ns, inits_ns = (_stamps(table.column(name)) for name in ("ts_event", "ts_init"))
    if not np.array_equal(closes_ns, inits_ns):
        return "ts_init differs from ts_event"
    closes_ms = closes_ns // np.uint64(NS_PER_MS)
    if (closes_ns % np.uint64(NS_PER_MS)).any() or (closes_ms >= np.uint64(YEAR_2100_MS)).any():
        return "the close time of a bar is not a whole ms between 1970 and 2100"
    closes: Opens = closes_ms.astype(np.int64)
    if interval.length_ms:
        first_ms = interval.floor(0) % interval.length_ms  # the epoch was a Thursday
        return (closes - first_ms) // interval.length_ms * interval.length_ms + first_ms
    return np.fromiter(map(interval.floor, closes.tolist()), np.int64, len(closes))


def gaps_of(opens_ms: Opens, interval: Interval) -> list[Gap] | str:
    """Return the gaps between bars, or a text that says where the order is wrong."""
    steps = np.diff(opens_ms)
    if (steps <= 0).any():
        at_ms = int(opens_ms[int(np.argmax(steps <= 0)) + 1])
        return f"the bars do not ascend at {utc_text(at_ms)}"
    if not interval.length_ms:
        return find_gaps(opens_ms.tolist(), interval)
    return [
        gap
        for index in np.flatnonzero(steps != interval.length_ms).tolist()
        for gap in find_gaps(opens_ms[index : index + 2].tolist(), interval)
    ]


def _stamps(column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    raw = column.combine_chunks()  # whose to_numpy() imports pandas (0.25 s)
    return np.frombuffer(raw.buffers()[1], np.uint64, len(raw), 8 * raw.offset)


# -- 128-bit integers as two columns of 64 bits --------------------------------------------------

_Halves = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]
"""The high half, signed, and the low half, unsigned."""


def _halves(column: pa.ChunkedArray) -> _Halves:
    raw = column.combine_chunks()
    words = np.frombuffer(raw.buffers()[1], np.uint64, 2 * len(raw), 16 * raw.offset)
    return words[1::2].view(np.int64), words[::2]


def _halves_of(value: int) -> _Halves:
    return np.array([value // _WORD], np.int64), np.array([value % _WORD], np.uint64)


def _below(one: _Halves, other: _Halves) -> npt.NDArray[np.bool_]:
    below: npt.NDArray[np.bool_] = one[0] < other[0]
    below |= (one[0] == other[0]) & (one[1] < other[1])
    return below


def _at_most(one: _Halves, other: _Halves) -> npt.NDArray[np.bool_]:
    return ~_below(other, one)


def _decimal(text: object) -> Decimal | None:
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _text(at_ns: int) -> str:
    at_ms = at_ns // NS_PER_MS
    return utc_text(at_ms) if at_ms < YEAR_2100_MS else f"{at_ns} ns"


def _first_line(error: Exception) -> str:
    line = str(error).partition("\n")[0][:200]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
