"""The account's funds are read from the exchange over HTTP, and their sums are the wallet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.made_up_market import config
from tests.support.suite import HANG_S
from tests.support.waiting import until_async
from warmup_job.binance import account_reader
from warmup_job.binance.account_reader import AccountReader
from warmup_job.binance.client import BinanceClient
from warmup_job.binance.funds import AccountFunds
from warmup_job.errors import ExchangeUnreachableError
from warmup_job.handoff.live_account.funds_feed import feed_funds, feed_last_funds
from warmup_job.hedge_grid.account_equity import AccountEquity, Reading
from warmup_job.hedge_grid.account_result import AccountResult
from warmup_job.hedge_grid.strategy import HedgeGridV1
from warmup_job.local_binance.account.order_requests import NewOrder, Side
from warmup_job.local_binance.account.trading_account import TradingAccount
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.server import start

KEYS = ("local-key", "local-secret")


class Account:
    """An account at the local exchange, and what the trader makes of it."""

    def __init__(
        self, reader: AccountReader, trading: TradingAccount, now: Callable[[], int]
    ) -> None:
        self.reader = reader
        self.trading = trading
        self.now = now
        self.equity = AccountEquity("USDT", "BTCUSDT")

    async def order(self, side: Side, quantity: str) -> None:
        """Trade at market in the LONG position, later than whatever was before."""
        before_ms = self.now()
        await until_async(lambda: self.now() > before_ms)
        new = NewOrder(
            symbol="BTCUSDT", side=side, position_side="LONG", type="MARKET",
            quantity=D(quantity),
        )  # fmt: skip
        self.trading.orders.place(new, self.now())

    async def read(self) -> Reading:
        result = self.equity.result
        funds = await self.reader.read_funds(None if result is None else result.settled_ms)
        return self.equity.take(funds, D(0))

    async def result(self) -> AccountResult:
        """Read until the income explains the wallet."""
        while not (await self.read()).is_taken:
            await asyncio.sleep(0.01)
        assert self.equity.result is not None
        return self.equity.result


def at_the_exchange(use: Callable[[Account], Awaitable[None]]) -> None:
    async def run() -> None:
        exchange = await start(ExchangeOptions())
        try:
            async with (
                asyncio.timeout(HANG_S),
                BinanceClient("um", exchange.url) as client,
                AccountReader(client, exchange.url, *KEYS, ["BTCUSDT"]) as reader,
            ):
                await client.sync_clock()
                await use(Account(reader, exchange._exchange.account.trading, exchange.now_ms))
        finally:
            await exchange.stop()

    asyncio.run(run())


@pytest.mark.parametrize("rows", [1000, 3])
def test_funds_feed_sums_of_the_income_are_the_wallet(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a page holds three rows only, so that a fill's two rows are on two pages."""
    monkeypatch.setattr(account_reader, "INCOME_ROWS", rows)

    async def use(account: Account) -> None:
        first = await account.result()
        await account.order("BUY", "0.010")
        account.trading.pay_funding("BTCUSDT", D("0.001"), account.now())
        await account.order("SELL", "0.004")
        account.trading.transfer(D(9000), account.now())
        await account.order("SELL", "0.006")
        last = await account.result()
        assert last.fees > 0
        assert last.funding < 0
        earned = last.realised - last.fees + last.funding
        assert last.wallet == first.wallet + earned + 9000 == account.trading.wallet
        assert 0 < last.drawdown_pct < 1
        account.trading.transfer(D(-5000), account.now())
        poorer = await account.result()
        assert float(poorer.drawdown_pct) == pytest.approx(float(last.drawdown_pct))
        assert poorer.wallet == last.wallet - 5000

    at_the_exchange(use)


@pytest.mark.parametrize("rows", [1000, 3])
def test_funds_feed_of_one_ms_is_read_whole_although_pages_end_in_it(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what the exchange books later with the same time is counted by the next reading."""
    monkeypatch.setattr(account_reader, "INCOME_ROWS", rows)

    async def use(account: Account) -> None:
        await account.result()
        at_ms = account.now()
        for amount in range(1, 8):
            account.trading.transfer(D(amount), at_ms)
        reading = await account.read()
        assert [row.amount for row in reading.transfers] == list(range(1, 8))
        account.trading.transfer(D(8), at_ms)
        reading = await account.read()
        assert reading.unexplained == 0
        assert [row.amount for row in reading.transfers] == [8]

    at_the_exchange(use)


def test_funds_feed_loss_and_deposit_while_no_trader_ran_are_told_apart() -> None:
    async def use(account: Account) -> None:
        saved = await account.result()
        await account.order("BUY", "0.050")
        account.trading.pay_funding("BTCUSDT", D("0.02"), account.now())
        account.trading.transfer(D(20_000), account.now())
        back = await account.result()
        expected = (back.fees - back.funding) / saved.equity * 100  # before the deposit
        assert float(back.drawdown_pct) == pytest.approx(float(expected), rel=0.2)

    at_the_exchange(use)


def test_funds_feed_equity_has_all_positions_and_the_result_those_of_its_symbol() -> None:
    async def use(account: Account) -> None:
        await account.order("BUY", "0.050")
        ether = NewOrder(
            symbol="ETHUSDT", side="SELL", position_side="SHORT", type="MARKET", quantity=D(3)
        )
        account.trading.orders.place(ether, account.now())
        before_ms = account.now()
        result = await account.result()
        assert result.read_ms is not None
        assert before_ms <= result.as_of_ms == result.read_ms <= account.now()
        assert result.unrealised is not None
        both = result.equity - result.wallet
        assert both != result.unrealised != 0

    at_the_exchange(use)


class Follower(HedgeGridV1):
    """Collects what it is given; it can use every second reading."""

    def __init__(self) -> None:
        super().__init__(config())
        self.given: list[AccountFunds] = []

    def on_account_funds(self, funds: AccountFunds) -> bool:
        self.given.append(funds)
        return len(self.given) % 2 == 0


def test_funds_feed_goes_on_after_the_exchange_failed_and_reads_unusable_funds_again() -> None:
    follower, asked = Follower(), list[Any]()

    async def read_funds(after_ms: int | None) -> AccountFunds:
        asked.append(after_ms)
        if len(asked) == 1:
            raise ExchangeUnreachableError("made up")
        return AccountFunds(7, {}, ())

    async def run() -> None:
        reader: Any = SimpleNamespace(read_funds=read_funds)
        task = asyncio.create_task(feed_funds(reader, [follower], HANG_S, 0))
        await until_async(lambda: len(follower.given) == 2)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())
    assert asked == [None, None, None]


def test_fill_brings_the_next_reading_forward() -> None:
    """Or the report would lack what a flatten has earned for half a minute."""
    asked = list[int | None]()

    async def read_funds(after_ms: int | None) -> AccountFunds:
        asked.append(after_ms)
        return AccountFunds(7, {}, ())

    class Content(Follower):
        def on_account_funds(self, funds: AccountFunds) -> bool:
            return True

    async def run() -> None:
        reader: Any = SimpleNamespace(read_funds=read_funds)
        fills = asyncio.Event()
        task = asyncio.create_task(feed_funds(reader, [Content()], HANG_S, 0, fills=fills))
        await until_async(lambda: len(asked) == 1)
        fills.set()
        await until_async(lambda: len(asked) == 2, HANG_S / 2)
        task.cancel()

    asyncio.run(run())


def test_funds_feed_last_reading_is_repeated_until_it_is_used_and_never_fails() -> None:
    asked = list[int | None]()

    class Started(Follower):
        funds_until_ms = 5

    async def read_funds(after_ms: int | None) -> AccountFunds:
        asked.append(after_ms)
        if len(asked) > 2:
            raise ExchangeUnreachableError("made up")
        return AccountFunds(7, {}, ())

    follower, reader = Started(), SimpleNamespace(read_funds=read_funds)
    asyncio.run(feed_last_funds(reader, [follower]))  # type: ignore[arg-type]
    assert asked == [5, 5]
    assert len(follower.given) == 2
    asyncio.run(feed_last_funds(reader, [follower]))  # type: ignore[arg-type]
    assert asked == [5, 5, 5]


def test_funds_feed_reads_nothing_at_the_end_before_the_first_reading() -> None:
    asyncio.run(feed_last_funds(SimpleNamespace(), [Follower()]))  # type: ignore[arg-type]
