"""Snapshots with valid digests and invalid content: code 20, and never a traceback."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.forged_snapshots import (
    BAR_FILES,
    BARS,
    INSTRUMENT_FILES,
    file_of,
    sealed_again,
)
from tests.support.snapshots import BAR_TYPE, START, make
from tests.support.suite import SCALE
from warmup_job.errors import SnapshotError, WarmupError
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.lease import LeaseRecord
from warmup_job.snapshot.lease import _read as read_lease
from warmup_job.snapshot.manifest import Manifest, parse_manifest
from warmup_job.snapshot.rate_limits import limited_until_ms
from warmup_job.snapshot.verify import open_snapshot, verify

NOW_MS = START + (BARS + 1) * 60_000
DETECTOR = DetectorSettings(5, 10, 5, 5, 10.0)


@cache
def certificate() -> Any:
    """Return a certificate of bars whose price never moved."""
    flat = [5.0] * BARS
    return certify(Evidence.of(DETECTOR, Window.of(flat, flat, flat)), Bounds(1.0, 9.0))


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a volume with a good snapshot and its certificate; tests work on copies."""
    root = tmp_path_factory.mktemp("good") / "volume"
    make(root, BARS, detector=DETECTOR, certificate=certificate())
    verify(root, now_ms=NOW_MS)
    return root


@pytest.fixture
def volume(good: Path, tmp_path: Path) -> Path:
    """Return a copy of the good volume."""
    return Path(shutil.copytree(good, tmp_path / "volume", symlinks=True))


def found(root: Path) -> str:
    with pytest.raises(SnapshotError) as refused:
        verify(root, now_ms=NOW_MS)
    return str(refused.value)


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BAR_FILES])
def test_snapshot_forged_bar_file_is_decoded_and_refused(
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
def test_snapshot_forged_instrument_file_is_decoded_and_refused(
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


def test_snapshot_forged_bars_in_the_place_of_an_instrument_are_refused(volume: Path) -> None:
    snapshot = open_snapshot(volume)
    shutil.copy(file_of(snapshot, "bar"), file_of(snapshot, "crypto_perpetual"))
    sealed_again(snapshot)
    assert "it is not an instrument" in found(volume)


@settings(max_examples=60 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    kind=st.sampled_from(["bar", "crypto_perpetual"]),
    edits=st.lists(
        st.tuples(st.floats(0, 0.999999), st.binary(min_size=1, max_size=8)), max_size=6
    ),
)
def test_snapshot_forged_any_bytes_in_a_file_are_read_or_refused(
    good: Path, kind: str, edits: list[tuple[float, bytes]]
) -> None:
    """A snapshot is accepted or refused, without a traceback; a harmless change may pass."""
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
    """Return the bytes of a manifest from plain values, with valid digests."""
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
def test_snapshot_forged_impossible_manifest_is_refused(volume: Path, number: int) -> None:
    path = open_snapshot(volume).folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    LIES[number](manifest)
    path.write_bytes(digested(manifest))
    assert "altered" not in found(volume)


def test_snapshot_forged_sealing_again_alone_is_no_problem(volume: Path) -> None:
    path = open_snapshot(volume).folder / "manifest.json"
    path.write_bytes(digested(json.loads(path.read_bytes())))
    verify(volume, now_ms=NOW_MS)


def sealed_bytes(good: Path) -> bytes:
    return (open_snapshot(good).folder / "manifest.json").read_bytes()


def read_or_refuse(raw: bytes) -> Manifest | None:
    """Read a manifest; check what every reader may rely on."""
    try:
        return parse_manifest(raw)
    except SnapshotError:
        return None


def test_snapshot_forged_manifest_with_invalid_utf8_is_refused(good: Path) -> None:
    raw = sealed_bytes(good)
    for position in range(len(raw)):
        for byte in (0xFF, 0xC3, 0x00):
            changed = raw[:position] + bytes([byte]) + raw[position + 1 :]
            assert read_or_refuse(changed) is None
            assert read_or_refuse(raw[:position] + bytes([byte]) + raw[position:]) is None


@settings(max_examples=300 * SCALE, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_snapshot_forged_manifest_of_any_bytes_is_refused(raw: bytes) -> None:
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
def test_snapshot_forged_any_value_in_the_manifest_is_read_or_refused(
    good: Path, data: st.DataObject
) -> None:
    """A writer of the volume can seal a manifest again: readers still end in order."""
    folder = open_snapshot(good).folder
    path, sealed = folder / "manifest.json", sealed_bytes(good)
    manifest = json.loads(sealed)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(manifest)[1:]))
        try:
            set_at(*where, to=data.draw(JSON))(manifest)
        except (KeyError, IndexError, TypeError):
            continue  # another change has removed this place
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
def test_snapshot_forged_limits_and_leases_of_any_content_are_ignored(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    root = tmp_path_factory.mktemp("volume")
    (root / "limits.json").write_bytes(raw)
    (root / ".lease").write_bytes(raw)
    assert isinstance(limited_until_ms(root, "https://a"), int)
    with (root / ".lease").open("rb") as file:
        assert isinstance(read_lease(file.fileno()), LeaseRecord)


def test_snapshot_forged_limit_of_any_bytes_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_bytes(b'{"https://\xff":1}')
    assert limited_until_ms(tmp_path, "https://a") == 0


def test_snapshot_forged_detector_settings_never_crash_the_certificate() -> None:
    """Compute the certificate that `verify` computes for the settings of a manifest."""
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


def test_snapshot_forged_errors_are_warmup_errors() -> None:
    assert issubclass(SnapshotError, WarmupError)
    assert SnapshotError.exit_code == 20
