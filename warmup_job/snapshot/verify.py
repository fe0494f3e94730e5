"""Verify a snapshot: every problem at once, or a snapshot that can be trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from warmup_job.catalog.packed_bars import PackedInstrument, floats, join
from warmup_job.catalog.stored_bars import StoredBars, read_instrument
from warmup_job.errors import SnapshotError
from warmup_job.market.interval import Interval
from warmup_job.market.rows import Gap
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
    """One resolved snapshot: its folder stays the same when a newer one is published."""

    folder: Path
    manifest: Manifest

    @property
    def catalog(self) -> Path:
        """The Nautilus catalog's folder."""
        return self.folder / CATALOG

    def instrument(self, said: InstrumentEntry) -> PackedInstrument | None:
        """That instrument, if its file is as it was written and holds what the manifest says."""
        try:
            return _read_instrument(self, said)
        except (OSError, SnapshotError):
            return None

    def stream(self, symbol: str, interval: str, price: str = "last") -> StreamEntry | None:
        """The entry of that stream, or None."""
        for entry in self.manifest.streams:
            if (entry.symbol, entry.interval, entry.price) == (symbol, interval, price):
                return entry
        return None


def open_snapshot(root: Path) -> Snapshot:
    """Resolve ``<root>/current`` once and read its manifest.

    Raises:
        SnapshotError: there is none, or its manifest is not to be trusted.
    """
    folder = resolve_current(root)
    return Snapshot(folder, read_manifest(folder))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks of a snapshot; what is left out may be anything."""

    endpoint: str | None = None
    """The REST base that it must come from."""
    bars: Mapping[str, int] = field(default_factory=dict)
    """By bar type, how many bars are needed; fewer will do if they are all that there are."""
    certified: Collection[str] = ()
    """The bar types that must have a certificate, be it of what is not proven."""
    settings_digest: str | None = None
    """Of the settings that the bars depend on."""
    nautilus_trader: str | None = None
    catalog_schema: str | None = None
    """What the reader's Nautilus is; see `Versions`."""


def find_problems(
    snapshot: Snapshot,
    *,
    now_ms: int | None = None,
    max_age_ms: int | None = None,
    wanted: Wanted | None = None,
    clock_doubt_ms: int = 600_000,
) -> list[str]:
    """Everything that is wrong with a snapshot, one line each; empty: it can be trusted.

    Files are held against their digests, and then decoded: every row of every stream is looked at.

    Args:
        now_ms: UTC ms; None: its age is of no matter.
        max_age_ms: how long ago the first bar that it lacks may have closed; None: any age.
        wanted: what is asked of it.
        clock_doubt_ms: how far ``now_ms`` may be behind the exchange's clock.
    """
    try:
        problems = _file_problems(snapshot)
        if not problems:  # a catalog with altered files is not worth reading
            problems = _content_problems(snapshot)
    except OSError as error:
        problems = [
            f"{error.filename or snapshot.folder} cannot be read: {error.strerror or error}"
        ]
    if wanted is not None:
        problems += _unfit(snapshot.manifest, wanted)
    if now_ms is not None:
        problems += _time_problems(snapshot.manifest, now_ms, max_age_ms, clock_doubt_ms)
    return problems


def verify(
    root: Path,
    *,
    now_ms: int,
    max_age_ms: int | None = None,
    wanted: Wanted | None = None,
    clock_doubt_ms: int = 600_000,
) -> Snapshot:
    """Open the current snapshot and trust it only if nothing is wrong with it.

    Raises:
        SnapshotError: with every problem that was found.
    """
    snapshot = open_snapshot(root)
    problems = find_problems(
        snapshot,
        now_ms=now_ms,
        max_age_ms=max_age_ms,
        wanted=wanted,
        clock_doubt_ms=clock_doubt_ms,
    )
    if problems:
        raise SnapshotError(
            f"the snapshot {snapshot.folder.name} cannot be used: {'; '.join(problems)}",
            problems=tuple(problems),
        )
    return snapshot


def _time_problems(
    manifest: Manifest, now_ms: int, max_age_ms: int | None, clock_doubt_ms: int
) -> list[str]:
    problems = [
        f"{stream.bar_type} ends in the future, at {utc_text(stream.last_close)}"
        for stream in manifest.streams
        if stream.last_close > now_ms + clock_doubt_ms
    ]
    age_ms = manifest.age_ms(now_ms)
    if max_age_ms is not None and age_ms > max_age_ms:
        problems.append(
            f"it is stale: bars are missing since {duration_text(age_ms)} ago, allowed are "
            f"{duration_text(max_age_ms)}"
        )
    return problems


def _unfit(manifest: Manifest, wanted: Wanted) -> list[str]:
    """Why a snapshot, whole as it may be, was made for something else."""
    problems = []
    held = {stream.bar_type: stream for stream in manifest.streams}
    if wanted.endpoint not in {None, manifest.endpoint}:
        problems.append(f"it was made from {manifest.endpoint}, not from {wanted.endpoint}")
    for bar_type, bars in wanted.bars.items():
        stream = held.get(bar_type)
        if stream is None:
            problems.append(
                f"it was made for something else: it holds no {bar_type}, but "
                f"{', '.join(sorted(held))}"
            )
        elif stream.bar_count < bars and not stream.from_listing:
            problems.append(f"{bar_type}: {stream.bar_count} bars, {bars} are needed")
        elif bar_type in wanted.certified and stream.certificate is None:
            problems.append(f"{bar_type} has no certificate")
    if wanted.settings_digest not in {None, manifest.settings_digest}:
        problems.append(
            "it was made with other settings of the streams or of the detector: run "
            "`warmup-job run` with the configuration that trades"
        )
    for name in ("nautilus_trader", "catalog_schema"):
        here, there = getattr(wanted, name), getattr(manifest.versions, name)
        if here not in {None, there}:
            problems.append(f"it was written by {name} {there}, here is {here}: use one image")
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
    problems += [f"{name} does not belong there" for name in sorted(found.keys() - listed.keys())]
    for name in sorted(listed.keys() & found.keys()):
        problem = _file_problem(listed[name], found[name])
        if problem is not None:
            problems.append(problem)
    return problems


def _file_problem(entry: FileEntry, path: Path) -> str | None:
    try:
        if path.is_symlink():
            return f"{entry.path} is a link, not a file"
        size = path.stat().st_size
        if size != entry.size:
            return f"{entry.path} has {size} bytes, not {entry.size}"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{entry.path} cannot be read: {error.strerror}"
    return None if digest == entry.sha256 else f"{entry.path} was altered: its sha256 is another"


def _content_problems(snapshot: Snapshot) -> list[str]:
    """Decode what the digests vouch for, and hold it against what the manifest says of it."""
    problems = []
    for said in snapshot.manifest.instruments:
        try:
            _read_instrument(snapshot, said)
        except SnapshotError as error:
            problems.append(f"{said.instrument_id}: {error}")
    for stream in snapshot.manifest.streams:
        try:
            found = _stream_problems(snapshot, stream)
        except SnapshotError as error:
            found = [str(error)]
        problems += [f"{stream.bar_type}: {problem}" for problem in found]
    return problems


def _read_instrument(snapshot: Snapshot, said: InstrumentEntry) -> PackedInstrument:
    from warmup_job.catalog.audit import Instrument, decoding, instrument_problem

    for entry in snapshot.manifest.files:
        place = PurePosixPath(entry.path)
        if place.parts[:2] == (CATALOG, "data") and place.parts[3] == said.instrument_id:
            break
    else:
        raise SnapshotError("the manifest lists no file of it")
    path = snapshot.folder / entry.path
    problem = _file_problem(entry, path)
    if problem is None:
        packed = read_instrument(path)
        known = Instrument(
            said.symbol, said.instrument_id, said.price_precision, said.size_precision
        )
        with decoding(path):
            problem = instrument_problem(packed.table, place.parts[2], known)
    if problem is not None:
        raise SnapshotError(problem)
    return packed


def _stream_problems(snapshot: Snapshot, stream: StreamEntry) -> list[str]:
    """Hold the catalog's rows against what the manifest says of them, a row group at a time."""
    import numpy as np

    from warmup_job.catalog.audit import gaps_of, opens_of, row_problem

    stored, interval = (
        StoredBars(snapshot.catalog, stream.bar_type),
        Interval.parse(stream.interval),
    )
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
    said = (stream.first_open, stream.last_close)
    held = (int(opens_ms[0]), interval.close_ms(int(opens_ms[-1])))
    if held != said:
        problems.append(
            f"from {utc_text(held[0])} to {utc_text(held[1])}, the manifest says from "
            f"{utc_text(said[0])} to {utc_text(said[1])}"
        )
    gaps = gaps_of(opens_ms, interval)
    if isinstance(gaps, str):
        return [*problems, gaps]
    problems += _gap_problems(gaps, stream.gaps, interval.next(int(opens_ms[-1])))
    certificate = stream.certificate
    if certificate is not None and _certify(stream, stored, certificate) != certificate:
        problems.append("its certificate is not that of its bars")
    return problems


def _gap_problems(held: list[Gap], said: list[Gap], next_ms: int) -> list[str]:
    """Holes that are not on record, and recorded ones that are not there.

    After the last bar, at ``next_ms``, a gap can be on record that nothing shows.
    """
    unsaid = [gap for gap in held if gap not in said]
    untrue = [gap for gap in said if gap not in held and gap.first_ms != next_ms]
    if unsaid:
        return [f"a hole at {utc_text(unsaid[0].first_ms)}"]
    if untrue or len(said) > len(held) + 1:
        return ["the manifest names holes that are not there"]
    return []


def _certify(stream: StreamEntry, stored: StoredBars, said: Certificate) -> Certificate | None:
    """The certificate of the bars that lie there, with the bounds of the one that was said."""
    from warmup_job.proof.certify import certify
    from warmup_job.proof.evidence import Evidence
    from warmup_job.proof.window import Bounds, Window

    if said.bars > stream.bar_count or stream.detector is None:
        return None
    series = join(stored.parts(said.bars), said.bars)
    try:
        window = Window.of(*(floats(series, name) for name in ("high", "low", "close")))
        evidence = Evidence.of(stream.detector, window)
        bounds = Bounds(said.lowest, said.highest)
        return certify(evidence, bounds, from_listing=said.exact and stream.from_listing)
    except (ValueError, ArithmeticError):  # of what cannot be: there is no certificate of that
        return None
