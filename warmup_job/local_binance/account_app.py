"""The account of the local exchange: its engine, its endpoints, and its life in the background."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from loguru import logger

from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.account_answers import AccountAnswers
from warmup_job.local_binance.account.simulated_account import SimulatedAccount
from warmup_job.local_binance.account.trading_account import TradingAccount
from warmup_job.local_binance.account.trading_options import TradingOptions
from warmup_job.local_binance.prices.price_feed import SLOT_MS
from warmup_job.local_binance.rest.account_control import AccountControl
from warmup_job.local_binance.rest.account_rest import AccountRest
from warmup_job.local_binance.rest.algo_order_rest import AlgoOrderRest
from warmup_job.local_binance.rest.history_rest import HistoryRest
from warmup_job.local_binance.rest.order_rest import OrderRest
from warmup_job.local_binance.rest.served_account import ServedAccount
from warmup_job.local_binance.rest.settings_rest import SettingsRest
from warmup_job.local_binance.rest.signed_requests import SignedRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import web

    from warmup_job.local_binance.account.listen_key import ListenKeys
    from warmup_job.local_binance.account.signature import Credentials
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.exchange_options import ExchangeOptions
    from warmup_job.local_binance.faults.fault_board import FaultBoard
    from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
    from warmup_job.local_binance.prices.price_feed import PriceFeed
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.local_binance.websocket.user_data_stream import UserDataStream

_LEAST_STEP_MS = 10  # of the machine's time, between two steps of the account


class AccountApp:
    """Puts the account together from its parts.

    Args:
        options: The settings of the exchange.
        feeds: The futures market's prices by symbol.
        clock: The exchange's clock.
        faults: The faults of the exchange.
        funding: Funding rates and times.
        credentials: The account's key and secret.
        listen_keys: Its listen keys.
        user_data: Delivers its events.

    Raises:
        ConfigError: An option is out of range.
    """

    def __init__(
        self,
        options: ExchangeOptions,
        feeds: Mapping[str, PriceFeed],
        clock: ExchangeClock,
        faults: FaultBoard,
        funding: FundingSchedule,
        credentials: Credentials,
        listen_keys: ListenKeys,
        user_data: UserDataStream,
    ) -> None:
        if options.fill_pieces < 1 or options.most_algo_orders < 1:
            raise ConfigError("fill_pieces and most_algo_orders must be at least 1.")
        self._clock = clock
        self._step_ms = max(SLOT_MS, int(_LEAST_STEP_MS * options.speed))
        settings = SimulatedAccount(
            feeds,
            balance=options.balance,
            hedge_mode=not options.one_way,
            can_trade=not options.no_trading,
            opened_ms=clock.now_ms(),
        )
        self.trading = TradingAccount(
            feeds,
            settings,
            funding,
            Decimal(settings.balance),
            clock.now_ms(),
            user_data.publish,
            TradingOptions(
                closing_orders=options.closing_orders,
                fill_pieces=options.fill_pieces,
                shows_reduce_only=not options.hide_reduce_only,
                most_algo_orders=options.most_algo_orders,
            ),
            faults,
        )
        served = ServedAccount(
            self.trading, {name: feed.symbol for name, feed in feeds.items()}, clock
        )
        orders, algo_orders = OrderRest(served), AlgoOrderRest(served)
        account = AccountRest(settings, AccountAnswers(settings, self.trading), served, listen_keys)
        requests = SignedRequests(credentials, clock)
        signed = [
            *orders.routes(),
            *algo_orders.routes(),
            *HistoryRest(served).routes(),
            *SettingsRest(settings, served, user_data.publish).routes(),
            *account.routes(),
        ]
        keyed = account.keyed_routes()
        self._routes = [
            *((method, path, requests.signed(make)) for method, path, make in signed),
            *((method, path, requests.keyed(make)) for method, path, make in keyed),
            *AccountControl(served, orders, algo_orders, funding).routes(),
        ]

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of every endpoint and control path."""
        return self._routes

    async def in_background(self, _: web.Application) -> AsyncIterator[None]:
        """Let the market change the account as long as the application runs."""
        task = asyncio.create_task(self._advance())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _advance(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            try:
                self.trading.advance(now_ms)
            except Exception:  # noqa: BLE001 - a silent end would freeze all orders
                logger.exception(
                    "The account of the local exchange has failed", event="local_exchange.failed"
                )
            await self._clock.sleep_until((now_ms // self._step_ms + 1) * self._step_ms)
