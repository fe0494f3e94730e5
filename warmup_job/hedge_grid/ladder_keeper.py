"""Keeps the open entries those of the ladder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from warmup_job.hedge_grid.entry_advice import EntryAdvice
from warmup_job.hedge_grid.entry_guard import Block
from warmup_job.hedge_grid.funding import FundingOutlook
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.grid_orders import GridOrders
from warmup_job.hedge_grid.ladder import Book, LadderCenter, Rung, build_ladder
from warmup_job.hedge_grid.market_prices import MarketPrices
from warmup_job.regime.detector import Regime, RegimeDetector


class LadderKeeper:
    """Sends and cancels entries until they are those of the ladder.

    Args:
        config: The strategy's configuration.
        orders: The open entries, the lots and the caps.
        center: The ladder's centre.
        detector: Has the regime.
        prices: The newest market prices.
        funding: The expected funding cost.
        log: The strategy's log.
        block: Returns why no entry may be sent now.
        now_ns: The strategy's clock, Unix ns.
    """

    def __init__(
        self,
        config: HedgeGridV1Config,
        orders: GridOrders,
        center: LadderCenter,
        detector: RegimeDetector,
        prices: MarketPrices,
        funding: FundingOutlook,
        log: GridLog,
        block: Callable[[], Block | None],
        now_ns: Callable[[], int],
    ) -> None:
        self._grid = grid_settings(config)
        self._orders = orders
        self._center = center
        self._detector = detector
        self._prices = prices
        self._funding = funding
        self._log = log
        self._block = block
        self._now_ns = now_ns
        self._advice = EntryAdvice(config, orders.account, log)
        self.is_due = False
        """Whether entries may be sent as soon as there is a price."""
        self._said = ""  # why there are no entries, as last logged
        self._cache: tuple[object, list[Rung]] = (None, [])

    def update(self) -> None:
        """Bring the entries up to date with the price, the regime, the funding and the caps."""
        block, mid = self._block(), self._prices.mid
        reason = "" if block is None else block.text
        if reason != self._said:
            self._log.info(f"No entries: {reason}" if reason else "Entries are allowed")
            self._said = reason
        entries, exits = self._orders.entries, self._orders.exits
        entries.is_incomplete = False
        self.is_due = not reason and mid is None
        if reason or mid is None:
            return
        center, regime = self._center.follow(mid), self._detector.regime
        factors = self._funding.size_factors(self._now_ns())
        ladder = self._ladder(center, regime, factors)
        instrument = self._orders.client.instrument
        self._advice.look_at_sizes(center, mid, instrument)
        self._advice.look_at_ladder(ladder, center, mid, regime, factors, instrument)
        wanted = [rung for rung in ladder if not exits.is_near(rung)]
        sent, cancelled = entries.update(wanted, mid, self._orders.account, most=exits.room())
        if sent or cancelled:
            ends = f", from {_ends(ladder)}" if ladder else ""
            gone = f", cancelling {cancelled}" if cancelled else ""
            self._log.info(  # none of it has been answered yet
                f"Ladder around {center:.2f}: sending {sent} of {len(ladder)} orders{gone}{ends}"
            )

    def _ladder(
        self, center: Decimal, regime: Regime, factors: Mapping[Book, Decimal]
    ) -> list[Rung]:
        """Return the whole ladder; the one of the last bar if nothing has changed."""
        key = (center, regime, factors)
        if key != self._cache[0]:
            rungs = build_ladder(
                center, regime, self._grid, self._orders.client.instrument, factors
            )
            self._cache = key, rungs
        return self._cache[1]


def _ends(ladder: list[Rung]) -> str:
    lowest, highest = (min(r.price for r in ladder), max(r.price for r in ladder))
    return f"{lowest} to {highest}"
