"""Bars that are composed of the venue's bars (``5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL``).

Nautilus' own aggregator builds them, by the close times of the bars it gets and not by a timer.
So history and live bars form one series, the bar that closes an interval belongs to that interval,
and bars that are filled later are included.
"""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.instruments import Instrument

from warmup_job.catalog.nautilus_bars import open_ms_of
from warmup_job.market.interval import Interval
from warmup_job.market.times import NS_PER_MS


def source_of(bar_type: BarType) -> BarType | None:
    """Return the venue's bars that a bar type is composed of by time; None: it is not composed."""
    if not (bar_type.is_composite() and bar_type.spec.is_time_aggregated()):
        return None
    source = bar_type.composite()
    return source if source.is_externally_aggregated() else None


class CompositeSeries:
    """One series of composed bars, built from the bars of its source as they are delivered.

    Args:
        bar_type: such as ``…-5-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL``.
        instrument: of the bars.
        interval: of the source.
    """

    def __init__(self, bar_type: BarType, instrument: Instrument, interval: Interval) -> None:
        self.requested = bar_type
        """The bar type with its source."""
        self.bar_type = bar_type.standard()
        """The bar type of the bars that are built, and of the topic that they are published on."""
        self.source = bar_type.composite()
        """The bar type of the bars that they are composed of."""
        self._interval = interval
        self._instrument = instrument
        self._clock = TestClock()
        self._built: list[Bar] = []
        self._aggregator: TimeBarAggregator | None = None

    def add(self, bar: Bar) -> list[Bar]:
        """Take in the next bar of the source; return the composed bars that it completes.

        A first interval gives no bar if its beginning is missing.
        """
        open_ms = open_ms_of(bar, self._interval)
        if self._aggregator is None:
            self._aggregator = self._begin(open_ms)
        self._aggregator.handle_bar(bar)
        self._advance(self._interval.next(open_ms))
        built, self._built = self._built, []
        return built

    def add_all(self, bars: Iterable[Bar]) -> list[Bar]:
        """Take in several bars, oldest first; return the composed bars that they complete."""
        return [built for bar in bars for built in self.add(bar)]

    def _begin(self, open_ms: int) -> TimeBarAggregator:
        self._clock.set_time(open_ms * NS_PER_MS)
        aggregator = TimeBarAggregator(
            instrument=self._instrument,
            bar_type=self.bar_type,
            handler=self._take,
            clock=self._clock,
            skip_first_non_full_bar=True,
        )
        aggregator.start_timer()
        self._advance(open_ms)  # where the first interval begins here, its own start is due now
        return aggregator

    def _advance(self, at_ms: int) -> None:
        for handler in self._clock.advance_time(at_ms * NS_PER_MS, set_time=True):
            handler.handle()

    def _take(self, bar: Bar) -> None:
        self._built.append(bar)
