"""The certificate of a live stream's newest bars, renewed with every closed bar."""

from __future__ import annotations

from collections import deque

from warmup_job.proof.certificate import Certificate
from warmup_job.proof.certify import certify
from warmup_job.proof.evidence import Evidence
from warmup_job.proof.window import Bounds, Window
from warmup_job.regime.detector import DetectorSettings


class RollingCertificate:
    """Keep the newest bars of a stream and certify them on request.

    Args:
        settings: The detector's settings.
        max_bars: The window's largest length; older bars are dropped.
        bounds: The symbol's lowest and highest price ever, or None while they are unknown. Without
            them only a window that is the whole history has a certificate.
        from_listing: The first bar is the symbol's first bar.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        max_bars: int,
        bounds: Bounds | None,
        *,
        from_listing: bool,
    ) -> None:
        self.bounds = bounds
        self.from_listing = from_listing
        self._settings = settings
        self._bars: deque[tuple[float, float, float]] = deque(maxlen=max_bars)
        self._seen: Bounds | None = None
        self._count = 0
        self._cached: tuple[object, Certificate | None] = (None, None)

    def update(self, high: float, low: float, close: float) -> None:
        """Append the next closed bar."""
        self._bars.append((high, low, close))
        self._count += 1
        seen = self._seen or Bounds(low, high)
        self._seen = Bounds(min(seen.low, low), max(seen.high, high))

    def certificate(self) -> Certificate | None:
        """Return the certificate of the newest bars; None without bars or without bounds."""
        key = (self._count, self.bounds, self.from_listing)
        if key != self._cached[0]:
            self._cached = key, self._certify()
        return self._cached[1]

    def _certify(self) -> Certificate | None:
        if self._seen is None or (self.bounds is None and not self.from_listing):
            return None
        known = self.bounds or self._seen
        bounds = Bounds(min(known.low, self._seen.low), max(known.high, self._seen.high))
        window = Window.of(*zip(*self._bars, strict=True))
        exact = self.from_listing and self._count == len(self._bars)
        return certify(Evidence.of(self._settings, window), bounds, from_listing=exact)
