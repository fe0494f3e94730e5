"""The job, top to bottom: lease → download → check → write catalog and manifest → publish."""

from __future__ import annotations

import errno
import hashlib
import secrets
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from warmup_job.catalog.packed_bars import Create, content_digest, write_bars, write_instrument
from warmup_job.errors import UnusableVolumeError, VolumeError, WarmupError
from warmup_job.job.check import Checked, check, worst_of
from warmup_job.job.download import Download, JobRun, download
from warmup_job.job.previous_snapshot import own_versions, previous_snapshot, serves
from warmup_job.market.times import NS_PER_MS, duration_text
from warmup_job.plan.venue_client import check_network
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.process.fast_start import resume_garbage_collector
from warmup_job.snapshot.durable import volume_error
from warmup_job.snapshot.layout import STAGING
from warmup_job.snapshot.lease import Lease, acquire_lease
from warmup_job.snapshot.manifest import Manifest
from warmup_job.snapshot.publish import PublishedSnapshot, clear_staging, prepare_volume, publish
from warmup_job.snapshot.verify import Snapshot

if TYPE_CHECKING:
    from warmup_job.binance.weight_budget import WeightBudget

_MAY_PASS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN,
     errno.EBUSY, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)  # fmt: skip
"""Errors that may pass by themselves on a volume that is set up correctly."""


class Outcome(msgspec.Struct):
    """How a run ended.

    ``errors`` holds the errors of all streams; the worst one decides on the exit code.
    """

    manifest: Manifest | None = None
    published: PublishedSnapshot | None = None
    up_to_date: Snapshot | None = None
    """The existing snapshot, if no bar has closed since."""
    errors: list[WarmupError] = msgspec.field(default_factory=list)

    @property
    def worst(self) -> WarmupError | None:
        """The error with the highest exit code; None: the run succeeded."""
        return worst_of(self.errors)

    @property
    def folder(self) -> Path | None:
        """The folder of the current snapshot after this run; None: the run published none."""
        if self.published is not None:
            return self.published.folder
        return None if self.up_to_date is None else self.up_to_date.folder


async def warm(
    plan: WarmupPlan,
    *,
    until: str | None = None,
    dry_run: bool = False,
    full: bool = False,
    progress: Callable[[int], object] = lambda _: None,
    on_budget: Callable[[WeightBudget], object] = lambda _: None,
) -> Outcome:
    """Fetch, check and publish one snapshot of every stream within the deadline.

    It reuses the bars of an intact snapshot on the volume. If several jobs start together on one
    volume, one of them fetches and the others use its snapshot.

    Args:
        plan: the resolved configuration.
        until: pretend that it is this time (see `parse_when`); None: the exchange's clock.
        dry_run: do everything except publish.
        full: fetch every bar, also those that the snapshot has.
        progress: called with the number of rows of each page.
        on_budget: called with the weight budget of the client that fetches.

    Returns:
        The outcome. It has the errors of single streams; the other streams are published.

    Raises:
        WarmupError: nothing was published, and the snapshot that was current still is.
    """
    run = JobRun(plan, until, full, progress, on_budget, time.monotonic())
    check_network(plan.venue)
    if dry_run:
        return await _prepare(run, None)
    _prepare_volume(plan.root)
    lease = await acquire_lease(
        plan.root,
        lambda name: _other_jobs(run, name),
        timeout_s=run.left_ms() / 1000,
        on_wait=lambda owner: logger.info(
            "another job ({owner}) is using this volume: waiting for it, {most} at most",
            event="job.waiting_for_other_job",
            owner=owner,
            most=duration_text(max(0, run.left_ms()) // 1000 * 1000),
        ),
    )
    if isinstance(lease, Snapshot):
        logger.info(
            "using the snapshot that the other job published, {snapshot}",
            event="job.used_other_jobs_snapshot",
            snapshot=lease.folder.name,
        )
        return Outcome(lease.manifest, up_to_date=lease)
    outcome = Outcome()
    try:
        clear_staging(lease)
        outcome = await _prepare(run, lease)
    finally:
        done = outcome.folder if until is None and not outcome.errors else None
        lease.release(None if done is None else done.name)
    return outcome


def _prepare_volume(root: Path) -> None:
    """Prepare the volume, and tell a wrong setup from a failure that may pass.

    Raises:
        UnusableVolumeError: the volume is set up wrong, which ``on_failure: proceed`` must not
            hide.
        VolumeError: the volume is full or fails at the moment.
    """
    try:
        prepare_volume(root)
    except VolumeError as error:
        if error.errno in _MAY_PASS:
            raise
        raise UnusableVolumeError(str(error), errno=error.errno) from None


def _other_jobs(run: JobRun, name: str) -> Snapshot | None:
    """The snapshot ``name`` that another job has made meanwhile, if it does for this one."""
    if run.full or run.until is not None:
        return None
    made = previous_snapshot(run.plan)
    return made if made and made.folder.name == name and serves(run.plan, made) else None


async def _prepare(run: JobRun, lease: Lease | None) -> Outcome:
    """Fetch and check; publish with the lease, and not without one."""
    pages = f"pages.{secrets.token_hex(4)}"
    spill_folder = None if lease is None else lease.root / STAGING / pages
    try:
        downloaded = await download(run, spill_folder)
        resume_garbage_collector()
        if isinstance(downloaded, Snapshot):
            return Outcome(downloaded.manifest, up_to_date=downloaded)
        checked = check(run.plan, downloaded)
        manifest = _manifest(run, downloaded, checked)
        outcome = Outcome(manifest, errors=checked.errors)
        if lease is not None:
            outcome.published = publish(lease, manifest, partial(_write, checked), run.plan.keep)
        return outcome
    except OSError as error:  # of what lies on the volume already
        raise volume_error(run.plan.root, error) from None
    finally:
        if spill_folder is not None:
            shutil.rmtree(spill_folder, ignore_errors=True)


def _manifest(run: JobRun, downloaded: Download, checked: Checked) -> Manifest:
    plan = run.plan
    return Manifest(
        created_at=downloaded.at_ms,
        venue=plan.venue.name,
        market=plan.venue.market,
        endpoint=plan.venue.endpoint,
        streams=[stream.entry for stream in checked.streams],
        instruments=[instrument.entry for instrument in checked.instruments],
        degraded=[str(error) for error in checked.errors],
        content_digest=_content_digest(checked),
        settings_digest=plan.settings_digest,
        versions=own_versions(),
        weight_spent=downloaded.weight_spent,
        seconds=round(time.monotonic() - run.started_s, 3),
        files=[],
    )


def _write(checked: Checked, create: Create) -> None:
    """Write the catalog's files."""
    entries = [stream.entry for stream in checked.streams]
    for instrument in checked.instruments:
        symbol = instrument.entry.symbol
        first_open_ms = min(entry.first_open for entry in entries if entry.symbol == symbol)
        write_instrument(create, instrument.packed, first_open_ms * NS_PER_MS)
    for stream in checked.streams:
        entry = stream.entry
        write_bars(
            create,
            stream.bars,
            bar_type=entry.bar_type,
            instrument_id=entry.instrument_id,
            price_precision=entry.price_precision,
            size_precision=entry.size_precision,
        )


def _content_digest(checked: Checked) -> str:
    """sha256 over the canonical values of instruments and bars, the same on any machine."""
    lines = [
        f"instrument {each.entry.instrument_id} {each.entry.values_digest}"
        for each in checked.instruments
    ]
    lines += [
        f"bars {each.entry.bar_type} {each.bars.rows} {content_digest(each.bars)}"
        for each in checked.streams
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
