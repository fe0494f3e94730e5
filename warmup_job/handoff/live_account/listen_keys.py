"""Requests for the listen key of an account's user data stream."""

from __future__ import annotations

import asyncio

from nautilus_trader.adapters.binance.common.schemas.user import BinanceListenKey
from nautilus_trader.adapters.binance.http.user import BinanceUserDataHttpAPI

from warmup_job.handoff.live_account.certain_orders import ANSWER_S


class ListenKeyRequests(BinanceUserDataHttpAPI):
    """Nautilus' requests for listen keys, with a limit for the answer.

    Nautilus asks for a key while it holds the lock of the stream, and its HTTP client waits for an
    answer without a limit: the stream would stay down, and could not be renewed either.
    """

    async def create_listen_key(self, symbol: str | None = None) -> BinanceListenKey:
        """Ask for a listen key.

        Raises:
            TimeoutError: the exchange does not answer.
        """
        async with asyncio.timeout(ANSWER_S):
            return await super().create_listen_key(symbol)

    async def keepalive_listen_key(
        self, symbol: str | None = None, listen_key: str | None = None
    ) -> None:
        """Extend the listen key's life by an hour.

        Raises:
            TimeoutError: the exchange does not answer.
        """
        async with asyncio.timeout(ANSWER_S):
            await super().keepalive_listen_key(symbol, listen_key)
