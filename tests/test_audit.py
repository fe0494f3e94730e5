"""The audit of a snapshot's rows: each rule alone, on a table that breaks no other rule."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from warmup_job.catalog.audit import (
    ExpectedInstrument,
    gaps_of,
    instrument_problem,
    opens_of,
    row_problem,
)
from warmup_job.catalog.packed_bars import PRICE_MAX, SIZE_MAX, pack
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, Klines
from warmup_job.market.rows import Gap

MINUTE = Interval.parse("1m")
OPEN_MS = 1_700_000_040_000
UNIT = 10**16


def bars(rows: int = 3) -> pa.Table:
    """Bars from 2.0 to 4.0, opened and closed at 3.0, of volume 1."""
    klines = []
    for open_ms in range(OPEN_MS, OPEN_MS + rows * 60_000, 60_000):
        prices = ("3.0", "4.0", "2.0", "3.0")
        klines.append(Kline(open_ms, *prices, "1", open_ms + 59_999, "1", 1, "1", "1"))
    columns: dict[str, Any] = dict(zip(Kline._fields, zip(*klines, strict=True), strict=True))
    return pack(Klines(**columns)).load()


def with_values(table: pa.Table, **raw: int) -> pa.Table:
    """Return the table with other raw values in its last row."""
    for name, value in raw.items():
        held = table.column(name).to_pylist()
        held[-1] = value.to_bytes(16, "little", signed=True)
        index = table.schema.get_field_index(name)
        column = pa.array(held, pa.binary(16))
        table = table.set_column(index, table.schema.field(index), column)
    return table


def test_audit_accepts_bars_that_a_market_can_have() -> None:
    assert row_problem(bars(), 1, 0) is None
    flat = dict.fromkeys(("open", "high", "low", "close"), 3 * UNIT)
    assert row_problem(with_values(bars(), **flat, volume=0), 1, 0) is None
    most = dict.fromkeys(("open", "high", "low", "close"), PRICE_MAX * UNIT)
    assert row_problem(with_values(bars(), **most, volume=SIZE_MAX * UNIT), 1, 0) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 0},
        {"low": -UNIT},
        {"low": 3 * UNIT + 1},  # above open and close
        {"open": 2 * UNIT - 1},
        {"close": 2 * UNIT - 1},
        {"open": 4 * UNIT + 1},
        {"close": 4 * UNIT + 1},
        {"high": 3 * UNIT - 1},
        {"high": PRICE_MAX * UNIT + 1},
        {"volume": -1},
        {"volume": SIZE_MAX * UNIT + 1},
    ],
    ids=str,
)
def test_audit_reports_an_impossible_bar_with_its_time(changes: dict[str, int]) -> None:
    problem = row_problem(with_values(bars(), **changes), 16, 16)
    assert problem is not None
    assert "2023-11-14T22:16:59Z has impossible values" in problem


@pytest.mark.parametrize(("price", "size", "name"), [(0, 0, "close"), (1, 0, "volume")])
def test_audit_reports_a_value_finer_than_its_precision(price: int, size: int, name: str) -> None:
    table = with_values(bars(), close=3 * UNIT + UNIT // 10, volume=UNIT + UNIT // 10)
    assert row_problem(table, price, size) == (
        f"a value of {name} has more than {price if name == 'close' else size} decimals"
    )


def test_audit_reports_a_missing_value() -> None:
    table = bars()
    index = table.schema.get_field_index("volume")
    held = [*table.column("volume").to_pylist()[:-1], None]
    column = pa.array(held, pa.binary(16))
    assert row_problem(table.set_column(index, "volume", column), 1, 0) == "a value is missing"


def test_audit_reports_bars_out_of_order_but_no_gaps() -> None:
    opens = opens_of(bars(3), MINUTE)
    assert not isinstance(opens, str)
    assert opens.tolist() == [OPEN_MS, OPEN_MS + 60_000, OPEN_MS + 120_000]
    assert gaps_of(opens, MINUTE) == []
    assert gaps_of(opens[[0, 2]], MINUTE) == [Gap(OPEN_MS + 60_000, OPEN_MS + 60_000, 1)]
    for disorder in ([1, 0], [0, 0], [0, 2, 1]):
        assert "do not ascend" in str(gaps_of(opens[disorder], MINUTE))


def instruments(rows: int) -> pa.Table:
    """Return the parts of an instrument file that `instrument_problem` reads."""
    values = {
        "id": "X-PERP.BINANCE", "raw_symbol": "X", "price_precision": 1, "size_precision": 0,
        "price_increment": "0.1", "size_increment": "1", "ts_event": 0, "ts_init": 0,
    }  # fmt: skip
    table = pa.table({name: [value] * rows for name, value in values.items()})
    return table.replace_schema_metadata({"class": "CryptoPerpetual"})


def test_audit_reports_a_file_with_more_than_its_instrument() -> None:
    expected = ExpectedInstrument("X", "X-PERP.BINANCE", 1, 0)
    assert instrument_problem(instruments(1), "crypto_perpetual", expected) is None
    for rows in (0, 2):
        problem = instrument_problem(instruments(rows), "crypto_perpetual", expected)
        assert problem == f"it has {rows} instruments instead of 1"
