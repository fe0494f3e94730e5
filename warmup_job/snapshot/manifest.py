"""manifest.json: what a snapshot holds, from where, and the digests that vouch for it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from warmup_job.catalog.names import bar_type_name, instrument_id_of
from warmup_job.errors import SnapshotError
from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.market.pages import Market
from warmup_job.market.rows import Gap
from warmup_job.proof.certificate import Certificate
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.durable import read_whole
from warmup_job.snapshot.layout import CATALOG, MANIFEST

FORMAT_VERSION: Final = 1
MAX_BYTES = 16 * 1024 * 1024

# What a manifest may say, whoever wrote it: within these, no arithmetic of a reader can fail.
Moment = Annotated[int, Meta(ge=0, lt=4_102_444_800_000)]
"""UTC ms, from 1970 until 2100."""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Precision = Annotated[int, Meta(ge=0, le=16)]
"""Decimals; Nautilus holds 16."""
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class IndicatorEntry(msgspec.Struct, frozen=True):
    """A declared indicator: how many bars it takes until what was before them is forgotten."""

    kind: str
    period: Count
    bars_needed: Count | None
    """None: more than there are."""


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Times are UTC ms of the bars' opens and closes."""

    symbol: str
    instrument_id: str
    bar_type: str
    interval: str
    price: Literal["last", "mark"] = "last"
    price_precision: Precision
    size_precision: Precision
    first_open: Moment
    last_close: Moment
    """The last bar's regular close: its open + interval − 1 ms, whatever the venue says."""
    bar_count: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    gaps: list[Gap]
    from_listing: bool
    detector: DetectorSettings | None = None
    """What the certificate is for; None: no detector of ours takes these bars."""
    certificate: Certificate | None = None
    """Of the last bars, as many as it says; None: the symbol's extremes were not known."""
    indicators: list[IndicatorEntry] = []


class InstrumentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument, and what it was made from, so that the next run need not make it again."""

    symbol: str
    instrument_id: str
    price_precision: Precision
    size_precision: Precision
    source_digest: Digest
    """sha256 of the venue's raw exchangeInfo entry, canonical."""
    values_digest: Digest
    """sha256 of the instrument's canonical values, its stamps left out."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file: path relative to the snapshot's folder, size in bytes, sha256 in hex."""

    path: str
    size: Annotated[int, Meta(ge=0, le=1 << 50)]
    sha256: Digest


class Versions(msgspec.Struct, frozen=True):
    """What wrote the snapshot."""

    warmup_job: str
    ccxt: str
    nautilus_trader: str
    pyarrow: str
    catalog_schema: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole manifest. It never holds a secret."""

    format_version: Literal[1] = FORMAT_VERSION
    created_at: Moment
    """UTC ms by the exchange's clock."""
    venue: str
    market: Market
    endpoint: str
    streams: Annotated[list[StreamEntry], Meta(min_length=1)]
    instruments: list[InstrumentEntry]
    degraded: list[str]
    """Why this is less than what was asked for; empty when it is whole."""
    content_digest: Digest
    settings_digest: str
    versions: Versions
    weight_spent: Count
    seconds: Annotated[float, Meta(ge=0)]
    files: list[FileEntry]
    digest: str = ""
    """sha256 of this manifest's canonical bytes with this field empty."""

    def age_ms(self, now_ms: int) -> int:
        """How long ago the first bar that any stream lacks has closed; ≤ 0: nothing is missing."""
        ages = []
        for stream in self.streams:
            interval = Interval.parse(stream.interval)
            missing_open_ms = stream.last_close + 1
            ages.append(now_ms - interval.next(missing_open_ms))
        return max(ages, default=0)


def seal(manifest: Manifest) -> bytes:
    """The manifest's bytes, with its own digest filled in."""
    sealed = msgspec.structs.replace(manifest, digest=_digest(manifest))
    return msgspec.json.format(msgspec.json.encode(sealed, order="sorted"), indent=2) + b"\n"


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest and check its own digest.

    Raises:
        SnapshotError: it is malformed, altered, or of a format that this version does not know.
    """
    try:
        version = msgspec.json.decode(raw, type=dict[str, object]).get("format_version")
        if version != FORMAT_VERSION:
            raise SnapshotError(
                f"the manifest's format is {version!r}, this version reads {FORMAT_VERSION}: "
                "run `warmup-job run` with the version that trades"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
        altered = manifest.digest != _digest(manifest) or raw != seal(manifest)
    except (ValueError, RecursionError) as error:  # msgspec's own, and text that is not UTF-8
        raise SnapshotError(f"the manifest is malformed: {error}") from None
    if altered:
        raise SnapshotError("the manifest was altered after it was written")
    names = [entry.path for entry in manifest.files]
    names += [f"{each.bar_type}/{each.instrument_id}" for each in manifest.streams]
    for name in names:  # whoever wrote it, it names nothing outside of its snapshot
        parts = PurePosixPath(name).parts
        if "/".join(parts) != name or name.startswith("/") or {"..", "."} & set(parts):
            raise SnapshotError(f"the manifest names {name!r}, which is no file of a snapshot")
    problems = tuple(f"the manifest {problem}" for problem in _contradictions(manifest))
    if problems:
        raise SnapshotError("; ".join(problems), problems=problems)
    return manifest


def _contradictions(manifest: Manifest) -> list[str]:
    """Where a manifest, each value of which could be, does not agree with itself."""
    problems = []
    held = Counter(each.instrument_id for each in manifest.instruments)
    streams = Counter(each.bar_type for each in manifest.streams)
    for counts in (held, streams, Counter(each.path for each in manifest.files)):
        problems += [f"names {name} twice" for name, count in counts.items() if count > 1]
    named = {(each.symbol, each.instrument_id) for each in manifest.instruments}
    named |= {(each.symbol, each.instrument_id) for each in manifest.streams}
    problems += [
        f"calls {instrument_id} the instrument of {symbol}"
        for symbol, instrument_id in sorted(named)
        if instrument_id != instrument_id_of(manifest.market, symbol)
    ]
    for stream in manifest.streams:
        if stream.interval not in INTERVAL_NAMES:
            problems.append(f"says {stream.interval!r} for an interval: Binance has none such")
            continue
        interval = Interval.parse(stream.interval)
        if stream.bar_type != bar_type_name(stream.instrument_id, interval, stream.price):
            problems.append(f"calls {stream.bar_type} the {stream.interval} bars of it")
        if stream.instrument_id not in held:
            problems.append(f"holds {stream.bar_type} without its instrument")
    return problems + _misplaced(manifest, streams, held)


def _misplaced(manifest: Manifest, streams: Iterable[str], instruments: Iterable[str]) -> list[str]:
    """Files that no stream and no instrument has, and those that have none, or several."""
    homes = Counter(PurePosixPath(each.path).parent for each in manifest.files)
    data = PurePosixPath(CATALOG) / "data"
    counts = {name: homes.pop(data / "bar" / name, 0) for name in streams}
    for name in instruments:
        own = [home for home in homes if (home.parent.parent, home.name) == (data, name)]
        counts[name] = sum(homes.pop(home) for home in own)
    problems = [f"lists {count} files for {name}" for name, count in counts.items() if count != 1]
    return problems + [f"lists a file of nobody's in {home}" for home in homes]


def read_manifest(snapshot: Path) -> Manifest:
    """Read ``<snapshot>/manifest.json``; errors as `parse_manifest`, or that it cannot be read."""
    path = snapshot / MANIFEST
    try:
        raw = read_whole(path, MAX_BYTES)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from None
    return parse_manifest(raw)


def settings_digest(settings: object) -> str:
    """sha256 over the settings that the bars depend on (plain values)."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def _digest(manifest: Manifest) -> str:
    unsigned = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(unsigned, order="sorted")).hexdigest()
