"""A web server that a webhook posts to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.background_loop import background_loop
from tests.support.suite import HANG_S

PATH = "/services/T0/B0/very-secret"


@dataclass
class Receiver:
    """A web server that records what it gets, and answers with these codes, the last one for ever.

    A code of 0 means that it never answers.
    """

    codes: list[int] = field(default_factory=lambda: [200])
    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    seen: list[web.BaseRequest] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.bodies.append(json.loads(await request.read()))
        self.seen.append(request)
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code == 0:
            await asyncio.sleep(HANG_S)
        return web.Response(status=code, headers={"Location": "/elsewhere"})


@contextmanager
def receiving(*codes: int) -> Iterator[Receiver]:
    """Run a receiver in a thread; without codes it answers 200."""
    receiver = Receiver(list(codes) or [200])
    with background_loop() as loop:

        async def start() -> web.ServerRunner:
            runner = web.ServerRunner(web.Server(receiver.handle), shutdown_timeout=0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return runner

        runner = asyncio.run_coroutine_threadsafe(start(), loop).result(HANG_S)
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield receiver
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(HANG_S)
