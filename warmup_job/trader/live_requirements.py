"""What live trading requires besides `--mode live`: keys, account, and a proven history."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from warmup_job.acquire.judge import explain
from warmup_job.binance.api_keys import signing_secret
from warmup_job.errors import LiveRefusedError, SnapshotError, TraderError, WarmupError
from warmup_job.handoff.live_account.other_trader_watch import (
    foreign_orders,
    other_traders_problem,
    unowned_lines,
)
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.reporting.report import now_ms
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.venue_plan import VenuePlan
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.snapshot.rate_limits import record_limit
from warmup_job.trader.history import histories_of
from warmup_job.trader.size_requirements import order_size_problems
from warmup_job.trader.snapshot_wait import NO_WAIT, SnapshotWait, awaited_snapshot

if TYPE_CHECKING:
    from warmup_job.binance.account_reader import AccountSnapshot
    from warmup_job.binance.client import BinanceClient
    from warmup_job.binance.futures_account import FuturesAccount
    from warmup_job.handoff.live_bars.stream_history import History


class LiveStart(msgspec.Struct, frozen=True):
    """What live trading starts with.

    Args:
        histories: one for each stream of the strategies.
        adopted: tags of other traders whose open orders are taken over.
    """

    histories: list[History]
    adopted: frozenset[str] = frozenset()

    async def loaded(self) -> list[History]:
        """Return the histories, as `BaseRunner.run` awaits them."""
        return self.histories


async def check_live_requirements(
    plan: WarmupPlan,
    client: BinanceClient,
    identity: TraderIdentity,
    wait: SnapshotWait = NO_WAIT,
    *,
    take_over: bool,
) -> LiveStart:
    """Check every requirement of live trading and report all that fail at once.

    Args:
        plan: what to trade and where.
        client: the client of the exchange; its clock has been synchronised.
        identity: tells which open orders are the trader's own.
        wait: how long to wait for a snapshot; not at all if another requirement is not met.
        take_over: whether open orders of other traders become this one's.

    Raises:
        LiveRefusedError: at least one requirement is not met; the message lists all of them.
        TraderError: the exchange does not answer about the account.
    """
    problems = settings_problems(plan)
    found, account = await _account_problems(plan, client)
    problems += found
    adopted: frozenset[str] = frozenset()
    if account is not None and take_over:
        adopted = frozenset(foreign_orders(identity, account))
    elif account is not None and (other := other_traders_problem(identity, account)):
        problems.append(other)
    found, histories = await _load(plan, client, NO_WAIT if problems else wait)
    problems += found
    problems += order_size_problems(plan.strategies, histories)
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise LiveRefusedError(
            f"live trading is refused, {len(problems)} requirement(s) are not met:{lines}"
        )
    if account is not None:
        for line in unowned_lines(identity, account):
            logger.warning("{_problem}", event="live.warning", _problem=line)
    if adopted:
        logger.warning(
            "taking over the open orders of: {traders}",
            event="live.taking_over_orders",
            traders=", ".join(sorted(adopted)),
        )
    return LiveStart(histories, adopted)


def settings_problems(plan: WarmupPlan) -> list[str]:
    """Return what the configuration lacks for live trading, one line each."""
    venue = plan.venue
    problems = [
        f"api.{name} in the venue file: it is not set"
        for name, value in (("api_key", venue.api_key), ("api_secret", venue.api_secret))
        if not value
    ]
    problems += _key_problems(venue)
    if venue.market == "spot":
        problems.append("this version does not offer live trading on spot: use --mode paper")
    elif not venue.hedge_mode:
        problems.append(
            "trading.hedge_mode in the venue file: it is false; LONG and SHORT positions side by "
            "side need it"
        )
    if venue.leverage > venue.max_leverage:
        problems.append(
            f"trading.leverage {venue.leverage} is above risk.max_leverage {venue.max_leverage}"
        )
    if not plan.require_proof:
        problems.append("warmup.require: real orders need a proof, write proven")
    return problems


def account_problems(venue: VenuePlan, account: FuturesAccount) -> list[str]:
    """Return what is wrong with the account at Binance, one line each.

    Args:
        venue: the venue file's settings.
        account: what Binance answered.
    """
    problems = list(account.problems)
    if account.can_trade is False:
        problems.append("the account may not trade (canTrade is false): check its permissions")
    if account.hedge_mode is False:
        problems.append(
            "the account is in one-way mode: switch to hedge mode at Binance (position mode), with "
            "no position and no order open"
        )
    if account.multi_assets is True:
        problems.append(
            "the account is in multi-assets mode, whose margin other assets share: switch to "
            "single-asset mode at Binance (asset mode), with no position and no order open"
        )
    if account.can_trade is not None and not any(account.available.values()):
        problems.append("the account has nothing to trade with: its available balance is zero")
    problems += [
        f"trading.leverage {venue.leverage} is above what {symbol} allows ({highest})"
        for symbol, highest in sorted(account.max_leverage.items())
        if venue.leverage > highest
    ]
    problems += [
        f"the account's margin type of {symbol} is {there}, but trading.margin_type is "
        f"{venue.margin_type}: change one of them, with no position and no order open"
        for symbol, there in sorted(account.margin_type.items())
        if there != venue.margin_type
    ]
    return problems


def history_problems(histories: Iterable[History]) -> list[str]:
    """Return which histories are too short or prove no regime, one line each."""
    problems = []
    for history in histories:
        name = f"{venue_symbol(str(history.bar_type.instrument_id))} {history.interval.name}"
        certificate = history.certificate
        if not history.bars:
            problems.append(f"{name}: its history could not be brought up to date")
        elif history.proof is not None and (certificate is None or not certificate.proven):
            reason = "no certificate" if certificate is None else explain(certificate)
            problems.append(f"{name}: its regime is not proven: {reason}")
        elif len(history.bars) < history.wanted and not history.from_listing:
            problems.append(f"{name}: {len(history.bars)} bars of {history.wanted}")
    return problems


def _key_problems(venue: VenuePlan) -> list[str]:
    """Return why the keys that are set cannot sign a request."""
    problems = []
    if venue.api_key and not re.fullmatch(r"[!-~]+", venue.api_key):
        problems.append("api.api_key in the venue file: it holds a blank or a line break")
    try:
        _ = venue.api_secret and signing_secret(venue.api_secret)
    except ValueError as error:
        problems.append(f"api.api_secret in the venue file: {error}")
    return problems


async def _account_problems(
    plan: WarmupPlan, client: BinanceClient
) -> tuple[list[str], AccountSnapshot | None]:
    """Return what is wrong with the account, and its positions and orders if they can be read."""
    from warmup_job.binance.account_reader import AccountReader
    from warmup_job.binance.futures_account import fetch_account

    venue = plan.venue
    key, secret = venue.api_key or "", venue.api_secret or ""
    if venue.market == "spot" or not (key and secret) or _key_problems(venue):
        return [], None  # `settings_problems` reports these
    symbols = {symbol for strategy in plan.strategies for symbol in strategy.symbols}
    try:
        signing = signing_secret(secret)
        account = await fetch_account(venue.rest_url, key, signing, symbols, now_ms())
        problems = account_problems(venue, account)
        if account.problems:
            return problems, None
        async with AccountReader(client, venue.rest_url, key, signing, sorted(symbols)) as reader:
            return problems, await reader.read()
    except WarmupError as error:
        if error.remember_until_ms is not None:
            record_limit(plan.trader.state_dir, venue.endpoint, error.remember_until_ms)
        raise TraderError(f"Binance does not answer about the account: {error}") from None


async def _load(
    plan: WarmupPlan, client: BinanceClient, wait: SnapshotWait
) -> tuple[list[str], list[History]]:
    """Load the histories, refreshed where the snapshot is old; a snapshot is required."""
    try:
        snapshot = await awaited_snapshot(plan, client.now_ms, wait)
        histories = await histories_of(plan, snapshot, client)
    except SnapshotError as error:
        return [f"the snapshot: {problem}" for problem in error.problems], []
    return history_problems(histories), histories
