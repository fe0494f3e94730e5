"""A futures account: what must be known of it before real orders are sent. GETs only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from warmup_job.binance.answers import refusal
from warmup_job.binance.client import make_ccxt
from warmup_job.binance.connection_errors import failure_of
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.errors import BlockedError, ExchangeUnreachableError, WarmupError

_RECEIVE_WINDOW_MS = 5_000  # Nautilus' own
_WRONG_TIME, _WRONG_SIGNATURE, _BAD_KEYS = -1021, -1022, frozenset({-2014, -2015})


@dataclass(frozen=True, slots=True)
class FuturesAccount:
    """What the exchange says of an account; what could not be asked is in ``problems``."""

    can_trade: bool | None = None
    hedge_mode: bool | None = None
    """Positions on both sides at once."""
    available: Mapping[str, Decimal] = field(default_factory=dict)
    """What may be spent, by asset."""
    max_leverage: Mapping[str, int] = field(default_factory=dict)
    """The highest that each symbol's brackets allow."""
    margin_type: Mapping[str, str] = field(default_factory=dict)
    """CROSSED or ISOLATED, by symbol."""
    problems: tuple[str, ...] = ()
    """One line each; no secret in any."""


class _RefusedKeyError(WarmupError):
    """The exchange does not take the key, the signature or the time of a request."""


async def look_at_account(
    url: str, api_key: str, api_secret: str, symbols: Iterable[str], now_ms: int
) -> FuturesAccount:
    """Ask for the account, its position mode, leverage brackets and settings, together.

    Args:
        now_ms: this machine's clock, UTC ms.

    Raises:
        ExchangeUnreachableError, RateLimitedError: no answer; try again.
        BlockedError: the exchange refuses this client, whoever's key it has.
    """
    shown = public_url(url)

    def on_answer(status: int, headers: Mapping[str, str], answer: object) -> None:
        if status == 200 and isinstance(answer, dict | list):
            return
        code = answer.get("code") if isinstance(answer, dict) else None
        lower = {name.lower(): value for name, value in headers.items()}
        message = answer.get("msg") if isinstance(answer, dict) else None
        raise _named(shown, code) or refusal(shown, status, code, lower, now_ms, message=message)

    proxy = proxy_for(url)
    ccxt = make_ccxt(
        on_answer,
        proxy=proxy,
        api_key=api_key,
        api_secret=api_secret,
        receive_window_ms=_RECEIVE_WINDOW_MS,
    )
    urls = ccxt.urls["api"]
    urls["fapiPrivate"], urls["fapiPrivateV2"] = f"{url}/fapi/v1", f"{url}/fapi/v2"
    try:
        answers = await asyncio.gather(
            ccxt.fapiPrivateV2GetAccount({}),
            ccxt.fapiPrivateGetPositionSideDual({}),
            ccxt.fapiPrivateGetLeverageBracket({}),
            ccxt.fapiPrivateGetSymbolConfig({}),
            return_exceptions=True,
        )
    finally:
        await ccxt.close()
    return _account(shown, proxy, list(answers), frozenset(symbols))


def _named(url: str, code: object) -> WarmupError | None:
    """What somebody has to do about a key that is not taken; None: it is something else."""
    if code in _BAD_KEYS:
        return _RefusedKeyError(
            f"{url} does not accept api.api_key (code {code}): look at the key, at its permission "
            "for this market, and at the addresses that it is limited to"
        )
    if code == _WRONG_SIGNATURE:
        return _RefusedKeyError(
            f"{url} does not accept the signature (code {code}): api.api_secret is not that of "
            "api.api_key"
        )
    if code == _WRONG_TIME:
        return _RefusedKeyError(
            f"{url} does not accept this machine's time (code {code}): its clock is more than a "
            "second ahead, or five behind; have it set by NTP"
        )
    return None


def _account(
    url: str, proxy: Proxy | None, answers: list[Any], symbols: frozenset[str]
) -> FuturesAccount:
    problems: dict[str, None] = {}
    good: list[Any] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            good.append(None)
            if not isinstance(answer, WarmupError):
                raise failure_of(answer, url, proxy) from None
            if answer.exit_code in {10, 11} or isinstance(answer, BlockedError):
                raise answer
            problems[str(answer)] = None
        else:
            good.append(answer)
    try:
        account, mode, brackets, settings = good
        account = account or {}
        return FuturesAccount(
            can_trade=account.get("canTrade"),
            hedge_mode=None if mode is None else mode["dualSidePosition"] is True,
            available={
                each["asset"]: Decimal(each["availableBalance"])
                for each in account.get("assets", ())
            },
            max_leverage={
                each["symbol"]: max(int(b["initialLeverage"]) for b in each["brackets"])
                for each in brackets or ()
                if each["symbol"] in symbols
            },
            margin_type={
                each["symbol"]: str(each["marginType"])
                for each in settings or ()
                if each["symbol"] in symbols
            },
            problems=tuple(problems),
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation):
        raise ExchangeUnreachableError(f"{url} does not answer like Binance: no account") from None
