"""Verify a snapshot and report every problem at once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from warmup_job.catalog.packed_bars import BarSeries, PackedInstrument, float_columns
from warmup_job.catalog.stored_bars import StoredBars, read_instrument
from warmup_job.errors import SnapshotError
from warmup_job.market.interval import Interval
from warmup_job.market.rows import Gap
from warmup_job.market.stream_id import StreamId
from warmup_job.market.times import duration_text, utc_text
from warmup_job.proof.certificate import Certificate
from warmup_job.snapshot.layout import CATALOG, MANIFEST, resolve_current
from warmup_job.snapshot.manifest import (
    FileEntry,
    InstrumentEntry,
    Manifest,
    StreamEntry,
    read_manifest,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One resolved snapshot; publishing a newer one does not change it.

    It reads each file of the catalog once and keeps the content, unless the bars are too many.
    """

    folder: Path
    manifest: Manifest
    _stored: dict[str, StoredBars] = field(default_factory=dict, repr=False, compare=False)
    _instruments: dict[str, PackedInstrument] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def catalog(self) -> Path:
        """The folder of the Nautilus catalog."""
        return self.folder / CATALOG

    def instrument(self, entry: InstrumentEntry) -> PackedInstrument | None:
        """Read an instrument; return None if its file is altered or contradicts the manifest."""
        try:
            return _read_instrument(self, entry)
        except (OSError, SnapshotError):
            return None

    def stream(self, stream: StreamId) -> StreamEntry | None:
        """Return the manifest's entry of a stream, or None."""
        wanted = (stream.symbol, stream.interval.name, stream.price)
        for entry in self.manifest.streams:
            if (entry.symbol, entry.interval, entry.price) == wanted:
                return entry
        return None

    def stored(self, entry: StreamEntry) -> StoredBars:
        """Open the files of a stream's bars.

        Raises:
            SnapshotError: a file cannot be decoded.
            OSError: a file cannot be read.
        """
        if entry.bar_type not in self._stored:
            self._stored[entry.bar_type] = StoredBars(self.catalog, entry.bar_type)
        return self._stored[entry.bar_type]

    def bars(self, entry: StreamEntry) -> BarSeries:
        """Return a stream's bars; raises as `stored` does, also when they are loaded later."""
        return self.stored(entry).series(Interval.parse(entry.interval))


def open_snapshot(root: str | Path) -> Snapshot:
    """Resolve ``<root>/current`` once and read its manifest.

    It checks the manifest only; `verify` and `find_problems` check everything.

    Args:
        root: The snapshot volume.

    Returns:
        The snapshot that is current now.

    Raises:
        SnapshotError: There is no snapshot, or its manifest is invalid.
    """
    folder = resolve_current(Path(root))
    return Snapshot(folder, read_manifest(folder))


class Requirements(msgspec.Struct, frozen=True):
    """What a reader requires of a snapshot; None or empty: no requirement."""

    endpoint: str | None = None
    """The REST base URL that the bars must come from."""
    bars: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Minimum number of bars by bar type; a stream that starts at its listing may have fewer."""
    certified: Collection[str] = ()
    """Bar types that must have a certificate, proven or not."""
    settings_digest: str | None = None
    """Digest of the settings that the bars depend on."""
    nautilus_trader: str | None = None
    catalog_schema: str | None = None
    """Versions of the reader's Nautilus; see `Versions`."""


def find_problems(
    snapshot: Snapshot,
    *,
    now_ms: int | None = None,
    max_age_ms: int | None = None,
    requirements: Requirements | None = None,
    clock_error_ms: int = 600_000,
) -> list[str]:
    """Return everything that is wrong with a snapshot, one line each; empty if it is valid.

    Checks the sha256 of every file, then decodes the files and validates every row.

    Args:
        snapshot: The snapshot.
        now_ms: UTC ms; None: the age is not checked.
        max_age_ms: How long ago the first missing bar may have closed; None: any age.
        requirements: What the reader requires.
        clock_error_ms: How far ``now_ms`` may be behind the exchange's clock.

    Returns:
        The problems, in the order in which they were found.
    """
    try:
        problems = _file_problems(snapshot)
        if not problems:  # do not decode a catalog with altered files
            problems = _content_problems(snapshot)
    except OSError as error:
        problems = [
            f"{error.filename or snapshot.folder} cannot be read: {error.strerror or error}"
        ]
    if requirements is not None:
        problems += _unmet(snapshot.manifest, requirements)
    if now_ms is not None:
        problems += _time_problems(snapshot.manifest, now_ms, max_age_ms, clock_error_ms)
    return problems


def verify(
    root: str | Path,
    *,
    now_ms: int,
    max_age_ms: int | None = None,
    requirements: Requirements | None = None,
    clock_error_ms: int = 600_000,
) -> Snapshot:
    """Open the current snapshot and verify it, as ``warmup-job verify`` does.

    Args:
        root: The snapshot volume.
        now_ms: UTC ms; ``time.time_ns() // 1_000_000`` if this machine's clock is right.
        max_age_ms: How long ago the first missing bar may have closed; None: any age.
        requirements: What the reader requires; `WarmupPlan.snapshot_requirements` has what a
            configuration requires.
        clock_error_ms: How far ``now_ms`` may be behind the exchange's clock.

    Returns:
        The verified snapshot; publishing a newer one does not change it.

    Raises:
        SnapshotError: It has every problem that was found.
    """
    snapshot = open_snapshot(root)
    problems = find_problems(
        snapshot,
        now_ms=now_ms,
        max_age_ms=max_age_ms,
        requirements=requirements,
        clock_error_ms=clock_error_ms,
    )
    if problems:
        raise SnapshotError(
            f"the snapshot {snapshot.folder.name} cannot be used: {'; '.join(problems)}",
            problems=tuple(problems),
        )
    return snapshot


def _time_problems(
    manifest: Manifest, now_ms: int, max_age_ms: int | None, clock_error_ms: int
) -> list[str]:
    problems = [
        f"{stream.bar_type} ends in the future, at {utc_text(stream.last_close)}: check the clocks"
        for stream in manifest.streams
        if stream.last_close > now_ms + clock_error_ms
    ]
    age_ms = manifest.age_ms(now_ms)
    if max_age_ms is not None and age_ms > max_age_ms:
        problems.append(
            f"it is stale: the first missing bar closed {duration_text(age_ms)} ago; the limit is "
            f"{duration_text(max_age_ms)}"
        )
    return problems


def _unmet(manifest: Manifest, requirements: Requirements) -> list[str]:
    problems = []
    streams = {stream.bar_type: stream for stream in manifest.streams}
    if requirements.endpoint not in {None, manifest.endpoint}:
        problems.append(f"it was made from {manifest.endpoint}, not from {requirements.endpoint}")
    for bar_type, bars in requirements.bars.items():
        stream = streams.get(bar_type)
        if stream is None:
            problems.append(
                f"it was made for other streams: it has no {bar_type}; it has "
                f"{', '.join(sorted(streams))}"
            )
        elif stream.bar_count < bars and not stream.from_listing:
            problems.append(f"{bar_type} has {stream.bar_count} bars; {bars} are needed")
        elif bar_type in requirements.certified and stream.certificate is None:
            problems.append(f"{bar_type} has no certificate")
    if requirements.settings_digest not in {None, manifest.settings_digest}:
        problems.append(
            "it was made with other settings of the streams or of the detector: run "
            "`warmup-job run` with the trader's configuration"
        )
    for name in ("nautilus_trader", "catalog_schema"):
        reader, writer = getattr(requirements, name), getattr(manifest.versions, name)
        if reader not in {None, writer}:
            problems.append(
                f"it was written by {name} {writer}, and this is {reader}: use one image for both"
            )
    return problems


def _file_problems(snapshot: Snapshot) -> list[str]:
    listed = {entry.path: entry for entry in snapshot.manifest.files}
    found = {
        path.relative_to(snapshot.folder).as_posix(): path
        for path in snapshot.folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    found.pop(MANIFEST, None)
    problems = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
    problems += [
        f"{name} is not listed in the manifest" for name in sorted(found.keys() - listed.keys())
    ]
    for name in sorted(listed.keys() & found.keys()):
        problem = _file_problem(listed[name], found[name])
        if problem is not None:
            problems.append(problem)
    return problems


def _file_problem(entry: FileEntry, path: Path) -> str | None:
    try:
        if path.is_symlink():
            return f"{entry.path} is a symbolic link, not a file"
        size = path.stat().st_size
        if size != entry.size:
            return f"{entry.path} has {size} bytes, not {entry.size}"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{entry.path} cannot be read: {error.strerror}"
    return None if digest == entry.sha256 else f"checksum of {entry.path} failed: it was altered"


def _content_problems(snapshot: Snapshot) -> list[str]:
    """Decode the files and compare them with the manifest."""
    problems = []
    for entry in snapshot.manifest.instruments:
        try:
            _read_instrument(snapshot, entry)
        except SnapshotError as error:
            problems.append(f"{entry.instrument_id}: {error}")
    for stream in snapshot.manifest.streams:
        try:
            found = _stream_problems(snapshot, stream)
        except SnapshotError as error:
            found = [str(error)]
        problems += [f"{stream.bar_type}: {problem}" for problem in found]
    return problems


def _read_instrument(snapshot: Snapshot, entry: InstrumentEntry) -> PackedInstrument:
    from warmup_job.catalog.audit import ExpectedInstrument, instrument_problem, snapshot_errors

    if entry.instrument_id in snapshot._instruments:
        return snapshot._instruments[entry.instrument_id]
    for file in snapshot.manifest.files:
        place = PurePosixPath(file.path)
        if place.parts[:2] == (CATALOG, "data") and place.parts[3] == entry.instrument_id:
            break
    else:
        raise SnapshotError("the manifest lists no file for it")
    path = snapshot.folder / file.path
    problem = _file_problem(file, path)
    if problem is None:
        packed = read_instrument(path)
        expected = ExpectedInstrument(
            entry.symbol, entry.instrument_id, entry.price_precision, entry.size_precision
        )
        with snapshot_errors(path):
            problem = instrument_problem(packed.table, place.parts[2], expected)
    if problem is not None:
        raise SnapshotError(problem)
    snapshot._instruments[entry.instrument_id] = packed
    return packed


def _stream_problems(snapshot: Snapshot, stream: StreamEntry) -> list[str]:
    """Compare the catalog's rows with the manifest, one row group at a time."""
    import numpy as np

    from warmup_job.catalog.audit import gaps_of, opens_of, row_problem

    stored = snapshot.stored(stream)
    interval = Interval.parse(stream.interval)
    if stored.rows != stream.bar_count:
        return [f"{stored.rows} bars, the manifest says {stream.bar_count}"]
    problems = stored.schema_problems(
        bar_type=stream.bar_type,
        instrument_id=stream.instrument_id,
        price_precision=stream.price_precision,
        size_precision=stream.size_precision,
    )
    if problems:
        return problems
    opens = []
    for table in stored.tables():
        found = opens_of(table, interval)
        problem = row_problem(table, stream.price_precision, stream.size_precision)
        if isinstance(found, str) or problem is not None:
            return [each for each in (found, problem) if isinstance(each, str)]
        opens.append(found)
    opens_ms = np.concatenate(opens)
    listed = (stream.first_open, stream.last_close)
    stored_span = (int(opens_ms[0]), interval.close_ms(int(opens_ms[-1])))
    if stored_span != listed:
        problems.append(
            f"from {utc_text(stored_span[0])} to {utc_text(stored_span[1])}, the manifest says "
            f"from {utc_text(listed[0])} to {utc_text(listed[1])}"
        )
    gaps = gaps_of(opens_ms, interval)
    if isinstance(gaps, str):
        return [*problems, gaps]
    problems += _gap_problems(gaps, stream.gaps, interval.next(int(opens_ms[-1])))
    certificate = stream.certificate
    if certificate is not None and _certify(snapshot, stream, certificate) != certificate:
        problems.append("its certificate does not match its bars")
    return problems


def _gap_problems(found: list[Gap], listed: list[Gap], next_ms: int) -> list[str]:
    """Return gaps that the manifest does not list, and listed gaps that do not exist.

    A listed gap right after the last bar, at ``next_ms``, cannot be seen in the bars.
    """
    unlisted = [gap for gap in found if gap not in listed]
    absent = [gap for gap in listed if gap not in found and gap.first_ms != next_ms]
    if unlisted:
        return [f"a gap at {utc_text(unlisted[0].first_ms)} that the manifest does not list"]
    if absent or len(listed) > len(found) + 1:
        return ["the manifest lists gaps that do not exist"]
    return []


def _certify(snapshot: Snapshot, stream: StreamEntry, listed: Certificate) -> Certificate | None:
    """Compute the certificate of the stored bars, with the price bounds of the listed one."""
    from warmup_job.proof.certify import certify
    from warmup_job.proof.evidence import Evidence
    from warmup_job.proof.window import Bounds, Window

    if listed.bars > stream.bar_count or stream.detector is None:
        return None
    bars = snapshot.bars(stream).last(listed.bars)
    try:
        window = Window.of(*float_columns(bars.tables(), ("high", "low", "close")))
        evidence = Evidence.of(stream.detector, window)
        bounds = Bounds(listed.lowest, listed.highest)
        return certify(evidence, bounds, from_listing=listed.exact and stream.from_listing)
    except (ValueError, ArithmeticError):  # impossible values have no certificate
        return None
