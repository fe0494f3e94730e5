"""Tells the operator what the exchange's limits and the caps change in the configured orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from nautilus_trader.model.instruments import Instrument

from warmup_job.hedge_grid.grid_account import GridAccount
from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
from warmup_job.hedge_grid.grid_log import GridLog
from warmup_job.hedge_grid.ladder import Book, Rung
from warmup_job.hedge_grid.no_entries import explain_no_entries
from warmup_job.hedge_grid.order_sizes import size_notes, size_problems
from warmup_job.regime.detector import Regime


class EntryAdvice:
    """Logs each advice once, not with every bar.

    Args:
        config: The strategy's configuration.
        account: The positions and the caps.
        log: The strategy's log.
    """

    def __init__(self, config: HedgeGridV1Config, account: GridAccount, log: GridLog) -> None:
        self._config = config
        self._grid = grid_settings(config)
        self._account = account
        self._log = log
        self._sized_center: Decimal | None = None  # as of the last look at the order sizes
        self._is_oversized = False
        self._no_entries_kind: str | None = None  # as last logged

    def look_at_sizes(self, center: Decimal, mid: Decimal, instrument: Instrument) -> None:
        """Log what the exchange's minimum and the caps change in the configured sizes.

        That is at the start, and when orders become too large to be sent.
        """
        if center == self._sized_center:
            return
        is_first, self._sized_center = self._sized_center is None, center
        was_oversized = self._is_oversized
        problems = size_problems(center, self._grid, instrument)
        self._is_oversized = bool(problems)
        if self._is_oversized and not was_oversized:
            for line in problems:
                self._log.warning(f"Order sizes: {line}")
        elif is_first:
            for note in size_notes(center, self._grid, instrument):
                say = self._log.warning if note.is_unusual else self._log.info
                say(f"Order sizes: {note.text}")
        tighter = self._account.tighter_cap(self._config, mid) if is_first else ""
        if tighter:
            self._log.warning(tighter)

    def look_at_ladder(
        self,
        ladder: list[Rung],
        center: Decimal,
        mid: Decimal,
        regime: Regime,
        factors: Mapping[Book, Decimal],
        instrument: Instrument,
    ) -> None:
        """Log why no entry of the ladder can be sent, once for each new reason."""
        caps = self._account.caps(self._config, mid)
        oversized = [] if ladder else size_problems(center, self._grid, instrument)
        found = explain_no_entries(ladder, caps, self._grid, instrument, regime, factors, oversized)
        kind = None if found is None else found.kind
        if found is not None and kind != self._no_entries_kind:
            say = self._log.info if found.is_wanted else self._log.warning
            say(f"No entries: {found.text}")
        self._no_entries_kind = kind
