"""The encoder: byte-identical to Nautilus' own writer, without rounding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest

from warmup_job.catalog import packed_bars as arrow
from warmup_job.catalog.stored_bars import StoredBars
from warmup_job.errors import DataInvalidError
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Klines
from warmup_job.snapshot.durable import HashingFile, new_file

START = 1_700_000_040_000
MINUTE = Interval.parse("1m")
PERP = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
SPOT = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"


def klines(count: int, prices: int, sizes: int, first: int = 0) -> Klines:
    """Return a deterministic series; some of its values use all decimal places."""

    def text(value: int, places: int) -> str:
        return f"{Decimal(value).scaleb(-places):f}"

    opens = [text(10**prices * 50_000 + 7 * i, prices) for i in range(first, first + count)]
    highs = [text(10**prices * 50_100 + 7 * i, prices) for i in range(first, first + count)]
    lows = [text(10**prices * 49_900 + 7 * i, prices) for i in range(first, first + count)]
    volumes = ["0" if i % 5 == 0 else text(i, sizes) for i in range(first, first + count)]
    times = [START + i * 60_000 for i in range(first, first + count)]
    rest = (opens, list(range(count)), volumes, opens)
    return Klines(times, opens, highs, lows, opens, volumes, [t + 59_999 for t in times], *rest)


def write(
    path: Path,
    bars: arrow.PackedBars | arrow.BarSeries,
    bar_type: str,
    prices: int,
    sizes: int,
) -> bytes:
    @contextmanager
    def create(name: str) -> Iterator[HashingFile]:
        (path / name).parent.mkdir(parents=True)
        with new_file(path / name) as file:
            yield file

    arrow.write_bars(
        create,
        series(bars),
        bar_type=bar_type,
        instrument_id=bar_type.split("-1-", maxsplit=1)[0],
        price_precision=prices,
        size_precision=sizes,
    )
    (file,) = path.rglob("*.parquet")
    return file.read_bytes()


def written_by_nautilus(folder: Path, rows: Klines, bar_type: str, prices: int, sizes: int) -> Path:
    """Write bars by `ParquetDataCatalog.write_data`, and return their file."""
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.persistence.catalog import ParquetDataCatalog

    bars = [
        Bar(
            BarType.from_str(bar_type),
            *(Price.from_str(f"{Decimal(value):.{prices}f}") for value in kline[1:5]),
            Quantity.from_str(f"{Decimal(kline.volume):.{sizes}f}"),
            kline.close_ms * 1_000_000,
            kline.close_ms * 1_000_000,
        )
        for kline in rows
    ]
    ParquetDataCatalog(str(folder)).write_data(bars)
    (file,) = folder.rglob("*.parquet")
    return file


def series(bars: arrow.PackedBars | arrow.BarSeries) -> arrow.BarSeries:
    return arrow.BarSeries([bars]) if isinstance(bars, arrow.PackedBars) else bars


def digest(bars: arrow.PackedBars | arrow.BarSeries) -> str:
    return arrow.content_digest(series(bars))


@pytest.mark.parametrize("bar_type", [PERP, SPOT])
@pytest.mark.parametrize(
    ("prices", "sizes"), [*((p, 3) for p in range(17)), *((2, s) for s in range(17))]
)
def test_packed_bars_bytes_equal_those_of_nautilus_write_data(
    tmp_path: Path, bar_type: str, prices: int, sizes: int
) -> None:
    rows = klines(30, prices, sizes)
    theirs = written_by_nautilus(tmp_path / "theirs", rows, bar_type, prices, sizes)
    ours = write(tmp_path / "ours", arrow.pack(rows), bar_type, prices, sizes)
    (our_file,) = (tmp_path / "ours").rglob("*.parquet")
    assert our_file.relative_to(tmp_path / "ours") == theirs.relative_to(tmp_path / "theirs")
    assert ours == theirs.read_bytes()


def test_packed_bars_several_row_groups_have_the_same_bytes(tmp_path: Path) -> None:
    rows = klines(12_345, 2, 3)
    theirs = written_by_nautilus(tmp_path / "theirs", rows, PERP, 2, 3)
    assert write(tmp_path / "ours", arrow.pack(rows), PERP, 2, 3) == theirs.read_bytes()


def test_packed_bars_do_not_depend_on_pages_or_their_order(tmp_path: Path) -> None:
    whole = arrow.pack(klines(3000, 2, 3))
    sizes = [(0, 499), (499, 1), (500, 1500), (2000, 1000)]
    parts = [arrow.pack(klines(count, 2, 3, first)) for first, count in sizes]
    for order in (parts, parts[::-1], [parts[2], parts[0], parts[3], parts[1]]):
        joined = arrow.join(order)
        assert digest(joined) == digest(whole)
    assert write(tmp_path / "a", arrow.join(parts[::-1]), PERP, 2, 3) == write(
        tmp_path / "b", whole, PERP, 2, 3
    )


def test_packed_bars_pages_of_any_size_are_written_like_one_series(tmp_path: Path) -> None:
    whole = arrow.pack(klines(26_000, 2, 3))
    parts = [arrow.pack(klines(499, 2, 3, first)) for first in range(0, 26_000 - 499, 499)]
    parts.append(arrow.pack(klines(26_000 - 499 * 52, 2, 3, 499 * 52)))
    assert write(tmp_path / "a", arrow.join(parts), PERP, 2, 3) == write(
        tmp_path / "b", whole, PERP, 2, 3
    )


def test_packed_bars_keep_only_the_last_bars(tmp_path: Path) -> None:
    kept = arrow.join([arrow.pack(klines(100, 2, 3))]).last(30)
    assert digest(kept) == digest(arrow.pack(klines(30, 2, 3, first=70)))
    write(tmp_path, kept, PERP, 2, 3)
    stored = StoredBars(tmp_path, PERP)
    assert list(stored.series(MINUTE).opens_ms) == [START + i * 60_000 for i in range(70, 100)]
    (table,) = stored.tables()
    closes_ns = [(START + i * 60_000 + 59_999) * 1_000_000 for i in range(70, 100)]
    assert table.column("ts_event").to_pylist() == closes_ns


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_packed_bars_digest_changes_with_any_digit(column: str) -> None:
    rows = klines(10, 2, 3)
    values: list[Any] = list(getattr(rows, column))
    values[7] = values[7] + "1" if "." in values[7] else values[7] + ".1"
    changed = msgspec.structs.replace(rows, **{column: values})
    assert digest(arrow.pack(changed)) != digest(arrow.pack(rows))


@pytest.mark.parametrize(("prices", "sizes", "what"), [(1, 3, "price"), (2, 2, "volume")])
def test_packed_bars_never_round_finer_values(
    tmp_path: Path, prices: int, sizes: int, what: str
) -> None:
    with pytest.raises(DataInvalidError, match=f"a {what} has . decimals"):
        write(tmp_path, arrow.pack(klines(30, 2, 3)), PERP, prices, sizes)


@pytest.mark.parametrize("text", ["0." + "1" * 17, "9" * 20, "34028236692094"])
def test_packed_bars_value_beyond_the_catalog_is_one_clear_error(tmp_path: Path, text: str) -> None:
    rows = Klines([START], ["5"], ["5"], ["5"], ["5"], [text], [START + 59_999])
    with pytest.raises(DataInvalidError):
        write(tmp_path, arrow.pack(rows), PERP, 2, 16)


def test_packed_bars_trailing_zeros_are_no_decimals(tmp_path: Path) -> None:
    rows = Klines([START], ["5.10000000"], ["5.2"], ["5.000"], ["5"], ["7.00"], [START + 59_999])
    packed = arrow.pack(rows)
    assert packed.decimals == (1, 0)
    write(tmp_path, packed, PERP, 1, 0)
