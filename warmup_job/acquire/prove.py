"""Prove: how many bars of a stream are enough, and the certificate of those."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from warmup_job.errors import NotConvergedError, RateLimitedError, WarmupError
from warmup_job.plan.stream_plan import StreamPlan
from warmup_job.snapshot.manifest import IndicatorEntry

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.binance.fetch import Fetched
    from warmup_job.market.stream_id import StreamId
    from warmup_job.proof.certificate import Certificate
    from warmup_job.proof.window import Bounds, Window

type Columns = tuple[Sequence[float], Sequence[float], Sequence[float]]
"""High, low and close of bars, oldest first."""


@dataclass(slots=True)
class Proof[PackedT]:
    """Judges one stream's bars as they come, and keeps its last word on them.

    Args:
        columns: the last bars of what was fetched, that many of them.
        extremes: asks for the symbol's lowest low and highest high.
        before: the certificate of bars that these go on from, whose bounds still hold.
    """

    plan: StreamPlan
    columns: Callable[[Fetched[PackedT], int], Columns]
    extremes: Callable[[], Awaitable[tuple[str, str]]]
    before: Certificate | None = None
    certificate: Certificate | None = None
    """None: the lowest and the highest price could not be had, or there is no detector."""
    indicators: list[IndicatorEntry] = field(default_factory=list)
    _bars: int = 0
    """How many there are; all that there ever were: more than anything needs."""
    _unbounded: str = "there are no bars"
    _bounds_missing: bool = False

    async def enough(self, fetched: Fetched[PackedT]) -> int:
        """How many bars the stream takes; more than were fetched: fetch more, and ask again.

        Raises:
            RateLimitedError: the exchange wants to be asked nothing more.
        """
        from warmup_job.proof.certify import certify
        from warmup_job.proof.enough_bars import find_enough_bars
        from warmup_job.proof.evidence import Evidence
        from warmup_job.proof.window import Window

        plan, had = self.plan, len(fetched.opens_ms)
        if not had:
            return plan.bars
        most = plan.bar_counts[-1] if plan.auto else min(plan.bars, plan.bar_counts[-1])
        window = Window.of(*self.columns(fetched, min(had, most)))
        at_listing = fetched.from_listing and had <= most
        self._bars = sys.maxsize if at_listing else len(window)
        bounds = window.bounds
        if plan.needs_bounds and not at_listing:
            ever = await self._bounds(window)
            if ever is None:
                return plan.bars
            bounds = ever
        self._look_at_indicators(window, bounds)
        needed = [each.bars_needed or plan.bar_counts[-1] for each in self.indicators]
        if plan.detector is None:
            most_needed = max(needed, default=0)
            enough_bars = next((bars for bars in plan.bar_counts if bars >= most_needed), most)
            return enough_bars if plan.auto else plan.bars
        if not plan.auto:
            self.certificate = certify(
                Evidence.of(plan.detector, window), bounds, from_listing=at_listing
            )
            return plan.bars
        found = find_enough_bars(
            window, plan.detector, bounds, plan.bar_counts,
            least_bars=max(needed, default=0), from_listing=at_listing,
        )  # fmt: skip
        self.certificate = found.certificate
        return found.bars

    def shortcomings(self) -> list[NotConvergedError]:
        """Why the bars are not enough for the strategy to be warm; empty: they are."""
        plan, certificate = self.plan, self.certificate
        if self._bounds_missing or (plan.detector is not None and certificate is None):
            return [
                NotConvergedError(
                    f"{plan.stream}: nothing is proven without the lowest and the highest price "
                    f"ever: {self._unbounded}"
                )
            ]
        found = []
        if certificate is not None and not certificate.proven:
            regimes = " or ".join(regime.value for regime in certificate.possible)
            found.append(
                f"the regime after {certificate.bars} bars is {regimes}, depending on what was "
                "before them: raise warmup.max_bars, or try again later"
                if plan.auto
                else f"the regime after {certificate.bars} bars is {regimes}, depending on what "
                "was before them: ask for more bars, or for `auto`"
            )
        bars = self._bars if certificate is None or certificate.exact else certificate.bars
        found += [
            f"{each.kind} {each.period} needs {each.bars_needed or 'more'} bars, {bars} are there: "
            "raise warmup.max_bars or the stream's bars"
            for each in self.indicators
            if bars != sys.maxsize and (each.bars_needed is None or each.bars_needed > bars)
        ]
        return [NotConvergedError(f"{plan.stream}: {reason}") for reason in found]

    async def _bounds(self, window: Window) -> Bounds | None:
        from warmup_job.proof.window import Bounds

        if self.before is not None:
            low, high = self.before.lowest, self.before.highest
        else:
            try:
                low, high = map(float, await self.extremes())
            except RateLimitedError:
                raise
            except WarmupError as error:
                self._bounds_missing, self._unbounded = True, str(error)
                return None
        self._bounds_missing = False
        seen = Bounds(low, high).including(window)
        return Bounds(_to_three(seen.low, ROUND_FLOOR), _to_three(seen.high, ROUND_CEILING))

    def _look_at_indicators(self, window: Window, bounds: Bounds) -> None:
        from warmup_job.proof.convergence import bars_needed

        self.indicators = [
            IndicatorEntry(
                each.kind,
                each.period,
                each.bars or bars_needed(each.kind, each.period, window, bounds),
            )
            for each in self.plan.indicators
        ]


@asynccontextmanager
async def extremes_of(
    client: BinanceClient, stream: StreamId, *, ahead: bool
) -> AsyncIterator[Callable[[], Awaitable[tuple[str, str]]]]:
    """Asks for a symbol's lowest and highest price, ``ahead``: beside what is done within."""
    from warmup_job.binance.fetch import fetch_extremes

    asked = asyncio.create_task(fetch_extremes(client, stream)) if ahead else None

    async def extremes() -> tuple[str, str]:
        return await (asked or fetch_extremes(client, stream))

    try:
        yield extremes
    finally:
        if asked is not None:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)


def explain(certificate: Certificate) -> str:
    """A certificate in words, indicator by indicator."""
    if certificate.exact:
        return f"all {certificate.bars} bars that there ever were: exact"
    regimes = " or ".join(regime.value for regime in certificate.possible)
    met = "" if certificate.met_bar is None else f" since bar {certificate.met_bar + 1}"
    errors = (
        ("fast EMA", certificate.ema_fast_error_bps, " bps"),
        ("slow EMA", certificate.ema_slow_error_bps, " bps"),
        ("ADX", certificate.adx_error, " points"),
        ("ATR", certificate.atr_error_bps, " bps"),
    )
    parts = ", ".join(
        f"{name} " + ("not there yet" if error is None else f"within {error:.2g}{unit}")
        for name, error, unit in errors
    )
    verdict = f"proven {regimes}{met}" if certificate.proven else f"NOT proven ({regimes})"
    return f"{certificate.bars} bars: {verdict}; {parts}"


def _to_three(price: float, rounding: str) -> float:
    """To three digits: a last trade must not make another certificate of the same bars."""
    exact = Decimal(repr(price))
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), rounding))
