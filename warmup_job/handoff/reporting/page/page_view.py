"""What the page's script receives, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from warmup_job.binance.endpoints import Environment, known_host
from warmup_job.handoff.reporting.page.headline import Alarm, Headline, alarms, headline
from warmup_job.handoff.reporting.page.market_view import Markets, MarketView
from warmup_job.handoff.reporting.report import Report, StateChange
from warmup_job.snapshot.layout import created_ms, is_snapshot_id


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that the trader has started from."""

    id: str
    created_ms: int
    """UTC ms by the exchange's clock."""


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page shows but the bars."""

    version: str
    """Of this package."""
    place: str
    """Where orders go and prices come from: an environment of Binance, or another host."""
    is_real: bool
    """Whether orders spend real money, as far as the host tells."""
    headline: Headline
    alarms: tuple[Alarm, ...]
    report: Report
    changes: tuple[StateChange, ...]
    """The last changes of the state, the newest first."""
    snapshots: tuple[SnapshotView, ...]
    markets: tuple[MarketView, ...]


class PageSource(msgspec.Struct, frozen=True):
    """Where the page's data comes from.

    Args:
        report: returns the present report.
        markets: returns the running node's markets; None: there is no node yet.
        changes: returns the last changes of the state, the newest first.
        environment: of Binance.
        endpoint: REST base URL, without credentials.
        version: of this package.
    """

    report: Callable[[], Report]
    markets: Callable[[], Markets | None]
    changes: Callable[[], tuple[StateChange, ...]]
    environment: Environment
    endpoint: str
    version: str

    def view(self) -> PageView:
        """Return what the page shows now."""
        report, markets = self.report(), self.markets()
        is_known = known_host(self.endpoint) is not None
        host = urlsplit(self.endpoint).netloc
        used = dict.fromkeys(stream.snapshot for stream in report.streams)
        return PageView(
            version=self.version,
            place=f"Binance {self.environment}" if is_known else host,
            is_real=report.mode == "live" and not (is_known and self.environment != "production"),
            headline=headline(report),
            alarms=alarms(report),
            report=report,
            changes=self.changes(),
            snapshots=tuple(
                SnapshotView(id=each, created_ms=created_ms(each))
                for each in used
                if is_snapshot_id(each)
            ),
            markets=() if markets is None else markets.views(),
        )
