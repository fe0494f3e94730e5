"""Check what live trading requires of the configuration and of the account (GET requests only)."""

from __future__ import annotations

import time

from warmup_job.binance.api_keys import signing_secret
from warmup_job.binance.futures_account import fetch_account
from warmup_job.doctor.finding import Finding, failed, passed, skipped
from warmup_job.errors import LiveRefusedError, WarmupError
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.trader.live_requirements import account_problems, settings_problems

_REMEDY = "correct the venue file, warmup.yaml or the account (docs/how-to/live-checklist.md)"


def check_live_settings(plan: WarmupPlan) -> list[Finding]:
    """Check what live trading requires of the configuration."""
    found = [failed("live", LiveRefusedError(line), _REMEDY) for line in settings_problems(plan)]
    return found or [passed("live", "the configuration has what live trading requires")]


async def check_account(plan: WarmupPlan) -> list[Finding]:
    """Read the account and compare it with the venue file.

    Args:
        plan: The configuration; its keys are needed.
    """
    venue = plan.venue
    if settings_problems(plan):
        return [skipped("account", "the check `live` failed")]
    key, secret = venue.api_key or "", signing_secret(venue.api_secret or "")
    symbols = {symbol for strategy in plan.strategies for symbol in strategy.symbols}
    try:
        account = await fetch_account(
            venue.rest_url, key, secret, symbols, time.time_ns() // 1_000_000
        )
    except WarmupError as error:
        return [failed("account", error, otherwise="try again in a minute")]
    found = [
        failed("account", LiveRefusedError(line), _REMEDY)
        for line in account_problems(venue, account)
    ]
    return found or [passed("account", "the key works, and the account fits the venue file")]
