"""What a failed connection means: the causes that somebody can mend are told apart."""

from __future__ import annotations

import ssl

import aiohttp

from warmup_job.binance.proxies import Proxy
from warmup_job.errors import ExchangeUnreachableError, NotTheExchangeError

_PROXY_LOGIN = 407


def failure_of(
    error: BaseException, url: str, proxy: Proxy | None = None
) -> ExchangeUnreachableError:
    """Return our error for ccxt's. ccxt's own texts are not shown: they can hold signed URLs.

    Args:
        url: where it asked, without credentials.
        proxy: what it asked through.
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
                "or see whether the proxy is up"
            )
        said = getattr(cause, "verify_message", "")  # aiohttp's own class of it has none
        if isinstance(cause, ssl.SSLCertVerificationError) and said:
            return NotTheExchangeError(
                f"{url} shows a certificate that is not accepted{through} "
                f"({said.rstrip('.')}): a company's own authority belongs in "
                "SSL_CERT_FILE; if it is about dates, see this machine's clock"
            )
    return ExchangeUnreachableError(
        f"cannot reach {url}{through} ({_reason(causes[-1])}): check the network and api.base_url"
    )


def _refused_by_proxy(status: int, proxy: Proxy | None) -> ExchangeUnreachableError:
    variable = "the environment" if proxy is None else proxy.variable
    if status == _PROXY_LOGIN:
        return NotTheExchangeError(
            f"the proxy of {variable} does not accept its user and password (HTTP 407): correct "
            "the variable"
        )
    return ExchangeUnreachableError(
        f"the proxy of {variable} does not connect to the exchange (HTTP {status}): see what it "
        "allows"
    )


def _reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
