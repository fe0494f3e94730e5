"""Publish and verify on a real folder: what a reader sees after any failure of the writer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.snapshots import (
    BAR_TYPE,
    ENDPOINT,
    MINUTE_MS,
    START,
    bars,
    hold,
    make,
)
from warmup_job.catalog import packed_bars as arrow
from warmup_job.errors import SnapshotError, VolumeError
from warmup_job.snapshot.layout import snapshot_id
from warmup_job.snapshot.manifest import (
    FileEntry,
    seal,
)
from warmup_job.snapshot.publish import (
    clear_staging,
    prepare_volume,
    publish,
    snapshots_to_prune,
)
from warmup_job.snapshot.rate_limits import limited_until_ms, record_limit
from warmup_job.snapshot.verify import Requirements, find_problems, open_snapshot, verify


def problems(root: Path, **options: Any) -> list[str]:
    end = START + 11 * MINUTE_MS
    settings = {"now_ms": end, "max_age_ms": None} | options
    return find_problems(open_snapshot(root), **settings)


def test_snapshot_published_is_complete_and_current(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert (tmp_path / "current").readlink() == Path("snapshots") / made.id
    assert problems(tmp_path) == []
    assert list((tmp_path / ".staging").iterdir()) == []
    manifest = json.loads((made.folder / "manifest.json").read_text())
    listed = {entry["path"] for entry in manifest["files"]}
    there = {
        str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_file()
    }
    assert there == listed | {"manifest.json"}


def test_snapshot_pruning_keeps_the_newest_and_the_current_one(tmp_path: Path) -> None:
    made = [make(tmp_path, 5 + n, at_s=1000 * n, keep=2) for n in range(5)]
    kept = sorted(path.name for path in (tmp_path / "snapshots").iterdir())
    assert kept == [made[3].id, made[4].id]
    older = make(tmp_path, 30, at_s=-100, keep=2)  # a clock that was set back
    assert (tmp_path / "current").resolve() == older.folder.resolve()
    assert older.folder.is_dir()


def test_snapshot_can_be_read_and_pruned_by_the_group(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    make(root)
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            assert oct(path.stat().st_mode & 0o777) == ("0o775" if path.is_dir() else "0o664"), path


def test_snapshot_failed_write_keeps_the_existing_one(tmp_path: Path) -> None:
    first = make(tmp_path)

    def fail(create: arrow.Create) -> None:
        with create("half") as file:
            file.write(b"half a file")
        raise OSError(28, "No space left on device", "half")

    lease = hold(tmp_path)
    with pytest.raises(VolumeError, match="No space left"):
        publish(lease, msgspec.structs.replace(first.manifest, created_at=START + 9000), fail, 3)
    assert (tmp_path / "current").resolve() == first.folder.resolve()
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [first.id]
    assert list((tmp_path / ".staging").iterdir()) == []
    assert problems(tmp_path) == []


def test_snapshot_directory_in_the_place_of_the_link_is_reported_first(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    with pytest.raises(VolumeError, match="is not a symbolic link"):
        prepare_volume(tmp_path)
    assert not (tmp_path / "snapshots").exists()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bar_count": 11}, "10 bars, the manifest says 11"),
        ({"first_open": START - MINUTE_MS}, "the manifest says from"),
        ({"last_close": START + 11 * MINUTE_MS - 1}, "the manifest says from"),
    ],
)
def test_snapshot_catalog_that_differs_from_the_manifest_is_refused(
    tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    make(tmp_path, **changes)
    assert any(word in problem for problem in problems(tmp_path))


def test_snapshot_gap_must_be_in_the_manifest(tmp_path: Path) -> None:
    holed = bars(12, frozenset({4, 5}))
    make(tmp_path / "a", 12, packed=holed, bar_count=10)
    assert any("a gap at" in problem for problem in problems(tmp_path / "a"))
    gap = [START + 4 * MINUTE_MS, START + 5 * MINUTE_MS, 2]
    make(tmp_path / "b", 12, packed=holed, bar_count=10, gaps=[gap])
    assert problems(tmp_path / "b") == []


def test_snapshot_reports_every_problem_at_once(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.folder / "stray.parquet").write_bytes(b"PAR1")
    (parquet,) = (made.folder / "catalog/data/bar").rglob("*.parquet")
    parquet.write_bytes(b"PAR1")
    found = problems(
        tmp_path,
        max_age_ms=1,
        requirements=Requirements(endpoint="https://elsewhere"),
        now_ms=START + 10**8,
    )
    words = ("not listed", "bytes, not", "not from https://elsewhere", "stale")
    assert all(any(word in problem for problem in found) for word in words)
    with pytest.raises(SnapshotError) as failed:
        verify(
            tmp_path,
            now_ms=START + 10**8,
            max_age_ms=1,
            requirements=Requirements(endpoint="https://elsewhere"),
        )
    assert failed.value.problems == tuple(found)


def test_snapshot_file_replaced_by_a_link_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    (parquet,) = (made.folder / "catalog/data/bar").rglob("*.parquet")
    moved = tmp_path / "elsewhere.parquet"
    parquet.rename(moved)
    parquet.symlink_to(moved)
    assert any("is a symbolic link" in problem for problem in problems(tmp_path))


def test_snapshot_of_the_future_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    found = problems(tmp_path, now_ms=START, clock_error_ms=5_000)
    assert any("ends in the future" in problem for problem in found)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format_version=2),
        lambda m: m["streams"][0].update(bar_count=3),
        lambda m: m["streams"][0].update(symbol="ETHUSDT"),
        lambda m: m.update(digest="0" * 64),
        lambda m: m.pop("files"),
        lambda m: m.update(more=1),
    ],
)
def test_snapshot_altered_manifest_is_refused(tmp_path: Path, change: Any) -> None:
    made = make(tmp_path)
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(SnapshotError):
        open_snapshot(tmp_path)


def test_snapshot_every_flipped_byte_is_found(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert (made.folder / "manifest.json").read_bytes() == seal(made.manifest)
    files = [path for path in made.folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        raw = path.read_bytes()
        long = "crypto_perpetual" in path.parts  # its digest detects them, like those of the bars
        for position in range(0, len(raw), 17 if long else 1):
            path.write_bytes(raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :])
            with pytest.raises(SnapshotError):
                verify(tmp_path, now_ms=START + 11 * MINUTE_MS)
        path.write_bytes(raw)
    verify(tmp_path, now_ms=START + 11 * MINUTE_MS)


@pytest.mark.parametrize(
    ("requirements", "word"),
    [
        (Requirements(bars={BAR_TYPE: 11}), "10 bars; 11 are needed"),
        (Requirements(bars={BAR_TYPE.replace("BTC", "ETH"): 5}), "it has no ETHUSDT-PERP"),
        (Requirements(bars={BAR_TYPE.replace("1-MINUTE", "1-HOUR"): 5}), "made for other streams"),
        (Requirements(bars={BAR_TYPE: 5}, certified=[BAR_TYPE]), "has no certificate"),
        (Requirements(settings_digest="b" * 64), "other settings"),
        (Requirements(nautilus_trader="2.0.0"), "by nautilus_trader 3, and this is 2.0.0"),
        (
            Requirements(catalog_schema="nautilus-1.x-standard-precision"),
            "standard-precision: use one",
        ),
        (Requirements(endpoint="https://other"), "not from https://other"),
        (
            Requirements(
                endpoint=ENDPOINT,
                bars={BAR_TYPE: 10},
                settings_digest="a" * 64,
                nautilus_trader="3",
                catalog_schema="nautilus-1.x-high-precision",
            ),
            None,
        ),
    ],
)
def test_snapshot_made_for_other_settings_is_refused(
    tmp_path: Path, requirements: Requirements, word: str | None
) -> None:
    make(tmp_path, settings="a" * 64)
    found = problems(tmp_path, requirements=requirements)
    assert found == [] if word is None else word in found[0]
    assert len(found) <= 1


@pytest.mark.parametrize("changes", [{"price_precision": 3}, {"size_precision": 0}])
def test_snapshot_of_another_precision_is_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    make(tmp_path, **changes)
    (name,) = changes
    assert any(name in problem for problem in problems(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"bar_type": "../../../../outside"},
        {"bar_type": "/etc/passwd"},
        {"instrument_id": "a/../../b"},
        {"bar_type": "."},
    ],
)
def test_snapshot_manifest_that_names_foreign_files_is_refused(
    tmp_path: Path, changes: Any
) -> None:
    make(tmp_path, **changes)
    with pytest.raises(SnapshotError, match="no path inside a snapshot"):
        open_snapshot(tmp_path)


def test_snapshot_manifest_with_files_elsewhere_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    for name in ("../../../etc/passwd", "/etc/passwd", "catalog/../../x", "catalog//x"):
        files = [FileEntry(name, 1, "0" * 64)]
        raw = seal(msgspec.structs.replace(made.manifest, files=files))
        (made.folder / "manifest.json").write_bytes(raw)
        with pytest.raises(SnapshotError, match="no path inside a snapshot"):
            open_snapshot(tmp_path)


def test_snapshot_manifest_of_excessive_size_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path)
    path = made.folder / "manifest.json"
    path.write_bytes(b"[" * 100_000)
    with pytest.raises(SnapshotError, match="malformed"):
        open_snapshot(tmp_path)
    path.write_bytes(b'{"format_version":1,"x":' + b'{"a":' * 100_000)
    with pytest.raises(SnapshotError, match="malformed"):
        open_snapshot(tmp_path)
    os.truncate(path, 1 << 30)
    with pytest.raises(SnapshotError, match="too large"):
        open_snapshot(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SnapshotError, match="it is not a regular file"):
        open_snapshot(tmp_path)


@pytest.mark.parametrize("name", [".staging", "snapshots"])
def test_snapshot_is_not_written_through_a_linked_folder(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / name).symlink_to(outside)
    with pytest.raises(VolumeError, match="is a symbolic link"):
        prepare_volume(tmp_path / "volume")
    assert list(outside.iterdir()) == []


def test_snapshot_leftovers_of_killed_jobs_are_removed(tmp_path: Path) -> None:
    made = make(tmp_path)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    half = tmp_path / ".staging" / "20260101T000000Z-01234567.89abcdef" / "catalog" / "data"
    half.mkdir(parents=True)
    (half / "half.parquet").write_bytes(b"PAR1")
    (tmp_path / ".staging" / "current.01234567").symlink_to(outside)
    lease = hold(tmp_path)
    clear_staging(lease)
    lease.release()
    assert list((tmp_path / ".staging").iterdir()) == []
    assert outside.read_text() == "mine"
    assert open_snapshot(tmp_path).folder == made.folder


def test_snapshot_is_not_published_without_the_lease(tmp_path: Path) -> None:
    first = make(tmp_path)
    lease = hold(tmp_path)
    (tmp_path / ".lease").unlink()  # as a successor does, which replaces it by its own
    later = msgspec.structs.replace(first.manifest, created_at=START + 60_000)
    with pytest.raises(VolumeError, match="took over"):
        publish(lease, later, lambda _: None, 3)
    lease.release()
    assert open_snapshot(tmp_path).folder == first.folder
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [first.id]


def test_snapshot_ids_are_unique(tmp_path: Path) -> None:
    made = [make(tmp_path) for _ in range(3)]
    assert len({each.id for each in made}) == 3
    assert len({each.manifest.content_digest for each in made}) == 1
    assert open_snapshot(tmp_path).folder.name == made[-1].id


def names(*minutes: float) -> list[str]:
    return [snapshot_id(START + round(at * MINUTE_MS), "0" * 64) for at in minutes]


@pytest.mark.parametrize(
    ("keep", "now_min", "gone"),
    [
        (3, 100, [0, 10]),
        (1, 100, [0, 10]),  # those at 20 and 98 were current until two and one minutes ago
        (1, 103, [0, 10, 20]),
        (1, 200, [0, 10, 20, 98]),
        (5, 200, []),
        (9, 200, []),
    ],
)
def test_snapshot_pruning_candidates(keep: int, now_min: int, gone: list[int]) -> None:
    made = names(0, 10, 20, 98, 99)
    assert sorted(snapshots_to_prune(made, made[-1], keep, START + now_min * MINUTE_MS)) == names(
        *gone
    )


def test_snapshot_pruning_keeps_the_current_one_of_any_age() -> None:
    made = names(0, 10, 20, 30)
    assert snapshots_to_prune(made, made[0], 1, START + 10**9) == [made[2], made[1]]


@pytest.mark.parametrize("target", ["/etc", "../outside", "snapshots/../../x", "snapshots/odd"])
def test_snapshot_link_out_of_the_volume_is_not_followed(tmp_path: Path, target: str) -> None:
    make(tmp_path)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(target)
    with pytest.raises(SnapshotError, match="which is not a snapshot"):
        open_snapshot(tmp_path)


def test_snapshot_limit_is_stored_per_endpoint(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    assert limited_until_ms(root, ENDPOINT) == 0
    record_limit(root, ENDPOINT, START)
    record_limit(root, ENDPOINT, START - 5)
    record_limit(root, "https://other", 7)
    assert limited_until_ms(root, ENDPOINT) == START
    assert limited_until_ms(root, "https://third") == 0
    (root / "limits.json").write_text("half a fi")
    assert limited_until_ms(root, ENDPOINT) == 0
