"""The runner for paper trading."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory

from warmup_job.catalog.names import VENUE
from warmup_job.handoff.node import Execution
from warmup_job.handoff.runner import BaseRunner


class PaperRunner(BaseRunner):
    """Trades on paper: Nautilus' sandbox fills orders from the venue's real quotes."""

    mode = "paper"
    fits_quotes = True

    def _execution(self) -> Execution:
        margin = self.settings.market == "um"
        config = SandboxExecutionClientConfig(
            venue=VENUE,
            oms_type="HEDGING",
            account_type="MARGIN" if margin else "CASH",
            starting_balances=list(self.settings.starting_balances),
            default_leverage=Decimal(self.settings.leverage if margin else 1),
            bar_execution=False,
            trade_execution=False,
            # The sandbox would resize every reduce-only order to the whole position at each fill.
            # Binance's hedge mode has no reduce-only orders either.
            use_reduce_only=False,
        )
        return Execution(SandboxLiveExecClientFactory, config, is_real=False)
