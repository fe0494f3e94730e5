"""What lies where on the volume.

<root>/current -> snapshots/<id>          a relative link, swapped by one rename
<root>/snapshots/<id>/catalog/…           a plain Nautilus ParquetDataCatalog
<root>/snapshots/<id>/manifest.json       written last; lists every file
<root>/.staging/<id>.<random>/            never looked at by a reader
<root>/status.json                        how the last run ended
<root>/limits.json                        until when which endpoint wants no request
<root>/.lease, <root>/.lock               who is at work
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from warmup_job.errors import SnapshotError
from warmup_job.market.times import utc_text

CURRENT, SNAPSHOTS, STAGING = "current", "snapshots", ".staging"
CATALOG, MANIFEST = "catalog", "manifest.json"
STATUS, LIMITS = "status.json", "limits.json"
LEASE, LOCK = ".lease", ".lock"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}", re.ASCII)


def snapshot_id(created_ms: int, content_digest: str) -> str:
    """<utc>-<digest8>: sorts by time, and equal contents share their suffix."""
    return f"{utc_text(created_ms).replace('-', '').replace(':', '')}-{content_digest[:8]}"


def created_ms(name: str) -> int:
    """When the snapshot of that id was made, UTC ms, to the second."""
    made = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(made.timestamp()) * 1000


def is_snapshot_id(name: str) -> bool:
    """Whether a folder's name is a snapshot's."""
    return _ID.fullmatch(name) is not None


def resolve_current(root: Path) -> Path:
    """The folder of the current snapshot, resolved once, so that a swap later changes nothing.

    Raises:
        SnapshotError: there is none, or the link leads anywhere but into <root>/snapshots.
    """
    link = root / CURRENT
    try:
        target = link.readlink()
    except FileNotFoundError:
        raise SnapshotError(f"{root} holds no snapshot: run `warmup-job run` first") from None
    except OSError:
        raise SnapshotError(f"{link} is not a link: was it put there by something else?") from None
    if target.parts[:-1] != (SNAPSHOTS,) or not is_snapshot_id(target.name):
        raise SnapshotError(f"{link} leads to {target}, which is no snapshot of ours")
    folder = root / target
    try:
        led_away = folder.is_symlink() or folder.parent.is_symlink()
        if led_away or not folder.is_dir():
            raise SnapshotError(f"{link} leads to {target}, which is not there: `warmup-job run`")
    except OSError as error:
        raise SnapshotError(f"{folder} cannot be read: {error.strerror}") from None
    return folder
