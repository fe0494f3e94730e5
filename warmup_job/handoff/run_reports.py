"""The reports of a run: made of its state, its streams, its node and what its strategies say."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.common.component import MessageBus
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.reporting.figures import UnprotectedTime, grid_reports
from warmup_job.handoff.reporting.rejections import RejectionCounter
from warmup_job.handoff.reporting.report import AccountReport, Report, UncancelledReport, now_ms
from warmup_job.handoff.run_state import RunState
from warmup_job.modes import OperatorState


class RunReports:
    """Makes reports, and counts what they say about the time before.

    Args:
        mode: ``paper`` or ``live``.
        run: the state of the run.
        strategies: some of them report figures.
        streams: the node's bar streams.
        websockets: the node's connections.
    """

    def __init__(
        self,
        mode: str,
        run: RunState,
        strategies: Sequence[Strategy],
        streams: BarStreams,
        websockets: Websockets,
    ) -> None:
        self._mode = mode
        self._run = run
        self._strategies = strategies
        self._streams = streams
        self._websockets = websockets
        self._rejections = RejectionCounter()
        self._unprotected = UnprotectedTime()
        self._was_unprotected = False  # at the last look at the stops

    def attach(self, msgbus: MessageBus) -> None:
        """Count the rejections on this message bus."""
        self._rejections.attach(msgbus)

    def look_at_stops(self) -> bool:
        """Note whether some quantity has no stop loss at this moment.

        Returns:
            Whether a report is due: while something is unprotected, and once when it no longer is.
        """
        # Reports that visitors ask for in between must not take the last one away.
        was_unprotected = self._was_unprotected
        self._unprotected.look(grid_reports(self._strategies), now_ms())
        self._was_unprotected = self._unprotected.is_running
        return was_unprotected or self._was_unprotected

    def make(
        self,
        cache: CacheFacade | None,
        operator: OperatorState,
        account: AccountReport | None,
        uncancelled: UncancelledReport | None,
        *,
        trading: bool,
        clock_offset_ms: int | None = None,
    ) -> Report:
        """Return the present state of the trader and its streams.

        Args:
            cache: the node's; None: there is no node yet.
            operator: what the operator wants.
            account: how the account compares with the cache; None: it is not compared.
            uncancelled: entries that should be cancelled; None: there are none.
            trading: whether orders may leave.
            clock_offset_ms: this machine's time minus the exchange's, ms; None: not known.
        """
        run, grids, at_ms = self._run, grid_reports(self._strategies), now_ms()
        return Report(
            state=run.state,
            why=run.why,
            mode=self._mode,
            at_ms=at_ms,
            since_ms=run.since_ms,
            started_ms=run.started_ms,
            live_after_s=run.live_after_s,
            trading=trading,
            operator=operator,
            orders_open=0 if cache is None else cache.orders_open_count(),
            positions_open=0 if cache is None else cache.positions_open_count(),
            streams=tuple(
                stream.report(self._websockets.silent_ms(stream.websocket_name))
                for stream in self._streams.streams.values()
            ),
            account=account,
            grids=grids,
            unprotected_ms=self._unprotected.look(grids, at_ms),
            rejections=self._rejections.report(),
            uncancelled=uncancelled,
            clock_offset_ms=clock_offset_ms,
        )
