"""Take from a verified snapshot what need not be fetched again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from warmup_job.catalog.packed_bars import BarSeries
from warmup_job.market.rows import missing_bars
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.snapshot.verify import Snapshot

if TYPE_CHECKING:
    from warmup_job.proof.certificate import Certificate

ASKED_AGAIN = 5
"""How many of the newest stored bars are fetched again, because Binance may have changed them."""


class ReusableBars(msgspec.Struct, frozen=True):
    """One stream's bars of a snapshot that a new fetch continues."""

    kept: BarSeries
    """All but the newest `ASKED_AGAIN`: they are not fetched again."""
    asked_again: BarSeries
    from_listing: bool
    """Whether Binance has no older bars."""
    certificate: Certificate | None
    """The snapshot's certificate; None: its price bounds do not cover the bars that follow."""

    def changed(self, fetched: BarSeries) -> list[int]:
        """Return the open times (UTC ms) of the bars that Binance has changed or lost since.

        Args:
            fetched: bars that were fetched now, from the oldest bar that is asked again.
        """
        span = self.asked_again.first_ms, self.asked_again.last_ms
        now = fetched.values(*span)
        return [at for at, row in self.asked_again.values(*span).items() if now.get(at) != row]


def reusable_bars(
    snapshot: Snapshot, plan: StreamPlan, last_ms: int, max_gap_bars: int
) -> ReusableBars | None:
    """Return the stream's bars of a snapshot, if a new fetch can continue them.

    Args:
        snapshot: the snapshot; its files must have been verified.
        plan: the stream.
        last_ms: open time of the newest closed bar, UTC ms.
        max_gap_bars: how many bars may be missing in the snapshot; Binance may have them by now.

    Returns:
        The bars; None: there are none, too many are missing, or fetching all costs no more.

    Raises:
        SnapshotError: a file cannot be decoded.
        OSError: a file cannot be read.
    """
    interval = plan.stream.interval
    entry = snapshot.stream(plan.stream)
    if entry is None or entry.bar_count <= ASKED_AGAIN or missing_bars(entry.gaps) > max_gap_bars:
        return None
    newest_ms = interval.floor(entry.last_close)
    to_fetch = interval.count(interval.shift(newest_ms, 1 - ASKED_AGAIN), last_ms)
    if newest_ms > last_ms or to_fetch >= plan.bars:
        return None
    series = snapshot.bars(entry)
    certificate = entry.certificate
    since = interval.count(newest_ms, last_ms)
    if certificate is not None and (
        certificate.exact or since > min(plan.bars, plan.bar_counts[-1])
    ):
        certificate = None
    return ReusableBars(
        series.without_last(ASKED_AGAIN), series.last(ASKED_AGAIN), entry.from_listing, certificate
    )
