"""What live trading demands beside `--mode live`: all of it is looked at, then all is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_job.acquire.prove import explain
from warmup_job.binance.api_keys import signing_secret
from warmup_job.binance.endpoints import rest_url
from warmup_job.config import WarmupConfig
from warmup_job.errors import (
    LiveRefusedError,
    SnapshotError,
    TraderError,
    WarmupError,
)
from warmup_job.handoff.report import now_ms
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.streams import endpoint
from warmup_job.plan.traded import traded
from warmup_job.snapshot.limits import record_limit
from warmup_job.trader.history import histories_of, open_for_trading

if TYPE_CHECKING:
    from warmup_job.binance.client import BinanceClient
    from warmup_job.handoff.bar_stream import History


async def prepared_for_live(
    config: WarmupConfig, root: Path, client: BinanceClient
) -> list[History]:
    """The histories to trade on, if nothing is missing: keys, account, a fresh proven snapshot.

    Raises:
        LiveRefusedError: with everything that is missing, one line each.
        TraderError: the exchange cannot be asked for the account.
    """
    problems = _of_files(config)
    problems += await _of_account(config)
    found, histories = await _of_snapshot(config, root, client)
    problems += found
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise LiveRefusedError(
            f"live trading is refused, {len(problems)} thing(s) are missing:{lines}"
        )
    return histories


def _of_files(config: WarmupConfig) -> list[str]:
    venue = config.venue
    problems = [
        f"api.{name} in the venue file: it is not set"
        for name in ("api_key", "api_secret")
        if not getattr(venue.api, name)
    ]
    problems += _of_keys(venue.api.api_key or "", venue.api.api_secret or "")
    if venue.market == "spot":
        problems.append("live trading on spot is not offered by this version: use --mode paper")
    elif not venue.trading.hedge_mode:
        problems.append(
            "trading.hedge_mode in the venue file: it is false; LONG and SHORT positions side by "
            "side need it"
        )
    if venue.trading.leverage > venue.risk.max_leverage:
        problems.append(
            f"trading.leverage {venue.trading.leverage} is above risk.max_leverage "
            f"{venue.risk.max_leverage}"
        )
    if config.warmup.require != "proven":
        problems.append("warmup.require: real orders need a proof, write proven")
    return problems


def _of_keys(api_key: str, api_secret: str) -> list[str]:
    """Why what is set cannot sign."""
    problems = []
    if api_key and not re.fullmatch(r"[!-~]+", api_key):
        problems.append("api.api_key in the venue file: it holds a blank or a line break")
    try:
        _ = api_secret and signing_secret(api_secret)
    except ValueError as error:
        problems.append(f"api.api_secret in the venue file: {error}")
    return problems


async def _of_account(config: WarmupConfig) -> list[str]:
    from warmup_job.binance.futures_account import look_at_account

    venue = config.venue
    key, secret = venue.api.api_key or "", venue.api.api_secret or ""
    if venue.market == "spot" or not (key and secret) or _of_keys(key, secret):
        return []  # that is said already
    symbols = {symbol for each in traded(config) for symbol in each.symbols}
    url = rest_url(venue.market, venue.environment, venue.api.base_url)
    try:
        account = await look_at_account(url, key, signing_secret(secret), symbols, now_ms())
    except WarmupError as error:
        if error.remember_until_ms is not None:
            record_limit(config.trade.state_dir, endpoint(config), error.remember_until_ms)
        raise TraderError(f"the account cannot be looked at: {error}") from None
    problems = list(account.problems)
    if account.can_trade is False:
        problems.append("the account may not trade (canTrade is false): look at its permissions")
    if account.hedge_mode is False:
        problems.append(
            "the account is in one-way mode: switch to hedge mode at Binance (position mode), with "
            "no position and no order open"
        )
    if account.can_trade is not None and not any(account.available.values()):
        problems.append("the account has nothing to trade with: its available balance is zero")
    problems += [
        f"trading.leverage {venue.trading.leverage} is above what {symbol} allows ({highest})"
        for symbol, highest in sorted(account.max_leverage.items())
        if venue.trading.leverage > highest
    ]
    problems += [
        f"the account's margin type of {symbol} is {there}, trading.margin_type says "
        f"{venue.trading.margin_type}: set either, with no position and no order open"
        for symbol, there in sorted(account.margin_type.items())
        if there != venue.trading.margin_type
    ]
    return problems


async def _of_snapshot(
    config: WarmupConfig, root: Path, client: BinanceClient
) -> tuple[list[str], list[History]]:
    """An old snapshot is brought up to date first; without any, live trading does not begin."""
    try:
        snapshot = open_for_trading(config, root, client.now_ms())
        histories = await histories_of(config, snapshot, client)
    except SnapshotError as error:
        return [f"the snapshot: {problem}" for problem in error.problems], []
    problems = []
    for history in histories:
        name = f"{venue_symbol(str(history.bar_type.instrument_id))} {history.interval.name}"
        certificate = history.certificate
        if not history.bars:
            problems.append(f"{name}: its history could not be brought up to date")
        elif history.proof is not None and (certificate is None or not certificate.proven):
            said = "no certificate" if certificate is None else explain(certificate)
            problems.append(f"{name}: its regime is not proven: {said}")
        elif len(history.bars) < history.wanted and not history.from_listing:
            problems.append(f"{name}: {len(history.bars)} bars of {history.wanted}")
    return problems, histories
