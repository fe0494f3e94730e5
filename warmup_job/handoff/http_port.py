"""The trader's HTTP port: /healthz, /readyz and /metrics, for probes and Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from loguru import logger

from warmup_job.errors import ConfigError
from warmup_job.handoff.report import Report, metrics


@asynccontextmanager
async def serving(host: str, port: int | None, report: Callable[[], Report]) -> AsyncIterator[None]:
    """Answer probes while within; a port of None: none is opened.

    /healthz: 200 while the event loop turns. /readyz: 200 when live and contiguous, else 503 with
    the state and why. They answer from the loop that trades: one that hangs fails both.

    Raises:
        ConfigError: the port cannot be had.
    """
    if port is None:
        yield
        return
    from aiohttp import web

    def answer(status: int, said: Report) -> web.Response:
        body = msgspec.json.encode(said)
        return web.Response(body=body, status=status, content_type="application/json")

    async def health(_: web.Request) -> web.Response:
        return answer(200, report())

    async def ready(_: web.Request) -> web.Response:
        said = report()
        return answer(200 if said.ready else 503, said)

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(text=metrics(report()), content_type="text/plain", charset="utf-8")

    app = web.Application()
    for path, handler in {"/healthz": health, "/readyz": ready, "/metrics": show_metrics}.items():
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigError(
                f"trade.http_port: cannot listen on {host}:{port} ({error.strerror}): choose "
                "another port or trade.http_host"
            ) from None
        logger.info("probes and metrics at http://{}:{}", host, runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()
