"""Snapshots whose digests are all right and whose content is not: 20, and never a trace."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SCALE
from tests.test_snapshot import BAR_TYPE, START, make
from warmup_job.errors import SnapshotError, WarmupError
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.lease import LeaseRecord
from warmup_job.snapshot.lease import _read as read_lease
from warmup_job.snapshot.limits import quiet_until_ms
from warmup_job.snapshot.manifest import Manifest, parse_manifest, seal
from warmup_job.snapshot.verify import Snapshot, open_snapshot, verify

BARS = 80
NOW_MS = START + (BARS + 1) * 60_000
DETECTOR = DetectorSettings(5, 10, 5, 5, 10.0)


@cache
def certificate() -> Any:
    """Of bars that never moved."""
    flat = [5.0] * BARS
    return certify(Evidence.of(DETECTOR, Window.of(flat, flat, flat)), Bounds(1.0, 9.0))


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with a good snapshot, certificate and all; tests work on copies."""
    root = tmp_path_factory.mktemp("good") / "volume"
    make(root, BARS, detector=DETECTOR, certificate=certificate())
    verify(root, now_ms=NOW_MS)
    return root


@pytest.fixture
def volume(good: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(good, tmp_path / "volume", symlinks=True))


def file_of(snapshot: Snapshot, kind: str) -> Path:
    (path,) = (snapshot.catalog / "data" / kind).rglob("*.parquet")
    return path


def sealed_again(snapshot: Snapshot, **changes: Any) -> None:
    """Write the manifest anew, with ``changes`` and the digests of what lies there."""
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


def found(root: Path) -> str:
    with pytest.raises(SnapshotError) as refused:
        verify(root, now_ms=NOW_MS)
    return str(refused.value)


# -- files -----------------------------------------------------------------------------------------


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[bytes], bytes]:
    """The file with another table in it."""
    return lambda raw: parquet(change(pq.read_table(io.BytesIO(raw))))


def with_column(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(name)
        return table.set_column(index, table.schema.field(index).with_type(values.type), values)

    return change


def raised(name: str, row: int, raw_value: int) -> Callable[[bytes], bytes]:
    """The bars with another raw value (128 bits) at one place."""

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
    """The bars with opens that can be missing, and are."""
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


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BAR_FILES])
def test_a_file_of_bars_is_decoded_before_it_is_vouched_for(
    volume: Path, change: Callable[[bytes], bytes]
) -> None:
    snapshot = open_snapshot(volume)
    path = file_of(snapshot, "bar")
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before
    sealed_again(snapshot)
    assert BAR_TYPE in found(volume)


@pytest.mark.parametrize(
    "change", [pytest.param(change, id=name) for name, change in INSTRUMENT_FILES]
)
def test_an_instruments_file_is_decoded_before_it_is_vouched_for(
    volume: Path, change: Callable[[bytes], bytes]
) -> None:
    snapshot = open_snapshot(volume)
    path = file_of(snapshot, "crypto_perpetual")
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before
    sealed_again(snapshot)
    assert "BTCUSDT-PERP.BINANCE: " in found(volume)
    assert open_snapshot(volume).instrument(snapshot.manifest.instruments[0]) is None


def test_bars_in_the_place_of_an_instrument(volume: Path) -> None:
    snapshot = open_snapshot(volume)
    shutil.copy(file_of(snapshot, "bar"), file_of(snapshot, "crypto_perpetual"))
    sealed_again(snapshot)
    assert "it is no instrument" in found(volume)


@settings(max_examples=60 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    kind=st.sampled_from(["bar", "crypto_perpetual"]),
    edits=st.lists(
        st.tuples(st.floats(0, 0.999999), st.binary(min_size=1, max_size=8)), max_size=6
    ),
)
def test_any_bytes_in_a_file_are_at_most_a_problem(
    good: Path, kind: str, edits: list[tuple[float, bytes]]
) -> None:
    """A snapshot is good or refused, never a trace; a change that is harmless may pass."""
    snapshot = open_snapshot(good)
    path, manifest = file_of(snapshot, kind), snapshot.folder / "manifest.json"
    raw, sealed = path.read_bytes(), manifest.read_bytes()
    changed = bytearray(raw)
    for where, patch in edits:
        at = int(where * len(raw))
        changed[at : at + len(patch)] = patch
    try:
        path.write_bytes(changed)
        sealed_again(snapshot)
        try:
            verify(good, now_ms=NOW_MS)
        except SnapshotError:
            assert bytes(changed) != raw
    finally:
        path.write_bytes(raw)
        manifest.write_bytes(sealed)


# -- manifests -------------------------------------------------------------------------------------


def set_at(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(manifest: Any) -> None:
        for step in path[:-1]:
            manifest = manifest[step]
        manifest[path[-1]] = to

    return change


def digested(plain: Any) -> bytes:
    """The bytes of a manifest in plain values, sealed as one would who knows how."""
    unsigned = msgspec.json.encode(plain | {"digest": ""}, order="sorted")
    plain["digest"] = hashlib.sha256(unsigned).hexdigest()
    return msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2) + b"\n"


HUGE = 10**400
STREAM = ("streams", 0)
LIES: list[Callable[[Any], None]] = [
    *(set_at(*STREAM, "detector", name, to=value)
      for name in ("ema_fast", "ema_slow", "adx_len", "atr_len")
      for value in (0, -1, HUGE, 2**63)),
    *(set_at(*STREAM, "detector", "hysteresis_bps", to=value) for value in (-1.0, 1e308)),
    *(set_at(*STREAM, name, to=value)
      for name in ("price_precision", "size_precision")
      for value in (99, -1, 17, HUGE)),
    *(set_at(*STREAM, "bar_count", to=value) for value in (0, -1, HUGE, 2**62)),
    *(set_at(*STREAM, name, to=value)
      for name in ("first_open", "last_close")
      for value in (-1, 253_402_300_799_999, HUGE, START + 1)),
    *(set_at(*STREAM, "interval", to=value) for value in ("7m", "", "1M", "1H", "5m")),
    *(set_at(*STREAM, "symbol", to=value) for value in ("ETHUSDT", "", "../x")),
    set_at(*STREAM, "instrument_id", to="ETHUSDT-PERP.BINANCE"),
    set_at(*STREAM, "price", to="mark"),
    set_at(*STREAM, "gaps", to=[[START, START, 1]]),
    set_at(*STREAM, "gaps", to=[[-HUGE, HUGE, -HUGE]]),
    set_at(*STREAM, "gaps", to=[[START + BARS * 60_000] * 2 + [1]] * 2),
    *(set_at(*STREAM, "certificate", name, to=value)
      for name, value in (
          ("bars", 0), ("bars", -1), ("bars", BARS + 1), ("bars", HUGE), ("lowest", 0.0),
          ("lowest", -1.0), ("lowest", None), ("lowest", 1e-300), ("highest", 1e300),
          ("highest", 1.0), ("proven", True), ("exact", True), ("regime", "UP"),
          ("possible", []), ("met_bar", HUGE), ("adx_error", -1.0), ("adx_error", "NaN"),
      )),
    *(set_at("instruments", 0, name, to=value)
      for name, value in (
          ("price_precision", 99), ("size_precision", -1), ("symbol", "ETHUSDT"),
          ("instrument_id", "ETHUSDT-PERP.BINANCE"), ("price_precision", 4),
      )),
    set_at("instruments", to=[]),
    lambda manifest: manifest["instruments"].append(manifest["instruments"][0]),
    lambda manifest: manifest["streams"].append(manifest["streams"][0]),
    lambda manifest: manifest["files"].append(manifest["files"][0]),
    lambda manifest: manifest["files"].pop(0),
    set_at("streams", to=[]),
    *(set_at("created_at", to=value) for value in (-1, HUGE, 10**15)),
    *(set_at("market", to=value) for value in ("cm", "spot")),
    *(set_at("files", 0, "size", to=value) for value in (-1, HUGE)),
    *(set_at("seconds", to=value) for value in (-1.0, None)),
    set_at("weight_spent", to=-HUGE),
    set_at("content_digest", to="x"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LIES)))
def test_a_manifest_that_says_what_cannot_be(volume: Path, number: int) -> None:
    path = open_snapshot(volume).folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    LIES[number](manifest)
    path.write_bytes(digested(manifest))
    assert "altered" not in found(volume)


def test_sealing_again_is_not_what_is_found(volume: Path) -> None:
    path = open_snapshot(volume).folder / "manifest.json"
    path.write_bytes(digested(json.loads(path.read_bytes())))
    verify(volume, now_ms=NOW_MS)


def sealed_bytes(good: Path) -> bytes:
    return (open_snapshot(good).folder / "manifest.json").read_bytes()


def read_or_refuse(raw: bytes) -> Manifest | None:
    """What every reader of a manifest may rely on."""
    try:
        return parse_manifest(raw)
    except SnapshotError:
        return None


def test_every_byte_that_is_no_text_is_a_problem_of_the_manifest(good: Path) -> None:
    raw = sealed_bytes(good)
    for position in range(len(raw)):
        for byte in (0xFF, 0xC3, 0x00):
            changed = raw[:position] + bytes([byte]) + raw[position + 1 :]
            assert read_or_refuse(changed) is None
            assert read_or_refuse(raw[:position] + bytes([byte]) + raw[position:]) is None


@settings(max_examples=300 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert read_or_refuse(raw) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value in a JSON value."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [path, *(place for key in keys for place in places(value[key], (*path, key)))]


@settings(max_examples=400 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused_and_verified_or_refused(
    good: Path, data: st.DataObject
) -> None:
    """Whoever can write the volume can seal it again: readers end in order all the same."""
    folder = open_snapshot(good).folder
    path, sealed = folder / "manifest.json", sealed_bytes(good)
    manifest = json.loads(sealed)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(manifest)[1:]))
        try:
            set_at(*where, to=data.draw(JSON))(manifest)
        except (KeyError, IndexError, TypeError):
            continue  # another change has taken its place away
    raw = digested(manifest)
    if read_or_refuse(raw) is None:
        return
    try:
        path.write_bytes(raw)
        verify(good, now_ms=NOW_MS)
    except SnapshotError:
        pass
    finally:
        path.write_bytes(sealed)


# -- the small files -------------------------------------------------------------------------------


@settings(max_examples=200 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        JSON.map(msgspec.json.encode),
        st.binary(max_size=20).map(lambda noise: b'{"https://a":1,"' + noise + b'":2}'),
        st.binary(max_size=20).map(lambda noise: b'{"owner":"' + noise + b'"}'),
    )
)
def test_whatever_limits_and_leases_hold_is_nobodys(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    root = tmp_path_factory.mktemp("volume")
    (root / "limits.json").write_bytes(raw)
    (root / ".lease").write_bytes(raw)
    assert isinstance(quiet_until_ms(root, "https://a"), int)
    with (root / ".lease").open("rb") as file:
        assert isinstance(read_lease(file.fileno()), LeaseRecord)


def test_no_text_in_a_limit_is_no_limit(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_bytes(b'{"https://\xff":1}')
    assert quiet_until_ms(tmp_path, "https://a") == 0


def test_the_settings_of_a_detector_never_break_its_certificate() -> None:
    """What `verify` computes again for whatever a manifest says."""
    flat = [5.0] * 30

    @settings(max_examples=200 * SCALE, deadline=None)
    @given(
        st.builds(
            DetectorSettings,
            *[st.one_of(st.integers(1, 60), st.just(100_000))] * 4,
            st.floats(0, 1_000_000),
        ),
        st.floats(1e-100, 1e100), st.floats(1e-100, 1e100),
    )  # fmt: skip
    def certified(detector: DetectorSettings, low: float, high: float) -> None:
        try:
            bounds = Bounds(low, high)
        except ValueError:
            return
        made = certify(Evidence.of(detector, Window.of(flat, flat, flat)), bounds)
        assert made.bars == 30

    certified()


def test_a_snapshot_error_is_of_our_tree() -> None:
    assert issubclass(SnapshotError, WarmupError)
    assert SnapshotError.exit_code == 20
