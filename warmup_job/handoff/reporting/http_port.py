"""The trader's HTTP port: /healthz and /readyz for probes, /metrics, and the page at /."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from warmup_job.errors import ConfigError
from warmup_job.handoff.reporting.page import PAGE_PATHS
from warmup_job.handoff.reporting.report import Report
from warmup_job.process.os_errors import cause_of

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Handler

    from warmup_job.handoff.reporting.page.page_routes import PageRoutes


@asynccontextmanager
async def serving(
    host: str,
    port: int | None,
    report: Callable[[], Report],
    make_page: Callable[[], PageRoutes],
    folders: Sequence[Path] = (),
) -> AsyncIterator[None]:
    """Answer probes and serve the page until the block ends.

    /healthz: 200 while the event loop runs. /readyz: 200 when live and contiguous, else 503 with
    the state and the reason. They answer from the loop that trades, so both fail if it hangs.

    Args:
        host: the address to listen on.
        port: the port; None: open none.
        report: returns the present report.
        make_page: imports and makes the page; it runs in a thread, when the first visitor comes.
        folders: whose figures /metrics has too: the snapshot volume, and the state folder.

    Raises:
        ConfigError: the port cannot be opened.
    """
    if port is None:
        yield
        return
    from aiohttp import web

    def answer(status: int, state: Report) -> web.Response:
        body = msgspec.json.encode(state)
        return web.Response(body=body, status=status, content_type="application/json")

    async def health(_: web.Request) -> web.Response:
        return answer(200, report())

    async def ready(_: web.Request) -> web.Response:
        state = report()
        return answer(200 if state.ready else 503, state)

    page: asyncio.Future[PageRoutes] | None = None

    async def show_page(request: web.Request) -> web.StreamResponse:
        nonlocal page
        if page is None or (page.done() and page.exception() is not None):  # once more
            page = asyncio.ensure_future(asyncio.to_thread(make_page))
        routes = await asyncio.shield(page)
        return await routes.answer(request)

    metrics: Handler | None = None

    async def show_metrics(request: web.Request) -> web.StreamResponse:
        nonlocal metrics
        if metrics is None:  # the first scrape, so that no start waits for the import
            metrics = await asyncio.to_thread(_metrics_handler, report, folders)
        return await metrics(request)

    app = web.Application()
    for path in PAGE_PATHS:
        app.router.add_get(path, show_page)
    for path, handler in {"/healthz": health, "/readyz": ready}.items():
        app.router.add_get(path, handler)
    app.router.add_get("/metrics", show_metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigError(
                f"trade.http_port: cannot listen on {host}:{port} ({cause_of(error)}): choose "
                "another port or trade.http_host"
            ) from None
        logger.info(
            "page, probes and metrics at http://{host}:{port}",
            event="http.listening",
            host=host,
            port=runner.addresses[0][1],
        )
        yield
    finally:
        await runner.cleanup()


def _metrics_handler(report: Callable[[], Report], folders: Sequence[Path]) -> Handler:
    from warmup_job.handoff.reporting.metrics_handler import metrics_handler

    return metrics_handler(report, folders)
