"""The history that one stream starts from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.instruments import Instrument

from warmup_job.market.interval import Interval
from warmup_job.proof.certificate import Certificate
from warmup_job.proof.rolling_certificate import RollingCertificate


class History(msgspec.Struct, frozen=True):
    """The bars of one stream that strategies are warmed up with, and what the policy requires.

    Args:
        bar_type: the venue's bars, as Nautilus names them.
        interval: the bars' interval.
        bars: ascending, without gaps except those that the venue itself has; empty: a cold start.
        wanted: how many bars the policy requires before an order may leave.
        from_listing: the first bar is the symbol's first one, so older ones do not exist.
        instrument: the instrument as the snapshot has it; None: use the node's.
        proof: has every bar of ``bars`` except the newest one; the stream adds each bar that it
            delivers, and the proof must close before an order may leave. None: the count of
            ``wanted`` is enough.
        certificate: the certificate of ``bars``, if a detector uses them.
        declared: the strategies' own indicators, as (kind, period).
        snapshot: id of the snapshot that its older bars are from; empty: all were fetched.
    """

    bar_type: BarType
    interval: Interval
    bars: Sequence[Bar]
    wanted: int
    from_listing: bool = False
    instrument: Instrument | None = None
    proof: RollingCertificate | None = None
    certificate: Certificate | None = None
    declared: Sequence[tuple[str, int]] = ()
    snapshot: str = ""
