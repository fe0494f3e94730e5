"""aiohttp's session as ccxt calls it: one proxy, no redirects, and no answer without an end.

An answer is read up to what its request can be answered with, unpacked, and not a byte further: an
endless one, or a small one that unpacks to gigabytes, would otherwise fill the memory until the
deadline.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from yarl import URL

from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy
from warmup_job.errors import NotTheExchangeError

_KIB = 1024
_ANY_BYTES = 256 * _KIB  # any answer, also somebody's error page
_ROW_BYTES = 512  # a kline is 150 to 250
_LIST_BYTES = 8 * _KIB * _KIB  # the list of every symbol is about 1.5 MiB on futures


def most_bytes(url: URL) -> int:
    """How large an answer to ``url`` may be, unpacked; far more than Binance sends."""
    if url.path.endswith("lines"):
        limit = url.query.get("limit", "")
        return _ANY_BYTES + _ROW_BYTES * (int(limit) if limit.isascii() and limit.isdigit() else 0)
    return _ANY_BYTES if url.path.endswith(("/time", "/ping")) else _LIST_BYTES


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose body is read up to `most_bytes` of its URL."""

    async def read(self) -> bytes:
        """Read and unpack the body.

        Raises:
            NotTheExchangeError: it is larger than any answer to this request can be.
        """
        if self._body is None:
            most, body = most_bytes(self.url), bytearray()
            announced = self.content_length
            while announced is None or announced <= most:
                chunk = await self.content.readany()
                if not chunk:
                    self._body = bytes(body)
                    break
                body += chunk
                if len(body) > most:
                    break
            if self._body is None:
                self.close()
                raise NotTheExchangeError(
                    f"{_origin(self.url)} answered with more than {most // _KIB} KiB to "
                    f"{self.url.path}, which no answer of Binance's has: see what stands between"
                )
        return await super().read()


class Session:
    """Hands ccxt's requests to an aiohttp session, each with our own terms.

    Args:
        inner: made with `BoundedResponse`; closed by `close`.
        proxy: what every request goes through; None: none, whatever the environment says.
    """

    def __init__(self, inner: aiohttp.ClientSession, proxy: Proxy | None) -> None:
        # aiohttp asks once more by itself when a kept connection was cut: requests that nobody
        # counts. It has no public switch.
        inner._retry_connection = False
        self._inner = inner
        self._proxy = proxy
        self.headers = inner.headers
        """What every request is sent with; ccxt reads it."""

    def get(self, url: URL, **options: Any) -> Any:  # noqa: ANN401  # as aiohttp's
        """Send a GET as ccxt asks for it; nothing here sends another method."""
        options |= {"allow_redirects": False, "proxy": None}
        if self._proxy is not None:
            options["proxy"] = self._proxy.address
            login = self._proxy.authorization
            if login is not None and url.scheme == "https":
                options["proxy_headers"] = {"Proxy-Authorization": login}
            elif login is not None:  # there is no CONNECT that it would belong to
                options["headers"] = {**options["headers"], "Proxy-Authorization": login}
        return self._inner.get(url, **options)

    async def close(self) -> None:
        """Close the connections."""
        await self._inner.close()


def _origin(url: URL) -> str:
    return public_url(str(url.origin()))
