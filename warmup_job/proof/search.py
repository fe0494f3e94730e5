"""How many bars are enough: the first rung of a fixed ladder at which the certificate closes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from warmup_job.proof.certificate import Certificate, is_converged
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Bounds, Evidence, Window
from warmup_job.regime.detector import DetectorSettings


@dataclass(frozen=True, slots=True)
class Warmth:
    """How many bars it takes, and the certificate of those; more than there are: fetch more."""

    bars: int
    certificate: Certificate


def enough(
    window: Window,
    settings: DetectorSettings,
    bounds: Bounds,
    ladder: Sequence[int],
    *,
    least_bars: int = 0,
    at_listing: bool = False,
) -> Warmth:
    """The first rung, of ``least_bars`` or more, at which the regime is proven and has converged.

    If none in the window does: the next rung beyond it, or the last one, with the certificate of
    what there is. ``at_listing``: the window begins with the symbol's first bar, so all of it is
    exact.
    """
    evidence: Evidence | None = None
    for rung in ladder:
        if rung > len(window):
            break
        begin, known = len(window) - rung, len(window) - (evidence.bars if evidence else 0)
        evidence = (
            evidence.prepend(window[begin:known])
            if evidence
            else Evidence.of(settings, window[begin:])
        )
        if rung >= least_bars and _is_good(certify(evidence, bounds)):
            certificate = certify(evidence.in_one_piece(), bounds)
            if _is_good(certificate):
                return Warmth(rung, certificate)
    last = window if at_listing else window[-min(len(window), ladder[-1]) :]
    certificate = certify(Evidence.of(settings, last), bounds, from_listing=at_listing)
    further = next((rung for rung in ladder if rung > len(window)), ladder[-1])
    return Warmth(further, certificate)


def _is_good(certificate: Certificate) -> bool:
    return certificate.proven and is_converged(certificate)


class Carried:
    """The certificate of a strategy's bars, carried on as they close; its window is the last ones.

    Args:
        most: how long the window gets.
        bounds: None: not known yet, so that nothing can be proven.
        from_listing: the first bar is the symbol's first one.
    """

    def __init__(
        self, settings: DetectorSettings, most: int, bounds: Bounds | None, *, from_listing: bool
    ) -> None:
        self.most = most
        self.bounds = bounds
        self.from_listing = from_listing
        self._settings = settings
        self._bars: deque[tuple[float, float, float]] = deque(maxlen=most)
        self._seen: Bounds | None = None
        self._count = 0
        self._judged: tuple[object, Certificate | None] = (None, None)

    def update(self, high: float, low: float, close: float) -> None:
        """Take in the next closed bar."""
        self._bars.append((high, low, close))
        self._count += 1
        seen = self._seen or Bounds(low, high)
        self._seen = Bounds(min(seen.low, low), max(seen.high, high))

    def certificate(self) -> Certificate | None:
        """Of the bars so far; None: there are none, or the bounds are not known."""
        made_of = (self._count, self.bounds, self.from_listing)
        if made_of != self._judged[0]:
            self._judged = made_of, self._certify()
        return self._judged[1]

    def _certify(self) -> Certificate | None:
        if self._seen is None or (self.bounds is None and not self.from_listing):
            return None
        known = self.bounds or self._seen
        bounds = Bounds(min(known.low, self._seen.low), max(known.high, self._seen.high))
        window = Window.of(*zip(*self._bars, strict=True))
        exact = self.from_listing and self._count == len(self._bars)
        return certify(Evidence.of(self._settings, window), bounds, from_listing=exact)
