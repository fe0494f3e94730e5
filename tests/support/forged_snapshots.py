"""Changes to a snapshot whose digests are sealed again afterwards."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.snapshots import BAR_TYPE, START
from warmup_job.snapshot.manifest import seal
from warmup_job.snapshot.verify import Snapshot

BARS = 80


def file_of(snapshot: Snapshot, kind: str) -> Path:
    (path,) = (snapshot.catalog / "data" / kind).rglob("*.parquet")
    return path


def sealed_again(snapshot: Snapshot, **changes: Any) -> None:
    """Rewrite the manifest with ``changes`` and with the digests of the current files."""
    files = [
        msgspec.structs.replace(
            entry,
            size=(snapshot.folder / entry.path).stat().st_size,
            sha256=hashlib.sha256((snapshot.folder / entry.path).read_bytes()).hexdigest(),
        )
        for entry in snapshot.manifest.files
    ]
    manifest = msgspec.structs.replace(snapshot.manifest, files=files, **changes)
    (snapshot.folder / "manifest.json").write_bytes(seal(manifest))


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[bytes], bytes]:
    """Replace the file's table."""
    return lambda raw: parquet(change(pq.read_table(io.BytesIO(raw))))


def with_column(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(name)
        return table.set_column(index, table.schema.field(index).with_type(values.type), values)

    return change


def raised(name: str, row: int, raw_value: int) -> Callable[[bytes], bytes]:
    """Return the bars with another raw value (128 bits) at one place."""

    def change(table: pa.Table) -> pa.Table:
        values = table.column(name).to_pylist()
        values[row] = raw_value.to_bytes(16, "little", signed=True)
        return with_column(name, pa.array(values, pa.binary(16)))(table)

    return rewritten(change)


def stamped(row: int, at_ns: int, *names: str) -> Callable[[bytes], bytes]:
    def change(table: pa.Table) -> pa.Table:
        for name in names:
            values = table.column(name).to_pylist()
            values[row] = at_ns
            table = with_column(name, pa.array(values, pa.uint64()))(table)
        return table

    return rewritten(change)


def labelled(**labels: str) -> Callable[[bytes], bytes]:
    def change(table: pa.Table) -> pa.Table:
        kept = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        return table.replace_schema_metadata(kept | labels)

    return rewritten(change)


def nullable(table: pa.Table) -> pa.Table:
    """Return the bars with nullable opens, some of them null."""
    field = pa.field("open", pa.binary(16))
    return table.set_column(0, field, pa.array([None] * BARS, pa.binary(16)))


BOTH = ("ts_event", "ts_init")
ONE = 10**16
LAST_NS = (START + BARS * 60_000 - 1) * 1_000_000
GARBAGE: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("noise", lambda raw: hashlib.sha256(raw).digest() * (len(raw) // 32) + raw[: len(raw) % 32]),
    ("zeros", lambda raw: bytes(len(raw))),
    ("empty", lambda _: b""),
    ("magic alone", lambda raw: b"PAR1" + bytes(len(raw) - 8) + b"PAR1"),
    ("cut in half", lambda raw: raw[: len(raw) // 2]),
    ("pages overwritten", lambda raw: raw[:4] + bytes(len(raw) // 3) + raw[4 + len(raw) // 3 :]),
    ("another table", lambda _: parquet(pa.table({"a": [1]}))),
    ("no rows", rewritten(lambda table: table.slice(0, 0))),
]  # fmt: skip
BAR_FILES: list[tuple[str, Callable[[bytes], bytes]]] = [
    *GARBAGE,
    ("one bar less", rewritten(lambda table: table.slice(1))),
    ("one row group of another size", lambda raw: parquet(
        pa.concat_tables([pq.read_table(io.BytesIO(raw))] * 80))),
    ("a negative price", raised("low", 3, -5 * ONE)),
    ("a price of nothing", raised("low", 3, 0)),
    ("high below low", raised("high", 3, 4 * ONE)),
    ("a close above the high", raised("close", 0, 6 * ONE)),
    ("an open below the low", raised("open", BARS - 1, 4 * ONE)),
    ("a negative volume", raised("volume", 3, -1)),
    ("more than Nautilus holds", raised("high", 3, 17_014_118_346_047 * ONE)),
    ("the largest integer", raised("volume", 3, 2**127 - 1)),
    ("finer than is said", raised("high", 3, 5 * ONE + 1)),
    ("a bar twice", stamped(4, LAST_NS - 76 * 60 * 10**9, *BOTH)),
    ("bars that do not ascend", stamped(4, LAST_NS - 10**9, *BOTH)),
    ("the end of time", stamped(-1, 2**64 - 1, *BOTH)),
    ("in 1970", stamped(0, 0, *BOTH)),
    ("between two milliseconds", stamped(3, LAST_NS - 76 * 60 * 10**9 + 1, *BOTH)),
    ("two stamps", stamped(3, LAST_NS, "ts_init")),
    ("another bar type's", labelled(bar_type=BAR_TYPE.replace("BTC", "ETH"))),
    ("another instrument's", labelled(instrument_id="ETHUSDT-PERP.BINANCE")),
    ("another precision", labelled(price_precision="99")),
    ("a precision in no alphabet", labelled(price_precision="\u0662")),
    ("no labels", rewritten(lambda table: table.replace_schema_metadata(None))),
    ("prices as text", rewritten(
        with_column("open", pa.array(["5.00"] * BARS)))),
    ("values that are missing", rewritten(nullable)),
]  # fmt: skip


def text_column(name: str, value: str | None) -> Callable[[bytes], bytes]:
    return rewritten(with_column(name, pa.array([value], pa.string())))


INSTRUMENT_FILES: list[tuple[str, Callable[[bytes], bytes]]] = [
    *GARBAGE,
    ("two of it", rewritten(lambda table: pa.concat_tables([table, table]))),
    ("another one's id", text_column("id", "ETHUSDT-PERP.BINANCE")),
    ("another one's symbol", text_column("raw_symbol", "ETHUSDT")),
    ("no id", text_column("id", None)),
    ("another class", labelled(**{"class": "CurrencyPair"})),
    ("no class", rewritten(lambda table: table.replace_schema_metadata(None))),
    ("a precision of 99", rewritten(
        with_column("price_precision", pa.array([99], pa.uint8())))),
    ("no tick", text_column("price_increment", None)),
    ("a tick of nothing", text_column("price_increment", "0.00")),
    ("a tick that is no number", text_column("price_increment", "NaN")),
    ("a tick in words", text_column("price_increment", "small")),
    ("a negative step", text_column("size_increment", "-0.001")),
    ("a tick finer than its precision", text_column("price_increment", "0.001")),
    ("a column less", rewritten(lambda table: table.drop_columns(["size_increment"]))),
]  # fmt: skip
