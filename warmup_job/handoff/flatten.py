"""Closes every position of the traded instruments when the operator asks for it.

The order of things: entries and take profits are cancelled, because they stand in the way of a
market order (Binance's −4118, −2022); positions are closed by reduce-only market orders; and only
when the exchange reports none any more are the stop losses cancelled, so that a position is
protected until it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from loguru import logger
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import OrderSide, OrderStatus, OrderType
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy

from warmup_job.catalog.instruments import largest_market_order
from warmup_job.errors import WarmupError
from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.reporting.flatten_report import ClosedPosition, FlatReport
from warmup_job.market.client_order_ids import flatten_order_id
from warmup_job.market.order_keys import new_order_key
from warmup_job.process.refusal_text import plain_refusal

_LOOK_S = 0.05
_CANCEL_S = 2.0  # how long closing waits for cancels
_CLOSE_S = 3.0  # how long a round waits for its closing orders
_SOON_S, _AGAIN_S = 0.1, 1.0  # between two rounds, if the first has closed something or not
_CONFIRM_S = 10.0  # how long the end waits for what the exchange has reported already
_STOPS = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP_MARKET,
                    OrderType.TRAILING_STOP_LIMIT})  # fmt: skip
_REFUSED = frozenset({OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.EXPIRED})
# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
_OTHER_EXITS_REST = "-4118"


class HeldPosition(NamedTuple):
    """A position that is open at the exchange."""

    instrument_id: InstrumentId
    position_id: PositionId
    is_long: bool
    quantity: Decimal
    """Base currency, above 0."""


def cached_positions(cache: CacheFacade) -> list[HeldPosition]:
    """Return the open positions that Nautilus knows; on paper it is the exchange."""
    return [
        HeldPosition(each.instrument_id, each.id, bool(each.is_long), each.quantity.as_decimal())
        for each in cache.positions_open()
    ]


type ReadPositions = Callable[[], Awaitable[Sequence[HeldPosition]]]


class Flattening:
    """Closes positions until the exchange reports none, or the operator changes the wish.

    Args:
        cache: the node's; it knows orders and fills.
        strategies: send the orders, each for its own positions.
        own_orders: what may be cancelled.
        read: returns the positions of the traded instruments, as the exchange reports them.
        operator: whose wish it is; learns of the progress and the end.
    """

    def __init__(
        self,
        cache: CacheFacade,
        strategies: Sequence[Strategy],
        own_orders: OwnOrders,
        read: ReadPositions,
        operator: OperatorControl,
    ) -> None:
        self._cache = cache
        self._strategies = strategies
        self._own_orders = own_orders
        self._read = read
        self._operator = operator
        self._held: dict[PositionId, HeldPosition] = {}  # the largest of each that was seen
        self._sent: dict[ClientOrderId, PositionId] = {}
        self._judged: set[ClientOrderId] = set()
        self._bare: set[PositionId] = set()  # positions whose stops stand in the way, too
        self._said = ""
        self._warned: set[str] = set()

    def _is_wanted(self) -> bool:
        return self._operator.state == "flattening"

    async def run(self) -> None:
        """Close everything; afterwards the operator's wish is ``paused``."""
        self._say("cancelling entries and take profits")
        while self._is_wanted():
            await self._cancel(lambda order: not self._is_kept(order), _CANCEL_S)
            held = await self._positions()
            if not self._is_wanted():
                return
            if held is not None and not held and not any(self._unwanted(self._is_entry)):
                await self._confirm()
                held = await self._positions()
                if held is not None and not held and self._is_wanted():
                    self._end()
                    return
            before = len(self._sent)
            for each in held or ():
                self._close(each)
            await self._wait(lambda: not self._closing(), _CLOSE_S)
            is_progress = len(self._sent) > before and not self._judge_refusals()
            await asyncio.sleep(_SOON_S if is_progress else _AGAIN_S)

    async def _positions(self) -> Sequence[HeldPosition] | None:
        """Return what the exchange reports; None: it does not answer."""
        try:
            held = await self._read()
        except WarmupError as error:
            self._warn(f"the exchange does not report the positions: {error}")
            return None
        for each in held:
            seen = self._held.get(each.position_id)
            if seen is None or each.quantity > seen.quantity:
                self._held[each.position_id] = each
        return held

    # -- closing -----------------------------------------------------------------------------------

    def _close(self, held: HeldPosition) -> None:
        """Send a market order for a position, unless one is under way."""
        if any(self._sent[each.client_order_id] == held.position_id for each in self._closing()):
            return
        instrument: Instrument | None = self._cache.instrument(held.instrument_id)
        known = self._cache.position(held.position_id)
        if instrument is None or known is None or known.is_closed or known.is_long != held.is_long:
            # Nautilus would deny the order, or open a position of its own by it.
            self._say(f"waiting until the account is reconciled: {held.position_id} is not known")
            return
        quantity = min(held.quantity, known.quantity.as_decimal(), largest_market_order(instrument))
        strategy = self._strategy_of(held, known.strategy_id)
        order_id = flatten_order_id(new_order_key(strategy.order_factory))
        order = strategy.order_factory.market(
            instrument_id=held.instrument_id,
            order_side=OrderSide.SELL if held.is_long else OrderSide.BUY,
            quantity=instrument.make_qty(quantity),
            reduce_only=True,
            client_order_id=ClientOrderId(order_id),
        )
        self._sent[order.client_order_id] = held.position_id
        self._say(f"closing {order.quantity} of {held.position_id}")
        strategy.submit_order(order, position_id=held.position_id)

    def _strategy_of(self, held: HeldPosition, strategy_id: object) -> Strategy:
        """Return the strategy that the position belongs to, or one that trades its instrument."""
        ranked = sorted(
            self._strategies,
            key=lambda each: (
                each.id != strategy_id,
                getattr(each.config, "instrument_id", None) != held.instrument_id,
            ),
        )
        return ranked[0]

    def _closing(self) -> list[Order]:
        """Return the closing orders that are not done."""
        orders = [self._cache.order(each) for each in self._sent]
        return [order for order in orders if order is not None and not order.is_closed]

    def _judge_refusals(self) -> bool:
        """Draw conclusions from closing orders that were refused; return whether any was."""
        refused = False
        for order_id, position_id in self._sent.items():
            order = self._cache.order(order_id)
            if order is None or order.status not in _REFUSED or order_id in self._judged:
                continue
            refused = True
            self._judged.add(order_id)
            reason = plain_refusal(str(getattr(order.last_event, "reason", "") or "it expired"))
            self._warn(f"the order to close {position_id} was refused: {reason}")
            if _OTHER_EXITS_REST in reason or order.status == OrderStatus.EXPIRED:
                self._bare.add(position_id)
        return refused

    # -- other orders ------------------------------------------------------------------------------

    def _unwanted(self, condition: Callable[[Order], bool]) -> Iterator[tuple[Strategy, Order]]:
        """Yield the strategies' open orders that meet a condition, without the closing ones."""
        for strategy, order in self._own_orders.select("cancel_all"):
            if order.client_order_id not in self._sent and condition(order):
                yield strategy, order

    def _is_kept(self, order: Order) -> bool:
        """Return whether an order protects a position until that is closed."""
        if order.order_type not in _STOPS or self._is_entry(order):
            return False
        return self._cache.position_id(order.client_order_id) not in self._bare

    def _is_entry(self, order: Order) -> bool:
        if order.is_reduce_only:
            return False
        position_id = self._cache.position_id(order.client_order_id)
        position = None if position_id is None else self._cache.position(position_id)
        # A stop can be larger than what is left of its position.
        return position is None or position.is_closed or not position.is_opposite_side(order.side)

    async def _cancel(self, condition: Callable[[Order], bool], most_s: float) -> bool:
        """Cancel orders and wait until that is confirmed; return whether it is."""

        def is_done() -> bool:
            remaining = list(self._unwanted(condition))
            for strategy, order in remaining:
                if not order.is_pending_cancel:
                    strategy.cancel_order(order)
            return not remaining

        return await self._wait(is_done, most_s)

    async def _wait(self, is_done: Callable[[], bool], most_s: float) -> bool:
        """Wait until a condition holds, the wish changes, or the time is over."""
        end_at = asyncio.get_running_loop().time() + most_s
        while not is_done():
            if not self._is_wanted() or asyncio.get_running_loop().time() > end_at:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    # -- the end -----------------------------------------------------------------------------------

    async def _confirm(self) -> None:
        """Cancel the remaining exits once the fills have arrived here, too."""
        ids = list(self._held)
        await self._wait(
            lambda: not self._closing() and not any(map(self._is_open, ids)), _CONFIRM_S
        )
        self._say("the exchange reports no position; cancelling the remaining exits")
        await self._cancel(lambda _: True, _CONFIRM_S)

    def _is_open(self, position_id: PositionId) -> bool:
        position = self._cache.position(position_id)
        return position is not None and bool(position.is_open)

    def _end(self) -> None:
        left = len(list(self._unwanted(lambda _: True)))
        if left:
            logger.error(
                "flatten: the cancel of {orders} exit(s) is not confirmed",
                event="flatten.cancel_unconfirmed",
                orders=left,
            )
        closed = tuple(
            ClosedPosition(
                position=each.position_id.value,
                quantity=each.quantity,
                price=self._average_price(each.position_id),
            )
            for each in self._held.values()
        )
        self._operator.flattened(FlatReport(flat=True, closed=closed, orders_left=left))

    def _average_price(self, position_id: PositionId) -> Decimal | None:
        filled, value = Decimal(0), Decimal(0)
        for order_id, closes in self._sent.items():
            order = self._cache.order(order_id)
            if closes == position_id and order is not None and order.filled_qty:
                quantity = order.filled_qty.as_decimal()
                filled += quantity
                value += quantity * Decimal(str(order.avg_px))
        instrument = self._cache.instrument(self._held[position_id].instrument_id)
        if not filled or instrument is None:
            return None
        return round(value / filled, int(instrument.price_precision))  # an average is on no tick

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._operator.progress(text)

    def _warn(self, text: str) -> None:
        """Say that something failed; a WARNING the first time."""
        if text != self._said:
            self._said = text
            self._operator.progress(text, is_problem=text not in self._warned)
            self._warned.add(text)
