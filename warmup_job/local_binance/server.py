"""The local exchange's web server: REST and websockets of both markets on one port.

Tests use ``await start(options)``; the command line uses ``await serve(options, ready)``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from warmup_job.local_binance.exchange_app import ExchangeApp
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.faults.fault_spec import parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable

_CALL_SECONDS = 10  # limit for a call from another thread


class RunningExchange(msgspec.Struct, frozen=True):
    """A started exchange."""

    host: str
    port: int
    _runner: web.AppRunner
    _exchange: ExchangeApp
    _loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """The base URL of the REST paths of both markets."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The base URL of the streams of ``root_streams``, by default futures."""
        return f"ws://{self.host}:{self.port}"

    @property
    def spot_ws_url(self) -> str:
        """The base URL of the spot streams."""
        return f"{self.ws_url}/spot"

    def now_ms(self) -> int:
        """Return the exchange's time, UTC ms."""
        return self._exchange.clock.now_ms()

    def add_fault(self, spec: str) -> str:
        """Add a fault and return its id. Any thread may call this.

        Raises:
            ConfigError: The SPEC is invalid.
        """
        fault = parse_fault(spec)
        return self._in_loop(lambda: self._exchange.set_fault(fault))

    def clear_faults(self) -> None:
        """Remove all faults. Any thread may call this."""
        self._in_loop(self._exchange.clear_faults)

    def _in_loop[T](self, call: Callable[[], T]) -> T:
        try:
            inside = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            inside = False
        if inside:
            return call()
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(call())
            except Exception as error:  # noqa: BLE001 - re-raised in the calling thread
                outcome.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return outcome.result(_CALL_SECONDS)

    async def stop(self) -> None:
        """Close all connections and release the port."""
        await self._exchange.close_socket()
        self._exchange.user_data.close()
        await self._exchange.hub.close()
        await self._exchange.websocket_api.close()
        await self._runner.cleanup()


async def start(options: ExchangeOptions) -> RunningExchange:
    """Start an exchange in the running event loop.

    Raises:
        ConfigError: An option is out of range, or a recording cannot be used.
        OSError: The port is taken.
    """
    exchange = ExchangeApp(options)
    runner = web.AppRunner(exchange.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        port = await exchange.listen(runner)
    except BaseException:
        await runner.cleanup()
        raise
    return RunningExchange(options.host, port, runner, exchange, asyncio.get_running_loop())


async def serve(options: ExchangeOptions, ready: Callable[[RunningExchange], None]) -> None:
    """Run an exchange until SIGTERM, SIGINT or cancellation.

    Args:
        options: The exchange's settings.
        ready: Called with the running exchange once it listens.

    Raises:
        ConfigError: An option is out of range, or a recording cannot be used.
        OSError: The port is taken.
    """
    running = await start(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    try:
        for number in signals:
            # Only the main thread can handle signals; in other threads cancellation stops it.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, stop.set)
        ready(running)
        await stop.wait()
    finally:
        for number in signals:
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.remove_signal_handler(number)
        await running.stop()
