"""The listening socket, which can close and reopen while the exchange runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

_BACKLOG = 128
_NO_LINGER = struct.pack("ii", 1, 0)


class ListeningSocket:
    """Listens on the exchange's port, or keeps the port and refuses connections.

    Args:
        runner: A runner that is set up and has no sites.
    """

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._servers: list[asyncio.Server] = []
        self._kept: list[sockets.socket] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._is_shut = False

    async def open(self, host: str, port: int) -> int:
        """Start to listen and return the port.

        Raises:
            OSError: The port is taken.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, host, port, backlog=_BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def refuse(self, *, spare: asyncio.Transport | None = None) -> None:
        """Stop listening and reset every connection except ``spare``."""
        self._is_shut = True
        self._stop_listening()
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None and connection.transport is not spare:
                    reset(connection.transport)

    def reopen(self) -> None:
        """Listen again."""
        self._is_shut = False
        for kept in self._kept:
            # Listen before a server reads from the socket, so that no connection is refused.
            kept.listen(_BACKLOG)
            task = asyncio.ensure_future(self._serve(kept))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._kept.clear()

    async def close(self) -> None:
        """Stop listening and release the port; open connections stay."""
        await asyncio.gather(*self._opening, return_exceptions=True)
        for server in self._servers:
            server.close()
        for kept in self._kept:
            kept.close()
        self._servers.clear()
        self._kept.clear()

    def _stop_listening(self) -> None:
        for server in self._servers:
            names = [(listening.family, listening.getsockname()) for listening in server.sockets]
            server.close()
            for family, name in names:
                self._keep(family, name)
        self._servers.clear()

    def _keep(self, family: int, name: tuple[object, ...]) -> None:
        """Bind the address without listening: connections are refused, the port is kept."""
        kept = sockets.socket(family, sockets.SOCK_STREAM)
        kept.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        if family == sockets.AF_INET6:
            kept.setsockopt(sockets.IPPROTO_IPV6, sockets.IPV6_V6ONLY, 1)
        kept.setblocking(False)
        kept.bind(name)
        self._kept.append(kept)

    async def _serve(self, listening: sockets.socket) -> None:
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._protocol, sock=listening))
        if self._is_shut:
            self._stop_listening()  # `refuse` was called meanwhile

    def _protocol(self) -> asyncio.BaseProtocol:
        if self._runner.server is None:
            raise RuntimeError("the exchange has stopped")
        return self._runner.server()


def reset(transport: asyncio.BaseTransport) -> None:
    """Close a connection with a TCP reset."""
    raw = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _NO_LINGER)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
