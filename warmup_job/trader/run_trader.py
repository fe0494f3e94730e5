"""The trader, top to bottom: verify → load → warm up the strategies → subscribe → fill → live.

The exchange's clock is read while Nautilus is imported; the rest is in `session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from warmup_job.errors import ConfigError, TraderError, WarmupError
from warmup_job.handoff.identity_file import begin_run
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity, tag_of_instruments
from warmup_job.handoff.reporting.http_port import serving
from warmup_job.handoff.reporting.notices import NoticeRules
from warmup_job.handoff.reporting.report import Report, Reporter
from warmup_job.handoff.reporting.report_writer import ReportWriter
from warmup_job.handoff.reporting.webhook import WebhookSettings, notifying
from warmup_job.handoff.state_dir import StateDir, held_state_dir
from warmup_job.modes import Mode
from warmup_job.plan.venue_client import check_network, open_client
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.rate_limits import record_limit, wait_for_limit
from warmup_job.trader.control_server import controlled
from warmup_job.trader.summary import TradeSummary

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.handoff.reporting.page.page_routes import PageRoutes


async def trade(
    plan: WarmupPlan,
    mode: Mode = "paper",
    *,
    stop: asyncio.Event,
    take_over: bool = False,
    job: Callable[[], int | None] | None = None,
) -> TradeSummary:
    """Trade until ``stop`` is set or a signal comes.

    Args:
        plan: the resolved configuration.
        mode: ``paper`` fills orders locally, ``live`` sends them to Binance.
        stop: set it to shut the trader down.
        take_over: in live mode, whether open orders of another trader, which no longer runs, become
            this one's.
        job: returns the exit code of the job that this process has started, None while it runs;
            the trader waits for its end. None: the wait is ``trade.wait_for_snapshot``.

    Returns:
        What the trader did.

    Raises:
        ConfigError: the plan has no strategy or has ``trade_problems``, or a proxy variable of the
            environment is unusable.
        LiveRefusedError: in live mode, a requirement is not met.
        SnapshotError: no usable snapshot, and ``warmup.on_failure`` is ``fail``.
        TraderError: the node did not start, or could not continue, or another trader uses the same
            ``trade.state_dir``.
    """
    if not plan.strategies:
        raise ConfigError(
            "no strategy is configured, so there is nothing to trade: add `strategy: FILE` to "
            "warmup.yaml (`warmup-job init` writes such a file)"
        )
    if plan.trade_problems:
        raise ConfigError("\n  ".join(plan.trade_problems))
    check_network(plan.venue, live_data=True)
    url, settings = plan.venue.endpoint, plan.trader
    async with AsyncExitStack() as stack:
        # First of all: a second trader must neither change the state nor send a request.
        state_dir = stack.enter_context(held_state_dir(settings.state_dir, mode))
        identity = begin_run(state_dir, settings.trader_id, _order_id_tag(plan))
        writer = stack.enter_context(ReportWriter(state_dir))
        webhook = await stack.enter_async_context(
            notifying(_webhook_settings(plan, mode, identity, state_dir))
        )

        operator = OperatorControl(state_dir)

        def complete(report: Report) -> Report:
            return msgspec.structs.replace(
                report, operator=operator.state, flatten=operator.flatten
            )

        def on_report(report: Report) -> None:
            report = complete(report)
            writer.write(report)
            if webhook is not None:
                webhook.on_report(report)

        reporter = Reporter(mode, on_report)

        def report() -> Report:
            return complete(reporter.now())

        def make_page() -> PageRoutes:
            from warmup_job.handoff.reporting.page.page_routes import PageRoutes
            from warmup_job.handoff.reporting.page.page_view import PageSource

            source = PageSource(
                report, reporter.markets, lambda: reporter.changes,
                plan.venue.environment, url, version("warmup-job"),
            )  # fmt: skip
            return PageRoutes(source)

        await stack.enter_async_context(controlled(state_dir, operator, report))
        both = (plan.root, state_dir.path)  # which can be one folder, and is shown once then
        folders = tuple({each.resolve(): each for each in both}.values())
        http = serving(settings.http_host, settings.http_port, report, make_page, folders)
        await stack.enter_async_context(http)
        # The job records rate limits on the snapshot volume, the trader in its own state.
        await wait_for_limit((plan.root, state_dir.path), url)
        noted = partial(record_limit, state_dir.path, url)
        client = await stack.enter_async_context(
            open_client(plan.venue, plan.deadline_ms, on_limit=noted)
        )
        session, _ = await asyncio.gather(
            asyncio.to_thread(import_module, "warmup_job.trader.session"), _read_clock(client)
        )
        summary: TradeSummary = await session.run_session(
            plan, mode, client, stop, reporter, state_dir, operator, identity,
            take_over=take_over, job=job,
        )  # fmt: skip
        return summary


def _order_id_tag(plan: WarmupPlan) -> str:
    traded = [each for strategy in plan.strategies for each in strategy.instrument_ids]
    return plan.trader.order_id_tag or tag_of_instruments(traded)


def _webhook_settings(
    plan: WarmupPlan, mode: Mode, identity: TraderIdentity, state_dir: StateDir
) -> WebhookSettings | None:
    notify = plan.trader.notify
    if notify.url is None:
        return None
    traded = {symbol for strategy in plan.strategies for symbol in strategy.symbols}
    return WebhookSettings(
        notify.url,
        notify.format,
        NoticeRules(notify.unprotected_after_ms, notify.drawdown_pct),
        f"{mode} trader of {', '.join(sorted(traded))}",
        identity.tag,
        str(state_dir.path.absolute()),
    )


async def _read_clock(client: BinanceClient) -> None:
    try:
        await client.sync_clock()
    except WarmupError as error:
        raise TraderError(f"the trader cannot reach its exchange: {error}") from None
