"""manifest.json: what a snapshot holds, from where, and the digests that vouch for it."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import msgspec

from warmup_job.errors import SnapshotError
from warmup_job.market.gaps import Gap
from warmup_job.market.interval import Interval
from warmup_job.regime.detector import DetectorSettings
from warmup_job.regime.verdict import Certificate
from warmup_job.snapshot.durable import read_whole

FORMAT_VERSION: Final = 1
MAX_BYTES = 16 * 1024 * 1024


class IndicatorEntry(msgspec.Struct, frozen=True):
    """A declared indicator: how many bars it takes until what was before them is forgotten."""

    kind: str
    period: int
    bars_needed: int | None
    """None: more than there are."""


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Times are UTC ms of the bars' opens and closes."""

    symbol: str
    instrument_id: str
    bar_type: str
    interval: str
    price: Literal["last", "mark"] = "last"
    price_precision: int
    size_precision: int
    first_open: int
    last_close: int
    """The last bar's regular close: its open + interval − 1 ms, whatever the venue says."""
    bar_count: int
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
    price_precision: int
    size_precision: int
    source_digest: str
    """sha256 of the venue's raw exchangeInfo entry, canonical."""
    values_digest: str
    """sha256 of the instrument's canonical values, its stamps left out."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file: path relative to the snapshot's folder, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


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
    created_at: int
    """UTC ms by the exchange's clock."""
    venue: str
    market: str
    endpoint: str
    streams: list[StreamEntry]
    instruments: list[InstrumentEntry]
    degraded: list[str]
    """Why this is less than what was asked for; empty when it is whole."""
    content_digest: str
    settings_digest: str
    versions: Versions
    weight_spent: int
    seconds: float
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
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise SnapshotError(f"the manifest is malformed: {error}") from None
    if manifest.digest != _digest(manifest) or raw != seal(manifest):
        raise SnapshotError("the manifest was altered after it was written")
    names = [entry.path for entry in manifest.files]
    names += [f"{each.bar_type}/{each.instrument_id}" for each in manifest.streams]
    for name in names:  # whoever wrote it, it names nothing outside of its snapshot
        parts = PurePosixPath(name).parts
        if "/".join(parts) != name or name.startswith("/") or {"..", "."} & set(parts):
            raise SnapshotError(f"the manifest names {name!r}, which is no file of a snapshot")
    return manifest


def read_manifest(snapshot: Path) -> Manifest:
    """Read ``<snapshot>/manifest.json``; errors as `parse_manifest`, or that it cannot be read."""
    path = snapshot / "manifest.json"
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
