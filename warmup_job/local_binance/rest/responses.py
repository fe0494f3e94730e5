"""Makes the HTTP responses: JSON, errors, HTML pages, and parts of them."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from warmup_job.local_binance.faults.distortion import html_page
from warmup_job.local_binance.faults.fault_spec import Fault, FaultStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from warmup_job.local_binance.rest.error_answers import ErrorAnswer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FAULTS = web.RequestKey("faults", tuple[Fault, ...])
"""The faults that hit a request, decided on its arrival."""
_GZIP_FROM_BYTES = 1024
_GZIP_LEVEL = 1  # fast: a page of 1500 rows shrinks to a fifth in 2 ms


def first(faults: Iterable[Fault], stage: FaultStage) -> Fault | None:
    """Return the first fault of this stage, or None."""
    return next((fault for fault in faults if fault.stage is stage), None)


def answer(request: web.Request, body: object, status: int = 200) -> web.Response:
    """Return a JSON response, compressed if it is large and the client accepts gzip."""
    faults = request.get(FAULTS, ())
    shorter = first(faults, FaultStage.HISTORY)
    if shorter is not None and isinstance(body, list):
        body = body[-int(shorter.number or 0) :]
    data = msgspec.json.encode(body)
    damage = first(faults, FaultStage.BODY)
    if damage is not None and damage.kind == "truncate":
        data = data[: int(len(data) * (damage.number or 0.0))]
    response = web.Response(
        body=data, status=status, content_type="application/json", charset="utf-8"
    )
    if len(data) >= _GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        response.body = packer.compress(data) + packer.flush()
        response.headers["Content-Encoding"] = "gzip"
    return response


def error_answer(refused: ErrorAnswer) -> web.Response:
    """Return the response of an error answer."""
    response = web.Response(
        body=msgspec.json.encode({"code": refused.code, "msg": refused.message}),
        status=refused.status,
        content_type="application/json",
        charset="utf-8",
    )
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


def html_answer(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an HTML page as from a firewall or CDN, with the Retry-After of ``headers``."""
    shown = web.Response(text=html_page(status), status=status, content_type="text/html")
    if headers is not None and "Retry-After" in headers:
        shown.headers["Retry-After"] = headers["Retry-After"]
    return shown


async def cut(request: web.Request, response: web.Response, share: float) -> web.StreamResponse:
    """Send the headers of the whole response, and close after ``share`` (0 to 1) of its body."""
    whole = response.body
    if not isinstance(whole, bytes | bytearray):
        return response
    part = web.StreamResponse(status=response.status, headers=response.headers)
    part.content_length = len(whole)
    await part.prepare(request)
    await part.write(whole[: int(len(whole) * share)])
    if request.transport is not None:
        request.transport.close()  # after the written bytes are sent
    return part
