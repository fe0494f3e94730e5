"""Serves the page and its data, so that no visitor can slow the trader down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Final

import msgspec
from aiohttp import web

from warmup_job.charting_library import charting_script
from warmup_job.handoff.reporting.page.page_view import PageSource, PageView

_FRESH_S = 0.5  # for so long all visitors receive the same answer
_MOST_A_SECOND = 40  # a page asks once a second
_MOST_AT_ONCE = 16
_SEND_S = 10.0
_CHARTING = "charting library"
_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("trader.html", "text/html"),
    "/trader.css": ("trader.css", "text/css"),
    "/trader.js": ("trader.js", "text/javascript"),
    "/charting.js": (_CHARTING, "text/javascript"),
}
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageRoutes:
    """Answers the paths of the page: ``/``, its files, ``/status`` and ``/bars``.

    While nobody looks it does nothing. However many look, it makes at most two views a second,
    answers a limited number of requests a second and at a time, and gives up a visitor that does
    not read.

    Args:
        source: where the data comes from.
        send_s: how long a visitor may take to receive an answer, seconds.
        clock_s: returns a time that never goes back, seconds.
    """

    def __init__(
        self,
        source: PageSource,
        send_s: float = _SEND_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._send_s = send_s
        self._clock_s = clock_s
        self._files: dict[str, bytes] = {}
        self._view: tuple[float, PageView, bytes] | None = None  # the first: when it was made
        self._bars: dict[str, tuple[int, bytes]] = {}  # by bar type: the last close, the answer
        self._sending = 0
        self._second, self._count = 0, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a GET of one of the page's paths."""
        if not self._admits():
            headers = {**_HEADERS, "Retry-After": "1"}
            return web.Response(status=503, text="too many visitors", headers=headers)
        kind = "application/json"
        match request.path:
            case "/status":
                _, body = self._fresh_view()
            case "/bars":
                body = self._fresh_bars(request.query.get("type", ""))
            case path:
                name, kind = _FILES[path]
                if name not in self._files:
                    self._files[name] = await asyncio.to_thread(_read, name)
                body = self._files[name]
        return await self._send(request, body, kind)

    def _fresh_view(self) -> tuple[PageView, bytes]:
        now_s = self._clock_s()
        if self._view is None or now_s - self._view[0] > _FRESH_S:
            view = self._source.view()
            self._view = now_s, view, msgspec.json.encode(view)
        return self._view[1:]

    def _fresh_bars(self, bar_type: str) -> bytes:
        markets, (view, _) = self._source.markets(), self._fresh_view()
        closes = {each.bar_type: each.contiguous_to_ms for each in view.report.streams}
        if markets is None or bar_type not in closes:
            raise web.HTTPNotFound(text="the trader follows no such bars", headers=_HEADERS)
        close_ms, body = self._bars.get(bar_type, (-1, b""))
        if close_ms != closes[bar_type]:
            body = msgspec.json.encode(markets.bars(bar_type))
            self._bars[bar_type] = closes[bar_type], body
        return body

    async def _send(self, request: web.Request, body: bytes, kind: str) -> web.StreamResponse:
        answer = web.Response(body=body, content_type=kind, charset="utf-8", headers=_HEADERS)
        self._sending += 1
        try:
            async with asyncio.timeout(self._send_s):
                await answer.prepare(request)
                await answer.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._sending -= 1
        return answer

    def _admits(self) -> bool:
        """Count a request, and return whether it may be answered."""
        second = int(self._clock_s())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= _MOST_A_SECOND and self._sending < _MOST_AT_ONCE


def _read(name: str) -> bytes:
    if name == _CHARTING:
        return charting_script().encode()
    return files(__package__).joinpath(name).read_bytes()
