"""Whether the bars of one stream prove the detector's regime, bar by bar while the node runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.model.data import Bar

from warmup_job.binance.fetch import fetch_extremes
from warmup_job.catalog.detector_bars import detector_bar
from warmup_job.errors import WarmupError
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.market.stream_id import StreamId
from warmup_job.proof.window import Bounds

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient


class RegimeProof:
    """The proof that a history asks for, continued with each delivered bar.

    Args:
        history: its ``proof`` is continued; with None there is nothing to prove.
    """

    def __init__(self, history: History) -> None:
        self._rolling = history.proof

    def add(self, bar: Bar) -> None:
        """Take in the next delivered bar."""
        if self._rolling is not None:
            exact = detector_bar(bar)
            self._rolling.update(exact.high, exact.low, exact.close)

    def note_listing(self, *, from_listing: bool) -> None:
        """Note whether the stream's first bar is the symbol's first one."""
        if self._rolling is not None:
            self._rolling.from_listing = from_listing

    def why_not(self) -> str:
        """Return why the regime is not proven yet; empty: it is, or needs no proof."""
        if self._rolling is None:
            return ""
        certificate = self._rolling.certificate()
        if certificate is None:
            return "nothing is proven: the symbol's lowest and highest price are not known yet"
        if certificate.proven:
            return ""
        regimes = " or ".join(regime.value for regime in certificate.possible)
        return f"not proven: after {certificate.bars} bars the regime may be {regimes}"

    async def learn_bounds(self, client: BinanceClient, stream: StreamId, name: str) -> None:
        """Fetch the symbol's lowest and highest price ever, if the proof lacks them.

        A failure is logged as a warning; the stream asks again with its next bar.
        """
        rolling = self._rolling
        if rolling is None or rolling.bounds is not None or rolling.from_listing:
            return
        try:
            low, high = await fetch_extremes(client, stream)
        except WarmupError as error:
            logger.warning(
                "{stream}: cannot fetch the symbol's lowest and highest price yet: {error}",
                event="bounds.unknown",
                stream=name,
                error=error,
            )
        else:
            rolling.bounds = Bounds(float(low), float(high))
