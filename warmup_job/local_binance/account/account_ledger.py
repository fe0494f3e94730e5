"""The wallet, the positions, and what changes them: fills, funding and transfers.

Every change is written to the journal and, as an event, to the user data stream.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warmup_job.local_binance.account import user_events
from warmup_job.local_binance.account.futures_position import CENTS, FuturesPosition
from warmup_job.local_binance.account.order_records import (
    NOTHING,
    IncomeRecord,
    TradeRecord,
)
from warmup_job.local_binance.account.retention import KEPT_INCOME_MS, KEPT_TRADES_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmup_job.local_binance.account.account_journal import AccountJournal
    from warmup_job.local_binance.account.order_records import OrderRecord
    from warmup_job.local_binance.account.order_requests import PositionSide


class AccountLedger:
    """The money and the positions of the account. Times are the exchange's UTC ms.

    Args:
        balance: The wallet's first balance, USDT.
        journal: Receives every change.
        on_event: Receives every user data event.
        next_id: Returns a new id.
    """

    def __init__(
        self,
        balance: Decimal,
        journal: AccountJournal,
        on_event: Callable[[dict[str, Any]], None],
        next_id: Callable[[], int],
    ) -> None:
        self.wallet = balance
        self.trades: list[TradeRecord] = []
        self.income: list[IncomeRecord] = []
        self._journal = journal
        self._on_event = on_event
        self._next_id = next_id
        self._positions: dict[tuple[str, PositionSide], FuturesPosition] = {}

    # --- positions ---

    def position(self, symbol: str, side: PositionSide) -> FuturesPosition:
        """Return the position of a symbol and side, which may be flat."""
        return self._positions.get((symbol, side)) or FuturesPosition(symbol=symbol, side=side)

    def open_positions(self, symbol: str | None = None) -> list[FuturesPosition]:
        """Return the positions that are not flat."""
        return [
            position
            for position in self._positions.values()
            if position.quantity and symbol in (None, position.symbol)
        ]

    # --- the past ---

    def forget_old(self, now_ms: int) -> None:
        """Forget the fills and the income that the exchange no longer lists at this time."""
        self.trades = [each for each in self.trades if each.at_ms + KEPT_TRADES_MS >= now_ms]
        self.income = [each for each in self.income if each.at_ms + KEPT_INCOME_MS >= now_ms]

    # --- changes ---

    def book_fill(
        self,
        order: OrderRecord,
        price: Decimal,
        quantity: Decimal,
        rate: Decimal,
        *,
        is_maker: bool,
        at_ms: int,
    ) -> tuple[TradeRecord, FuturesPosition]:
        """Book a fill: the position, the realised result and the commission.

        Args:
            order: The order before the fill.
            price: The fill's price.
            quantity: The fill's quantity.
            rate: Commission, as a ratio of the fill's value.
            is_maker: Whether the order was resting.
            at_ms: The time of the fill.

        Returns:
            The trade, and the position after it.
        """
        fee = (price * quantity * rate).quantize(CENTS)
        change = quantity if order.side == "BUY" else -quantity
        before = self.position(order.symbol, order.position_side)
        position, realised = before.after_fill(change, price, fee, at_ms)
        self._positions[order.symbol, order.position_side] = position
        trade = TradeRecord(
            trade_id=self._next_id(),
            order_id=order.order_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            commission=fee,
            realised=realised,
            is_maker=is_maker,
            at_ms=at_ms,
        )
        self.trades.append(trade)
        self._journal.fill(trade)
        self._journal.position(at_ms, position)
        if realised:
            self._change("REALIZED_PNL", "TRADE", realised, at_ms, trade)
        self._change("COMMISSION", "COMMISSION", -fee, at_ms, trade)
        return trade, position

    def pay_funding(self, symbol: str, rate: Decimal, mark: Decimal, at_ms: int) -> Decimal:
        """Pay or receive funding for the positions of a symbol, and return the wallet's change.

        With a positive rate longs pay and shorts receive.
        """
        total = NOTHING
        for position in self.open_positions(symbol):
            paid = (-position.notional(mark) * rate).quantize(CENTS)
            if paid:
                self._change("FUNDING_FEE", "FUNDING", paid, at_ms, symbol=symbol)
                total += paid
        if total:
            self._on_event(
                # By the documentation, a cross position's funding shows no positions.
                user_events.account_update(
                    "FUNDING_FEE", at_ms, at_ms, wallet=self.wallet, change=total
                )
            )
        return total

    def charge_liquidation(self, trade: TradeRecord, ratio: Decimal) -> None:
        """Charge the liquidation fee of a fill; the wallet does not fall below zero."""
        fee = min((trade.price * trade.quantity * ratio).quantize(CENTS), max(self.wallet, NOTHING))
        if fee:
            self._change("INSURANCE_CLEAR", "LIQUIDATION", -fee, trade.at_ms, trade)

    def clear_debt(self, at_ms: int) -> None:
        """Let the insurance fund pay what the wallet is below zero after a liquidation."""
        if self.wallet < 0:
            self._change("INSURANCE_CLEAR", "LIQUIDATION", -self.wallet, at_ms)

    def transfer(self, amount: Decimal, at_ms: int) -> None:
        """Deposit a positive amount, or withdraw a negative one."""
        self._change("TRANSFER", "TRANSFER", amount, at_ms)
        reason = "DEPOSIT" if amount > 0 else "WITHDRAW"
        self._on_event(
            user_events.account_update(reason, at_ms, at_ms, wallet=self.wallet, change=amount)
        )

    def _change(
        self,
        kind: str,
        reason: str,
        amount: Decimal,
        at_ms: int,
        trade: TradeRecord | None = None,
        symbol: str = "",
    ) -> None:
        self.wallet += amount
        self.income.append(
            IncomeRecord(
                income_id=self._next_id(),
                kind=kind,
                symbol=trade.symbol if trade else symbol,
                amount=amount,
                at_ms=at_ms,
                trade_id=trade.trade_id if trade else 0,
            )
        )
        self._journal.wallet(at_ms, self.wallet, amount, reason)
