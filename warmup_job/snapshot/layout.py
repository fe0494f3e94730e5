"""Define the layout of the snapshot volume.

<root>/current -> snapshots/<id>          a relative link, replaced by one rename
<root>/snapshots/<id>/catalog/…           a plain Nautilus ParquetDataCatalog
<root>/snapshots/<id>/manifest.json       written last; lists every file
<root>/.staging/<id>.<random>/            readers ignore it
<root>/status.json                        how the last run ended
<root>/limits.json                        rate limits and bans: endpoint and end, UTC ms
<root>/warmup.prom                        the job's figures, for Prometheus
<root>/.lease, <root>/.lock               which job is working
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from warmup_job.errors import SnapshotError
from warmup_job.market.times import utc_text

CURRENT, SNAPSHOTS, STAGING = "current", "snapshots", ".staging"
CATALOG, MANIFEST = "catalog", "manifest.json"
STATUS, LIMITS, TEXTFILE = "status.json", "limits.json", "warmup.prom"
LEASE, LOCK = ".lease", ".lock"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}", re.ASCII)


def snapshot_id(created_ms: int, content_digest: str) -> str:
    """Return <utc>-<digest8>: ids sort by time, and equal contents have equal suffixes."""
    return f"{utc_text(created_ms).replace('-', '').replace(':', '')}-{content_digest[:8]}"


def created_ms(name: str) -> int:
    """Return when the snapshot with this id was made: UTC ms, in whole seconds."""
    made = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(made.timestamp()) * 1000


def is_snapshot_id(name: str) -> bool:
    """Return whether a folder's name is a snapshot id."""
    return _ID.fullmatch(name) is not None


def resolve_current(root: Path) -> Path:
    """Return the folder of the current snapshot; publishing a newer one does not change it.

    Raises:
        SnapshotError: There is no snapshot, or the link does not point into <root>/snapshots.
    """
    link = root / CURRENT
    try:
        target = link.readlink()
    except FileNotFoundError:
        raise SnapshotError(f"{root} holds no snapshot: run `warmup-job run` first") from None
    except NotADirectoryError:
        raise SnapshotError(f"{root} is not a folder: name the snapshot volume") from None
    except PermissionError as error:
        raise SnapshotError(f"{link} cannot be read: {error.strerror}") from None
    except OSError:
        raise SnapshotError(
            f"{link} is not a symbolic link: move it away, then run `warmup-job run`"
        ) from None
    if target.parts[:-1] != (SNAPSHOTS,) or not is_snapshot_id(target.name):
        raise SnapshotError(
            f"{link} points to {target}, which is not a snapshot: run `warmup-job run`"
        )
    folder = root / target
    try:
        linked = folder.is_symlink() or folder.parent.is_symlink()
        if linked or not folder.is_dir():
            raise SnapshotError(
                f"{link} points to {target}, which is missing: run `warmup-job run`"
            )
    except OSError as error:
        raise SnapshotError(f"{folder} cannot be read: {error.strerror}") from None
    return folder
