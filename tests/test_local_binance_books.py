"""The books of the local exchange's account balance after any sequence of requests.

The account is driven directly, with its clock, so that hypothesis can try many sequences. Every
event and every row is also parsed by NautilusTrader's own structs.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from decimal import Decimal
from typing import Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.adapters.binance.common.schemas.account import BinanceOrder, BinanceUserTrade
from nautilus_trader.adapters.binance.futures.schemas.account import (
    BinanceFuturesAccountInfo,
    BinanceFuturesAlgoOrder,
    BinanceFuturesPositionRisk,
)
from nautilus_trader.adapters.binance.futures.schemas.user import (
    BinanceFuturesAccountUpdateMsg,
    BinanceFuturesAlgoUpdateMsg,
    BinanceFuturesOrderUpdateMsg,
)

from tests.support.suite import SCALE
from warmup_job.local_binance.account import order_answers
from warmup_job.local_binance.account.account_answers import AccountAnswers
from warmup_job.local_binance.account.account_history import HistoryQuery
from warmup_job.local_binance.account.order_requests import (
    NewAlgoOrder,
    NewOrder,
    OrderChange,
    OrderReference,
    PositionSide,
    Side,
)
from warmup_job.local_binance.account.simulated_account import SimulatedAccount
from warmup_job.local_binance.account.trading_account import TradingAccount
from warmup_job.local_binance.account.trading_options import TradingOptions
from warmup_job.local_binance.prices.funding_schedule import FundingSchedule
from warmup_job.local_binance.prices.generated_market import generated_feed
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.local_binance.rest.error_answers import ErrorAnswer

START_MS = 1_780_012_500_000  # five minutes before an hour
BALANCE = Decimal(20_000)
SYMBOL = next(each for each in default_symbols() if (each.market, each.name) == ("um", "BTCUSDT"))
EVENTS = {
    "ORDER_TRADE_UPDATE": msgspec.json.Decoder(BinanceFuturesOrderUpdateMsg),
    "ACCOUNT_UPDATE": msgspec.json.Decoder(BinanceFuturesAccountUpdateMsg),
    "ALGO_UPDATE": msgspec.json.Decoder(BinanceFuturesAlgoUpdateMsg),
}

SIDES: st.SearchStrategy[tuple[Side, PositionSide]] = st.sampled_from(
    [("BUY", "LONG"), ("SELL", "LONG"), ("SELL", "SHORT"), ("BUY", "SHORT")]
)
QUANTITIES = st.integers(2, 900).map(lambda steps: Decimal(steps) / 1000)
AWAY_BPS = st.integers(-40, 40)
ORDERS = st.tuples(
    st.just("order"), SIDES, QUANTITIES, AWAY_BPS, st.sampled_from(["GTC", "IOC", "FOK", "GTX", ""])
)
ALGOS = st.tuples(
    st.just("algo"),
    SIDES,
    QUANTITIES,
    AWAY_BPS,
    st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP", "TRAILING_STOP_MARKET", "ALL"]),
)
CHANGES = st.tuples(st.sampled_from(["cancel", "amend"]), st.integers(0, 5), QUANTITIES, AWAY_BPS)
TIME = st.tuples(st.just("time"), st.integers(1, 30_000))
MONEY = st.tuples(st.sampled_from(["transfer", "funding"]), st.integers(-900, 900))


class Books:
    """An account, and what it has told."""

    def __init__(
        self, closing_orders: Literal["expire", "reject"], pieces: int, *, hedge_mode: bool
    ) -> None:
        feed = generated_feed(11, SYMBOL, 120.0)
        self.now_ms = START_MS
        self.events: list[dict[str, Any]] = []
        self.settings = SimulatedAccount(
            ["BTCUSDT"],
            balance=str(BALANCE),
            hedge_mode=hedge_mode,
            can_trade=True,
            opened_ms=START_MS,
        )
        self.feed = feed
        self.account = TradingAccount(
            {"BTCUSDT": feed},
            self.settings,
            FundingSchedule(["BTCUSDT=0.001/1"]),
            BALANCE,
            START_MS,
            self.events.append,
            TradingOptions(closing_orders=closing_orders, fill_pieces=pieces),
        )

    def price(self, away_bps: int) -> Decimal:
        """Return a price so many basis points from the last one."""
        last = Decimal(self.feed.last_price(self.now_ms))
        return (last * (10_000 + away_bps) / 10_000).quantize(Decimal("0.1"))

    def do(self, action: tuple[Any, ...]) -> None:
        """Send a request, or let time pass; the account may refuse it."""
        kind, *rest = action
        if kind == "time":
            self.now_ms += rest[0]
            self.account.advance(self.now_ms)
            return
        with contextlib.suppress(ErrorAnswer):
            getattr(self, kind)(*rest)

    def order(
        self, sides: tuple[Side, PositionSide], quantity: Decimal, away_bps: int, force: Any
    ) -> None:
        """Place a limit order, or a market order without a time in force."""
        price = self.price(away_bps) if force else None
        position_side, reduce_only = self._as_sent(sides)
        self.account.orders.place(
            NewOrder(
                symbol="BTCUSDT",
                side=sides[0],
                position_side=position_side,
                reduce_only=reduce_only,
                type="LIMIT" if force else "MARKET",
                quantity=quantity,
                price=price,
                time_in_force=force or "GTC",
            ),
            self.now_ms,
        )

    def algo(
        self, sides: tuple[Side, PositionSide], quantity: Decimal, away_bps: int, kind: Any
    ) -> None:
        """Place an algo order; ALL is a stop that closes the whole position."""
        trails = kind == "TRAILING_STOP_MARKET"
        position_side, reduce_only = self._as_sent(sides)
        self.account.algo_orders.place(
            NewAlgoOrder(
                symbol="BTCUSDT",
                side=sides[0],
                position_side=position_side,
                reduce_only=None if kind == "ALL" else reduce_only,
                type="STOP_MARKET" if kind == "ALL" else kind,
                quantity=None if kind == "ALL" else quantity,
                close_position=kind == "ALL",
                price=self.price(away_bps) if kind == "STOP" else None,
                trigger_price=None if trails else self.price(away_bps),
                callback_rate=Decimal("0.2") if trails else None,
                working_type="MARK_PRICE" if away_bps % 2 else "CONTRACT_PRICE",
            ),
            self.now_ms,
        )

    def _as_sent(self, sides: tuple[Side, PositionSide]) -> tuple[PositionSide | None, bool | None]:
        """Return positionSide and reduceOnly: in one-way mode an order that closes reduces."""
        if self.settings.hedge_mode:
            return sides[1], None
        return None, sides in (("SELL", "LONG"), ("BUY", "SHORT"))

    def cancel(self, number: int, *_: Any) -> None:
        """Cancel an order or an algo order."""
        orders, algos = self.account.orders.open(), self.account.algo_orders.open()
        if number < len(orders):
            reference = OrderReference(order_id=orders[number].order_id)
            self.account.orders.cancel("BTCUSDT", reference, self.now_ms)
        elif algos:
            reference = OrderReference(order_id=algos[number % len(algos)].algo_id)
            self.account.algo_orders.cancel(reference, self.now_ms)

    def amend(self, number: int, quantity: Decimal, away_bps: int) -> None:
        """Change an order."""
        orders = self.account.orders.open()
        if number < len(orders):
            order = orders[number]
            change = OrderChange(
                symbol="BTCUSDT",
                order=OrderReference(order_id=order.order_id),
                side=order.side,
                quantity=quantity,
                price=self.price(away_bps),
            )
            self.account.orders.amend(change, self.now_ms)

    def transfer(self, amount: int) -> None:
        """Deposit or withdraw."""
        self.account.transfer(Decimal(amount), self.now_ms)

    def funding(self, ten_thousandths: int) -> None:
        """Pay funding."""
        self.account.pay_funding("BTCUSDT", Decimal(ten_thousandths) / 100_000, self.now_ms)

    # --- what must be true ---

    def check(self) -> None:
        """Compare the account with its trades, its income, its journal and its events."""
        account = self.account
        trades = account.history.trades("BTCUSDT", HistoryQuery(limit=10**6))
        income = account.history.income(HistoryQuery(limit=10**6))
        assert account.wallet == BALANCE + sum(row.amount for row in income)
        held: defaultdict[str, Decimal] = defaultdict(Decimal)
        filled: defaultdict[int, Decimal] = defaultdict(Decimal)
        for trade in trades:
            held[trade.position_side] += trade.quantity * (1 if trade.side == "BUY" else -1)
            filled[trade.order_id] += trade.quantity
        sides: tuple[PositionSide, ...] = ("LONG", "SHORT", "BOTH")
        for side in sides:
            position = account.position("BTCUSDT", side)
            assert position.quantity == held[side]
            assert side != "LONG" or position.quantity >= 0
            assert side != "SHORT" or position.quantity <= 0
            if not position.quantity:
                assert position.cost == 0
                worth = sum(
                    trade.price * trade.quantity * (1 if trade.side == "SELL" else -1)
                    for trade in trades
                    if trade.position_side == side
                )
                assert position.realised == worth
        orders = account.history.orders("BTCUSDT", HistoryQuery(limit=10**6))
        for order in orders:
            assert order.filled == filled[order.order_id] <= order.quantity
            assert (order.status == "FILLED") == (order.filled == order.quantity)
            assert (order in account.orders.open()) == order.is_open
        self._check_told(orders)

    def _check_told(self, orders: list[Any]) -> None:
        told = {
            event["o"]["i"]: event["o"]
            for event in self.events
            if event["e"] == "ORDER_TRADE_UPDATE"
        }
        assert {number: each["X"] for number, each in told.items()} == {
            order.order_id: order.status for order in orders
        }
        journal = self.account.journal.after(0)
        assert [entry["n"] for entry in journal] == list(range(1, len(journal) + 1))
        noted = {
            entry["order_id"]: (entry["status"], Decimal(entry["filled"]))
            for entry in journal
            if entry["event"] == "order" and entry["kind"] == "order"
        }
        assert noted == {order.order_id: (order.status, order.filled) for order in orders}
        balances = [Decimal(entry["balance"]) for entry in journal if entry["event"] == "wallet"]
        assert balances[-1:] in ([], [self.account.wallet])
        moments = [event["E"] for event in self.events]
        assert moments == sorted(moments)

    def check_texts(self) -> None:
        """Parse everything that a client receives with NautilusTrader's structs."""
        for event in self.events:
            EVENTS[event["e"]].decode(msgspec.json.encode(event))
        account, answers = self.account, AccountAnswers(self.settings, self.account)
        orders = [
            order_answers.order_row(order, SYMBOL)
            for order in account.history.orders("BTCUSDT", HistoryQuery(limit=10**6))
        ]
        algos = [
            order_answers.algo_row(algo, SYMBOL, account.algo_orders.created_by(algo))
            for algo in account.history.algo_orders("BTCUSDT", HistoryQuery(limit=10**6))
        ]
        trades = [
            order_answers.trade_row(trade, SYMBOL)
            for trade in account.history.trades("BTCUSDT", HistoryQuery(limit=10**6))
        ]
        for rows, struct in (
            (orders, BinanceOrder),
            (algos, BinanceFuturesAlgoOrder),
            (trades, BinanceUserTrade),
            (answers.position_risk_v2(None, self.now_ms), BinanceFuturesPositionRisk),
            (answers.position_risk_v3(None, self.now_ms), BinanceFuturesPositionRisk),
        ):
            msgspec.json.decode(msgspec.json.encode(rows), type=list[struct])  # type: ignore[valid-type]
        info = answers.account_v2(self.now_ms)
        msgspec.json.decode(msgspec.json.encode(info), type=BinanceFuturesAccountInfo)


@settings(max_examples=40 * SCALE, deadline=None)
@given(
    actions=st.lists(
        st.one_of(ORDERS, ORDERS, ALGOS, CHANGES, TIME, TIME, MONEY), min_size=12, max_size=30
    ),
    closing_orders=st.sampled_from(["expire", "reject"]),
    pieces=st.integers(1, 4),
    hedge_mode=st.booleans(),
)
def test_local_binance_books_balance_after_any_requests(
    actions: list[tuple[Any, ...]],
    closing_orders: Literal["expire", "reject"],
    pieces: int,
    hedge_mode: bool,
) -> None:
    books = Books(closing_orders, pieces, hedge_mode=hedge_mode)
    for sides in (("BUY", "LONG"), ("SELL", "SHORT")):
        books.do(("order", sides, Decimal("0.3"), 0, ""))
    for action in actions:
        books.do(action)
        books.check()
    books.do(("time", 15_000))
    books.check()
    books.check_texts()
