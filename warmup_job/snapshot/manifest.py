"""Read and write manifest.json: the snapshot's content, its source, and its digests."""

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
from warmup_job.market.times import YEAR_2100_MS
from warmup_job.proof.certificate import Certificate
from warmup_job.regime.detector import DetectorSettings
from warmup_job.snapshot.durable import new_file, read_regular_file
from warmup_job.snapshot.layout import CATALOG, MANIFEST

FORMAT_VERSION: Final = 1
MAX_BYTES = 16 * 1024 * 1024

# The ranges that a reader accepts. Within them the reader's arithmetic cannot fail.
Moment = Annotated[int, Meta(ge=0, lt=YEAR_2100_MS)]
"""UTC ms, from 1970 to 2100."""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Precision = Annotated[int, Meta(ge=0, le=16)]
"""Number of decimals; Nautilus supports up to 16."""
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class IndicatorEntry(msgspec.Struct, frozen=True):
    """A declared indicator, and how many bars it needs until older data no longer matters."""

    kind: str
    """The declared kind, e.g. ema or RelativeStrengthIndex."""
    period: Count
    """Bars."""
    bars_needed: Count | None
    """None: more bars than the stream has."""


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of bars. Times are UTC ms."""

    symbol: str
    """Binance's symbol, e.g. BTCUSDT."""
    instrument_id: str
    """Nautilus' id, e.g. BTCUSDT-PERP.BINANCE."""
    bar_type: str
    """Nautilus' bar type: the folder of the bars in the catalog."""
    interval: str
    """Binance's name, e.g. 1m."""
    price: Literal["last", "mark"] = "last"
    """Whether the bars are of trades or of the mark price."""
    price_precision: Precision
    """Decimals of the bars' prices."""
    size_precision: Precision
    """Decimals of the bars' volumes."""
    first_open: Moment
    """The first bar's open."""
    last_close: Moment
    """The last bar's open + interval − 1 ms, even if Binance reports an earlier close."""
    bar_count: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    """Bars in the file."""
    gaps: list[Gap]
    """Bars that Binance itself lacks between the first and the last one."""
    from_listing: bool
    """Whether the first bar is the symbol's first: no older bars exist."""
    detector: DetectorSettings | None = None
    """The detector that the certificate is for; None: no detector uses these bars."""
    certificate: Certificate | None = None
    """Covers the last ``certificate.bars`` bars; None: the symbol's lowest and highest price are
    unknown."""
    indicators: list[IndicatorEntry] = []
    """What warmup.indicators declares for this stream."""


class InstrumentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument, and the digest of its source, so that the next run can reuse it."""

    symbol: str
    """Binance's symbol."""
    instrument_id: str
    """Nautilus' id."""
    price_precision: Precision
    """Decimals of the instrument's prices."""
    size_precision: Precision
    """Decimals of the instrument's sizes."""
    source_digest: Digest
    """sha256 of the raw exchangeInfo entry in canonical JSON."""
    values_digest: Digest
    """sha256 of the instrument's canonical values without ts_event and ts_init."""


class FileEntry(msgspec.Struct, frozen=True):
    """One file: path relative to the snapshot's folder, size in bytes, sha256 in hex."""

    path: str
    """Relative to the snapshot's folder, with /."""
    size: Annotated[int, Meta(ge=0, le=1 << 50)]
    """Bytes."""
    sha256: Digest
    """Of the file's bytes."""


class Versions(msgspec.Struct, frozen=True):
    """The versions that wrote the snapshot."""

    warmup_job: str
    """This project."""
    ccxt: str
    """Of the bars' requests."""
    nautilus_trader: str
    """Of the catalog and the instruments."""
    pyarrow: str
    """Of the Parquet files."""
    catalog_schema: str
    """The schema's name; a reader refuses another one."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole manifest. It contains no secret."""

    format_version: Literal[1] = FORMAT_VERSION
    """Changes when a reader of before could not read it."""
    created_at: Moment
    """UTC ms on the exchange's clock."""
    venue: str
    """The venue file's name of the exchange, e.g. BINANCE."""
    market: Market
    """Spot or USDⓈ-M futures."""
    endpoint: str
    """The REST base URL, without credentials."""
    streams: Annotated[list[StreamEntry], Meta(min_length=1)]
    """One for each bar type."""
    instruments: list[InstrumentEntry]
    """One for each symbol."""
    degraded: list[str]
    """Why the snapshot has less than the configuration asks for; empty if it is complete."""
    content_digest: Digest
    """Of the values of all bars and instruments, whatever bytes the files have."""
    settings_digest: str
    """Of the settings that the bars depend on: streams, numbers of bars, detector."""
    versions: Versions
    weight_spent: Count
    """Request weight of the run."""
    seconds: Annotated[float, Meta(ge=0)]
    """Duration of the run, s."""
    files: list[FileEntry]
    """Every file but the manifest."""
    digest: str = ""
    """sha256 of this manifest's canonical bytes with this field empty."""

    def age_ms(self, now_ms: int) -> int:
        """Return how long ago the first missing bar of any stream closed, in ms.

        0 or less means that no bar is missing.
        """
        ages = []
        for stream in self.streams:
            interval = Interval.parse(stream.interval)
            missing_open_ms = stream.last_close + 1
            ages.append(now_ms - interval.next(missing_open_ms))
        return max(ages, default=0)


def seal(manifest: Manifest) -> bytes:
    """Return the manifest's bytes with its own digest filled in."""
    sealed = msgspec.structs.replace(manifest, digest=_digest(manifest))
    return msgspec.json.format(msgspec.json.encode(sealed, order="sorted"), indent=2) + b"\n"


def parse_manifest(raw: bytes) -> Manifest:
    """Decode a manifest, check its own digest, and check that it does not contradict itself.

    Raises:
        SnapshotError: The manifest is malformed, altered, contradictory, or of another format.
    """
    try:
        version = msgspec.json.decode(raw, type=dict[str, object]).get("format_version")
        if version != FORMAT_VERSION:
            raise SnapshotError(
                f"the manifest has format {version!r}, and this version reads {FORMAT_VERSION}: "
                "run `warmup-job run` with the trader's version"
            )
        manifest = msgspec.json.decode(raw, type=Manifest)
        altered = manifest.digest != _digest(manifest) or raw != seal(manifest)
    except (ValueError, RecursionError) as error:  # msgspec's errors, and text that is not UTF-8
        raise SnapshotError(f"the manifest is malformed: {error}") from None
    if altered:
        raise SnapshotError("checksum of the manifest failed: it was altered after it was written")
    names = [entry.path for entry in manifest.files]
    names += [f"{each.bar_type}/{each.instrument_id}" for each in manifest.streams]
    for name in names:  # no path may lead out of the snapshot
        parts = PurePosixPath(name).parts
        if "/".join(parts) != name or name.startswith("/") or {"..", "."} & set(parts):
            raise SnapshotError(f"the manifest lists {name!r}, which is no path inside a snapshot")
    problems = tuple(f"the manifest {problem}" for problem in _contradictions(manifest))
    if problems:
        raise SnapshotError("; ".join(problems), problems=problems)
    return manifest


def _contradictions(manifest: Manifest) -> list[str]:
    """Return where the manifest contradicts itself, although each value is in its range."""
    problems = []
    instruments = Counter(each.instrument_id for each in manifest.instruments)
    streams = Counter(each.bar_type for each in manifest.streams)
    for counts in (instruments, streams, Counter(each.path for each in manifest.files)):
        problems += [f"lists {name} twice" for name, count in counts.items() if count > 1]
    named = {(each.symbol, each.instrument_id) for each in manifest.instruments}
    named |= {(each.symbol, each.instrument_id) for each in manifest.streams}
    problems += [
        f"calls {instrument_id} the instrument of {symbol}"
        for symbol, instrument_id in sorted(named)
        if instrument_id != instrument_id_of(manifest.market, symbol)
    ]
    for stream in manifest.streams:
        if stream.interval not in INTERVAL_NAMES:
            problems.append(f"has the interval {stream.interval!r}, which Binance does not offer")
            continue
        interval = Interval.parse(stream.interval)
        if stream.bar_type != bar_type_name(stream.instrument_id, interval, stream.price):
            problems.append(
                f"calls the {stream.interval} bars of {stream.symbol} {stream.bar_type}"
            )
        if stream.instrument_id not in instruments:
            problems.append(f"lists {stream.bar_type} without its instrument")
    return problems + _file_contradictions(manifest, streams, instruments)


def _file_contradictions(
    manifest: Manifest, streams: Iterable[str], instruments: Iterable[str]
) -> list[str]:
    """Return streams and instruments that do not have exactly one file, and files of neither."""
    homes = Counter(PurePosixPath(each.path).parent for each in manifest.files)
    data = PurePosixPath(CATALOG) / "data"
    counts = {name: homes.pop(data / "bar" / name, 0) for name in streams}
    for name in instruments:
        own = [home for home in homes if (home.parent.parent, home.name) == (data, name)]
        counts[name] = sum(homes.pop(home) for home in own)
    problems = [f"lists {count} files for {name}" for name, count in counts.items() if count != 1]
    return problems + [
        f"lists a file in {home}, which belongs to no stream and no instrument" for home in homes
    ]


def write_manifest(snapshot: Path, manifest: Manifest) -> None:
    """Write ``<snapshot>/manifest.json`` with its own digest filled in, and fsync it."""
    with new_file(snapshot / MANIFEST) as file:
        file.write(seal(manifest))


def read_manifest(snapshot: Path) -> Manifest:
    """Read and check ``<snapshot>/manifest.json``.

    Raises:
        SnapshotError: The file cannot be read, or `parse_manifest` rejects it.
    """
    path = snapshot / MANIFEST
    try:
        raw = read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from None
    return parse_manifest(raw)


def settings_digest(settings: object) -> str:
    """Return the sha256, in hex, of the settings that the bars depend on (plain values)."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def _digest(manifest: Manifest) -> str:
    unsigned = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(unsigned, order="sorted")).hexdigest()
