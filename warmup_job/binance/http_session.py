"""Wrap aiohttp's session for ccxt: one proxy, no redirects, and a limit on an answer's size.

The limit counts decompressed bytes. Without it an endless answer, or a small one that decompresses
to gigabytes, would fill the memory until the deadline.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from yarl import URL

from warmup_job.binance.endpoints import public_url
from warmup_job.binance.proxies import Proxy
from warmup_job.errors import NotTheExchangeError

_KIB = 1024
_ANY_BYTES = 256 * _KIB  # any answer, including an error page
_ROW_BYTES = 512  # a kline is 150 to 250
_LIST_BYTES = 8 * _KIB * _KIB  # the list of every symbol is about 1.5 MiB on futures


def max_answer_bytes(url: URL) -> int:
    """Return the largest accepted answer to ``url``, in decompressed bytes."""
    if url.path.endswith("lines"):
        limit = url.query.get("limit", "")
        return _ANY_BYTES + _ROW_BYTES * (int(limit) if limit.isascii() and limit.isdigit() else 0)
    return _ANY_BYTES if url.path.endswith(("/time", "/ping")) else _LIST_BYTES


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose body may have at most `max_answer_bytes`."""

    async def read(self) -> bytes:
        """Read and decompress the body.

        Raises:
            NotTheExchangeError: The body is larger than any answer to this request.
        """
        if self._body is None:
            limit, body = max_answer_bytes(self.url), bytearray()
            announced = self.content_length
            while announced is None or announced <= limit:
                chunk = await self.content.readany()
                if not chunk:
                    self._body = bytes(body)
                    break
                body += chunk
                if len(body) > limit:
                    break
            if self._body is None:
                self.close()
                raise NotTheExchangeError(
                    f"{public_url(str(self.url.origin()))} answered {self.url.path} with more than "
                    f"{limit // _KIB} KiB, more than Binance sends: check the proxy or portal in "
                    "between"
                )
        return await super().read()


class CcxtSession:
    """Send ccxt's requests through an aiohttp session, with our proxy and without redirects.

    Args:
        inner: A session made with `BoundedResponse`; `close` closes it.
        proxy: The proxy of every request; None: connect directly and ignore the environment.
    """

    def __init__(self, inner: aiohttp.ClientSession, proxy: Proxy | None) -> None:
        # aiohttp repeats a GET when a kept connection was cut, and the weight budget would not
        # count it. There is no public switch.
        inner._retry_connection = False
        self._inner = inner
        self._proxy = proxy
        self.headers = inner.headers
        """The default headers, which ccxt reads."""

    def get(self, url: URL, **options: Any) -> Any:  # noqa: ANN401  # as aiohttp's
        """Send a GET request with ccxt's options; no other method is supported."""
        options |= {"allow_redirects": False, "proxy": None}
        if self._proxy is not None:
            options["proxy"] = self._proxy.address
            login = self._proxy.authorization
            if login is not None and url.scheme == "https":
                options["proxy_headers"] = {"Proxy-Authorization": login}
            elif login is not None:  # no CONNECT request carries it
                options["headers"] = {**options["headers"], "Proxy-Authorization": login}
        return self._inner.get(url, **options)

    async def close(self) -> None:
        """Close the connections."""
        await self._inner.close()
