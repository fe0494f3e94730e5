"""Read a futures account before live trading. It sends GET requests only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from warmup_job.binance.answers import answer_error
from warmup_job.binance.client import make_ccxt
from warmup_job.binance.connection_errors import connection_error
from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy, proxy_for
from warmup_job.errors import BlockedError, ExchangeUnreachableError, LiveRefusedError, WarmupError

_RECEIVE_WINDOW_MS = 5_000  # as Nautilus
_WRONG_TIME, _WRONG_SIGNATURE, _BAD_KEYS = -1021, -1022, frozenset({-2014, -2015})


class FuturesAccount(msgspec.Struct, frozen=True):
    """The state of an account; ``problems`` explains what could not be read."""

    can_trade: bool | None = None
    hedge_mode: bool | None = None
    """Whether long and short positions can be open together."""
    multi_assets: bool | None = None
    """Whether all margin assets share one margin."""
    available: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    """Available balance by asset."""
    max_leverage: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Highest leverage by symbol, from its brackets."""
    margin_type: Mapping[str, str] = msgspec.field(default_factory=dict)
    """CROSSED or ISOLATED, by symbol."""
    problems: tuple[str, ...] = ()
    """One line each; they contain no secret."""


class _RefusedKeyError(LiveRefusedError):
    """The exchange rejects the key, the signature or the timestamp of a request."""


async def fetch_account(
    url: str, api_key: str, api_secret: str, symbols: Iterable[str], now_ms: int
) -> FuturesAccount:
    """Fetch the account, its position and assets modes, brackets and symbol settings, all at once.

    Args:
        url: The REST base URL.
        api_key: The API key.
        api_secret: See `warmup_job.binance.api_keys.signing_secret`.
        symbols: The symbols whose leverage and margin type are needed.
        now_ms: This machine's clock, UTC ms.

    Raises:
        ExchangeUnreachableError: No usable answer; retry later.
        RateLimitedError: The exchange limits or bans this IP.
        BlockedError: The exchange refuses this client, whatever its key.
    """
    shown = public_url(url)

    def on_answer(status: int, headers: Mapping[str, str], answer: object) -> None:
        if status == 200 and isinstance(answer, dict | list):
            return
        code = answer.get("code") if isinstance(answer, dict) else None
        lower = {name.lower(): value for name, value in headers.items()}
        message = answer.get("msg") if isinstance(answer, dict) else None
        raise _key_error(shown, code) or answer_error(
            shown, status, code, lower, now_ms, message=message
        )

    proxy = proxy_for(url)
    ccxt = make_ccxt(
        on_answer,
        proxy=proxy,
        api_key=api_key,
        api_secret=api_secret,
        receive_window_ms=_RECEIVE_WINDOW_MS,
        is_encrypted=url.startswith("https:"),
    )
    urls = ccxt.urls["api"]
    urls["fapiPrivate"], urls["fapiPrivateV2"] = f"{url}/fapi/v1", f"{url}/fapi/v2"
    try:
        answers = await asyncio.gather(
            ccxt.fapiPrivateV2GetAccount({}),
            ccxt.fapiPrivateGetPositionSideDual({}),
            ccxt.fapiPrivateGetMultiAssetsMargin({}),
            ccxt.fapiPrivateGetLeverageBracket({}),
            ccxt.fapiPrivateGetSymbolConfig({}),
            return_exceptions=True,
        )
    finally:
        await ccxt.close()
    return _account(shown, proxy, list(answers), frozenset(symbols))


def _key_error(url: str, code: object) -> WarmupError | None:
    """Return the error of a rejected key, signature or timestamp; None: another code."""
    if code in _BAD_KEYS:
        return _RefusedKeyError(
            f"{url} does not accept api.api_key (code {code}): check the key, its permission for "
            "this market, and its list of allowed IP addresses"
        )
    if code == _WRONG_SIGNATURE:
        return _RefusedKeyError(
            f"{url} does not accept the signature (code {code}): api.api_secret does not belong to "
            "api.api_key; correct one of them"
        )
    if code == _WRONG_TIME:
        return _RefusedKeyError(
            f"{url} does not accept this machine's time (code {code}): the clock offset is above "
            f"+1 s or below −{_RECEIVE_WINDOW_MS // 1000} s; synchronize the clock by NTP"
        )
    return None


def _account(
    url: str, proxy: Proxy | None, answers: list[Any], symbols: frozenset[str]
) -> FuturesAccount:
    problems: dict[str, None] = {}
    results: list[Any] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            results.append(None)
            if not isinstance(answer, WarmupError):
                raise connection_error(answer, url, proxy) from None
            if answer.exit_code in {10, 11} or isinstance(answer, BlockedError):
                raise answer
            problems[str(answer)] = None
        else:
            results.append(answer)
    try:
        account, mode, assets, brackets, settings = results
        account = account or {}
        return FuturesAccount(
            can_trade=account.get("canTrade"),
            hedge_mode=None if mode is None else mode["dualSidePosition"] is True,
            multi_assets=None if assets is None else assets["multiAssetsMargin"] is True,
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
        raise ExchangeUnreachableError(
            f"{url} is not Binance's API: its answer is no account"
        ) from None
