"""The snapshot on the volume: whether the trader can use it, and how much it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger
from msgspec.structs import replace

from warmup_job.catalog.nautilus_catalog import reader_schema, unpack_instrument, values_digest
from warmup_job.errors import SnapshotError
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.manifest import StreamEntry
from warmup_job.snapshot.verify import Snapshot, verify

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

_CLOCK_ERROR_MS = 5_000  # the client's estimate of Binance's clock lags by half a round trip


def open_for_trading(plan: WarmupPlan, now_ms: int) -> Snapshot:
    """Verify the current snapshot; it may be old.

    Args:
        plan: what the snapshot must have been made for.
        now_ms: Binance's clock, UTC ms.

    Raises:
        SnapshotError: it cannot be used; the message has every problem that was found.
    """
    snapshot = verify(
        plan.root,
        now_ms=now_ms,
        clock_error_ms=_CLOCK_ERROR_MS,
        requirements=replace(plan.snapshot_requirements, catalog_schema=reader_schema()),
    )
    for entry in snapshot.manifest.instruments:  # `verify` does not import Nautilus
        instrument = stored_instrument(snapshot, entry.instrument_id)
        if values_digest(instrument) != entry.values_digest:
            raise SnapshotError(
                f"the snapshot {snapshot.folder.name} cannot be used: {entry.instrument_id} is not "
                "the instrument that its manifest names"
            )
    logger.info(
        "snapshot {snapshot} verified: {files} file(s) unaltered",
        event="snapshot.verified",
        snapshot=snapshot.folder.name,
        files=len(snapshot.manifest.files),
    )
    for reason in snapshot.manifest.degraded:
        logger.warning(
            "the snapshot is degraded: {reason}", event="snapshot.degraded", reason=reason
        )
    return snapshot


def stored_instrument(snapshot: Snapshot, instrument_id: str) -> Instrument:
    """Return an instrument of the snapshot.

    Raises:
        SnapshotError: it has none with this id, or it is altered.
    """
    for entry in snapshot.manifest.instruments:
        packed = snapshot.instrument(entry) if entry.instrument_id == instrument_id else None
        if packed is not None:
            return unpack_instrument(packed)
    raise SnapshotError(f"the snapshot has no instrument {instrument_id}")


def missing_bars_of(plan: StreamPlan, entry: StreamEntry, last_ms: int) -> int:
    """Return how many bars have closed since the snapshot.

    Args:
        plan: the stream.
        entry: what the snapshot has of it.
        last_ms: open time of the newest closed bar, UTC ms.
    """
    interval = plan.stream.interval
    return interval.count(interval.next(interval.floor(entry.last_close)), last_ms)


def can_be_continued(plan: WarmupPlan, snapshot: Snapshot, now_ms: int) -> bool:
    """Return whether every stream that the strategies need has bars that the trader can keep.

    Otherwise the trader would fetch a whole window, exactly as without a snapshot.

    Args:
        plan: the streams.
        snapshot: a snapshot of `open_for_trading`.
        now_ms: Binance's clock, UTC ms.
    """
    for each in plan.strategy_streams:
        entry = snapshot.stream(each.stream)
        last_ms = each.stream.interval.last_closed(now_ms)
        if entry is None or missing_bars_of(each, entry, last_ms) >= each.bars:
            return False
    return True
