"""Translate connection failures into our own errors, each with its remedy."""

from __future__ import annotations

import ssl

import aiohttp

from warmup_job.binance.proxies import Proxy
from warmup_job.errors import ExchangeUnreachableError, NotTheExchangeError

_PROXY_LOGIN = 407


def connection_error(
    error: BaseException, url: str, proxy: Proxy | None = None
) -> ExchangeUnreachableError:
    """Return our error for an error of ccxt. ccxt's text is not used: it can hold a signed URL.

    Args:
        error: ccxt's error, with aiohttp's as its cause.
        url: The REST base URL, without credentials.
        proxy: The proxy that was used.
    """
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    through = "" if proxy is None else f" through the proxy of {proxy.variable}"
    for cause in causes:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return _refused_by_proxy(cause.status, proxy)
        if isinstance(cause, aiohttp.ClientProxyConnectionError):
            variable = "the environment" if proxy is None else proxy.variable
            return ExchangeUnreachableError(
                f"cannot connect to the proxy of {variable} ({_reason(causes[-1])}): correct it, "
                "or start the proxy"
            )
        reason = getattr(cause, "verify_message", "")  # missing in aiohttp's own class
        if isinstance(cause, ssl.SSLCertVerificationError) and reason:
            return NotTheExchangeError(
                f"the certificate of {url}{through} is not accepted ({reason.rstrip('.')}): if "
                "your company has its own authority, set SSL_CERT_FILE; if a date is wrong, check "
                "this machine's clock"
            )
    return ExchangeUnreachableError(
        f"cannot reach {url}{through} ({_reason(causes[-1])}): check the network and api.base_url"
    )


def _refused_by_proxy(status: int, proxy: Proxy | None) -> ExchangeUnreachableError:
    variable = "the environment" if proxy is None else proxy.variable
    if status == _PROXY_LOGIN:
        return NotTheExchangeError(
            f"the proxy of {variable} rejects the user and password (HTTP 407): correct the "
            "variable"
        )
    return ExchangeUnreachableError(
        f"the proxy of {variable} does not connect to the exchange (HTTP {status}): allow the "
        "exchange's host there"
    )


def _reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
