"""The runner for live trading."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.adapters.binance.http.client import BinanceHttpClient
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.events import OrderEvent, OrderFilled
from nautilus_trader.model.identifiers import ClientId, PositionId

from warmup_job.binance.account_reader import AccountReader
from warmup_job.binance.endpoints import account_ws_url, rest_url
from warmup_job.catalog.names import VENUE
from warmup_job.errors import TraderError
from warmup_job.handoff.built_node import BuiltNode
from warmup_job.handoff.flatten import HeldPosition
from warmup_job.handoff.live_account.account_client import AccountClient
from warmup_job.handoff.live_account.account_watch import AccountWatch
from warmup_job.handoff.live_account.exchange_info import ExecClientFactory
from warmup_job.handoff.live_account.funds_feed import are_funds_known, feed_funds, feed_last_funds
from warmup_job.handoff.live_account.limited_requests import share_limits
from warmup_job.handoff.live_account.other_trader_watch import OtherTraderWatch
from warmup_job.handoff.node import Execution, account_type, environment, provider, proxy_url
from warmup_job.handoff.node_start import Load, until_started
from warmup_job.handoff.reporting.report import AccountReport
from warmup_job.handoff.runner import BaseRunner
from warmup_job.handoff.trading_decision import AccountProblem
from warmup_job.market.symbol import venue_symbol


class LiveRunner(BaseRunner):
    """Sends real orders. It checks no requirement of live trading; the trader does that before.

    The leverage is set at the start. The margin type is not: Nautilus' client fails to start if it
    has to set a margin type that is set already.
    """

    mode = "live"

    _account: AccountWatch | None = None
    _reader: AccountReader | None = None

    @property
    def _is_futures(self) -> bool:
        return self.settings.market == "um"

    @property
    def _is_uncompared(self) -> bool:
        return self._is_futures and (self._account is None or self._account.is_unread)

    @property
    def _are_funds_known(self) -> bool:
        """Whether results can be counted: what is filled before would be missing in them."""
        return not self._is_futures or are_funds_known(self.strategies)

    def is_heard(self) -> bool:
        """Return whether every websocket stream was heard and the account was read."""
        return super().is_heard() and not self._is_uncompared

    def account_problem(self) -> AccountProblem:
        """Return why the account or the clock forbids entries."""
        account, clock = self._account, self.clock.problem
        if not self._is_futures:
            return AccountProblem(clock, is_logged=bool(clock))
        if account is None:
            return AccountProblem("the account has not been read yet", is_unread=True)
        unknown = "" if self._are_funds_known else "the account's funds have not been read yet"
        return AccountProblem(
            clock or account.reason or unknown,
            is_logged=bool(clock) or account.is_reason_logged,
            is_unread=account.is_unread or bool(unknown),
            is_overdue=account.is_overdue,
        )

    def account_report(self) -> AccountReport | None:
        """Return how the account compares with Nautilus' cache; None: it is not compared."""
        return None if self._account is None else self._account.report()

    async def held_positions(self) -> list[HeldPosition]:
        """Return the open positions of the traded instruments, as the exchange reports them.

        Raises:
            WarmupError: the exchange does not answer.
        """
        if self._reader is None:
            raise TraderError("the account has not been read yet")
        instruments = {venue_symbol(str(each)): each for each in self.instrument_ids}
        positions = (await self._reader.read()).positions
        return [
            HeldPosition(
                instruments[symbol],
                PositionId(f"{instruments[symbol]}-{side}"),
                quantity > 0,
                abs(quantity),
            )
            for (symbol, side), quantity in positions.items()
            if symbol in instruments
        ]

    async def _begin(self, built: BuiltNode, load: Load | None) -> None:
        http = getattr(_execution_client(built.node), "_http_client", None)
        if isinstance(http, BinanceHttpClient):
            share_limits(http, self.client, proxy_url(self.settings))
        if self._is_futures:
            # Without it a broken user data stream would stay so while orders are cancelled.
            self.start_task(self._watch_account(built), "account", to_the_end=True)
        await super()._begin(built, load)

    async def _watch_account(self, built: BuiltNode) -> None:
        """Compare the account with Nautilus' cache from the start of the strategies on."""
        node, settings = built.node, self.settings
        client = _execution_client(node)
        if not isinstance(client, AccountClient):
            raise TraderError("Nautilus has no execution client for Binance; see its log above")
        await until_started(self.strategies, settings.connect_timeout_s + 5)
        async with self._account_reader(client.symbols) as reader:
            self._reader = reader
            fills = asyncio.Event()
            node.kernel.msgbus.subscribe("events.order.*", partial(_note_fill, fills))
            feed = feed_funds(
                reader, self.strategies, fills=fills, on_taken=self.on_connection_change
            )
            self.start_task(feed, "funds")
            others = OtherTraderWatch(settings.identity, reader, built.closed_orders.has_sent)
            self._account = AccountWatch(
                reader,
                client,
                node.cache,
                others,
                settings.identity.owns,
                built.cancels.keeps,
                self.clock,
                self,
            )
            look = partial(_look_at_news, self._account, others)
            node.kernel.msgbus.subscribe("events.order.*", look)
            await self._account.run()

    def _account_reader(self, symbols: Iterable[str] = ()) -> AccountReader:
        settings = self.settings
        url = rest_url(settings.market, settings.environment, settings.rest_url)
        key, secret = settings.api_key or "", settings.api_secret or ""
        return AccountReader(self.client, url, key, secret, symbols)

    async def _read_last_funds(self) -> None:
        """Read the account's funds; what read them during the run has ended."""
        if self._reader is not None:
            async with self._account_reader() as reader:
                await feed_last_funds(reader, self.strategies)

    def _execution(self) -> Execution:
        settings, futures = self.settings, self._is_futures
        symbols = [BinanceSymbol(venue_symbol(str(each))) for each in sorted(self.instrument_ids)]
        config = BinanceExecClientConfig(
            api_key=settings.api_key,
            api_secret=settings.api_secret,
            account_type=account_type(settings),
            environment=environment(settings),
            base_url_http=settings.rest_url,
            base_url_ws=account_ws_url(settings.ws_url),
            base_url_ws_stream=settings.ws_url,
            proxy_url=proxy_url(settings),
            instrument_provider=provider(self.instrument_ids),
            # Hedge mode has no reduce-only orders: an order's position names the side to close.
            use_reduce_only=not futures,
            futures_leverages=dict.fromkeys(symbols, settings.leverage) if futures else None,
        )
        return Execution(ExecClientFactory, config, is_real=True)


def _execution_client(node: TradingNode) -> object:
    return node.kernel.exec_engine._clients.get(ClientId(VENUE))


def _look_at_news(account: AccountWatch, others: OtherTraderWatch, event: OrderEvent) -> None:
    """Look at the account at once when an order of another trader appears."""
    if others.is_news(event.client_order_id.value):
        account.look_soon()


def _note_fill(fills: asyncio.Event, event: OrderEvent) -> None:
    if isinstance(event, OrderFilled):
        fills.set()
