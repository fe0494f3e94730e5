"""TCP servers and proxies in a thread."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator

from tests.support.background_loop import background_loop
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S

type Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A TCP server in a thread; yields its port."""
    with background_loop() as loop:
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls), loop
        ).result(HANG_S)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:

            async def end() -> None:
                server.close()
                tasks = asyncio.all_tasks() - {asyncio.current_task()}
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            asyncio.run_coroutine_threadsafe(end(), loop).result(HANG_S)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def tunnel_to(exchange: Exchange) -> Handler:
    """Forward every connection to the exchange."""
    host, port = exchange.url.removeprefix("http://").split(":")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_in, there_out = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, there_out), pipe(there_in, writer))

    return handle


def forward_proxy(exchange: Exchange, seen: list[str], login: str | None = None) -> Handler:
    """Run an HTTP proxy that forwards absolute requests and CONNECT to the exchange.

    ``seen`` gets the first line of each request. With ``login`` (user:password) it answers 407 to
    a client that does not send it.
    """
    host, port = exchange.url.removeprefix("http://").split(":")
    wanted = None if login is None else f"Basic {base64.b64encode(login.encode()).decode()}"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:  # no request came
            writer.close()
            return
        line, *headers = head.split("\r\n")
        sent = [h.partition(":")[2].strip() for h in headers if h.lower().startswith("proxy-auth")]
        if wanted is not None and sent != [wanted]:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        seen.append(line)
        there_in, there_out = await asyncio.open_connection(host, int(port))
        method, target, version = line.split()
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = [h for h in headers if h and not h.lower().startswith(("connection", "proxy-"))]
            path = "/" + target.split("/", 3)[3]
            first = "\r\n".join([f"{method} {path} {version}", "Connection: close", *kept])
            there_out.write(f"{first}\r\n\r\n".encode("latin-1"))
        await asyncio.gather(pipe(reader, there_out), pipe(there_in, writer))

    return handle


def proxied(url: str, no_proxy: str = "") -> dict[str, str]:
    """Return an environment with ``url`` as the only proxy, whatever this machine's own is."""
    names = ("http_proxy", "https_proxy", "all_proxy")
    variables = dict.fromkeys(names, url) | {"no_proxy": no_proxy}
    return {each: url for name, url in variables.items() for each in (name, name.upper())}
