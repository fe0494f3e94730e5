"""Nautilus' futures execution client, with certain outcomes and an account without history.

Nautilus' own client reconciles from the newest 1,000 orders and 500 trades. Where these do not
reach back equally far it invents fills, on a position `…-EXTERNAL` that does not exist. This client
asks for what is open now, and for each order that Nautilus believes open and is not, with exactly
the trades of the orders that have filled meanwhile. These explain how positions have changed, so
that their sizes are reported only at the start, and where a difference is left: Nautilus makes up
for a difference with an invented fill, which a real one that comes later would double.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from itertools import batched
from typing import Any

from loguru import logger
from nautilus_trader.adapters.binance.common.enums import (
    BinanceExecutionType,
    BinanceOrderStatus,
)
from nautilus_trader.adapters.binance.common.schemas.account import BinanceOrder
from nautilus_trader.adapters.binance.futures.execution import BinanceFuturesExecutionClient
from nautilus_trader.adapters.binance.futures.schemas.account import BinanceFuturesAlgoOrder
from nautilus_trader.adapters.binance.futures.schemas.user import (
    BinanceFuturesAlgoOrderData,
    BinanceFuturesOrderData,
)
from nautilus_trader.adapters.binance.http.error import BinanceError
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import (
    ExecutionMassStatus,
    FillReport,
    OrderStatusReport,
    PositionStatusReport,
)
from nautilus_trader.model.enums import OrderStatus, PositionSide, TriggerType
from nautilus_trader.model.events import OrderAccepted, OrderEvent, OrderUpdated
from nautilus_trader.model.identifiers import (
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import Order

from warmup_job.binance.unknown_outcome import NO_SUCH_ORDER, not_placed_reason
from warmup_job.handoff.live_account.certain_orders import CertainOrders, error_code
from warmup_job.handoff.live_account.listen_keys import ListenKeyRequests
from warmup_job.handoff.live_account.stuck_triggers import StuckTriggers, is_at_trigger
from warmup_job.handoff.live_account.told_ids import ToldIds

_RENEW_S = 30.0
_RECONCILE_S = 20.0
"""How long a reconciliation may take: Nautilus' HTTP client waits for an answer without a limit."""
_AT_ONCE = 10
"""How many orders are asked for at once: one after another, those of a deep ladder take too long to
reconcile in time, if all of them have ended while the trader heard nothing."""
_MAX_READS = 3
_MAX_STATUSES = 10
"""How often the account is read again because fills have arrived meanwhile. The fills of an order
in pieces take some seconds at most."""
_STEPS = 100
"""After how many steps of the loop Nautilus has surely applied what it was told; it takes three."""
YOUNG_S = 2.0
"""An order that was sent more recently may not be in the exchange's answers yet."""


class AccountClient(BinanceFuturesExecutionClient):
    """The execution client of live trading.

    Attributes:
        symbols: The venue's names of the traded symbols.
        orders: Sends and queries the orders.
        triggers: Finds stops that were triggered and became no order.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as Nautilus' class
        super().__init__(*args, **kwargs)
        self.symbols: tuple[str, ...] = ()
        self.orders = CertainOrders(kwargs["client"], kwargs["clock"], kwargs["account_type"])
        self._futures_http_account = self._http_account = self.orders
        if self._ws_client._http_user is not None:  # the key is HMAC
            self._ws_client._http_user = ListenKeyRequests(kwargs["client"], kwargs["account_type"])
        self.triggers = StuckTriggers(self.orders, self._is_at_trigger, self._report_gone)
        self.orders.on_algo_placed = self._accept
        self._told_ids = ToldIds(self._cache)
        self._late_trades: set[tuple[str, int]] = set()
        self._event_s: float | None = None
        self._position_side = ""
        self._has_reconciled = False
        self._reports_positions = False

    @property
    def now_ms(self) -> int:
        """The time on Nautilus' clock, which stamps the events of orders and positions, UTC ms."""
        return int(self._clock.timestamp_ms())

    def traded_instruments(self) -> list[InstrumentId]:
        """Return the ids of the traded instruments."""
        return [self._get_cached_instrument_id(symbol) for symbol in self.symbols]

    # -- the user data stream ----------------------------------------------------------------------

    @property
    def event_age_s(self) -> float | None:
        """Seconds since the last message of the user data stream; None: there was none."""
        return None if self._event_s is None else time.monotonic() - self._event_s

    @property
    def is_stream_up(self) -> bool:
        """Whether the user data stream is connected."""
        stream = self._ws_client._stream_client
        # It says of itself that it is active also while it is connecting again.
        return stream is not None and stream.is_active() and not stream.is_reconnecting()

    async def renew_stream(self, *, positions: bool = False) -> bool:
        """Connect the user data stream again and reconcile, as Nautilus does after a reconnect.

        If the stream cannot be connected, it reconciles all the same.

        Args:
            positions: whether to set the positions to those of the exchange, after the orders.

        Returns:
            Whether it has reconciled.
        """
        stream, self._has_reconciled = self._ws_client, False
        self._reports_positions = positions
        try:
            async with asyncio.timeout(_RENEW_S), stream._recovery_lock:
                await stream.disconnect()
                await stream.connect()
                await stream.session_logon()
                await stream.subscribe_user_data_stream(self._reconcile_after_resubscribe)
        except Exception as error:  # noqa: BLE001 - of Nautilus' client, of many kinds
            logger.warning(
                "cannot renew the user data stream ({error}); reconciling the account without it",
                event="account.stream_not_renewed",
                error=_cause(error),
            )
            await self._reconcile_after_resubscribe()
        finally:
            self._reports_positions = False
        return self._has_reconciled

    async def _disconnect(self) -> None:
        """Leave the user data stream, but not close its listen key.

        An account has one listen key, so closing it would end the streams of every other trader and
        program on the account:
        https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
        """
        await self._ws_client.disconnect()

    async def _reconcile_after_resubscribe(self) -> None:
        mass_status: ExecutionMassStatus | None = None
        try:
            async with asyncio.timeout(_RECONCILE_S):
                mass_status = await self._mass_status(positions=self._reports_positions)
        except TimeoutError:
            # Meanwhile Nautilus holds back all events of the stream.
            logger.warning(
                "cannot reconcile: the account is not answered in {seconds} s",
                event="account.not_reconciled",
                seconds=_RECONCILE_S,
            )
        if mass_status is not None:
            self._send_mass_status_report(mass_status)
            self._has_reconciled = True

    def _handle_user_ws_message(self, raw: bytes) -> None:
        self._event_s = time.monotonic()
        super()._handle_user_ws_message(raw)

    def _handle_order_trade_update(self, raw: bytes) -> None:
        update = self._decoder_futures_order_update.decode(raw).o
        if update.c in self.triggers.gone and not self._expect_late_fill(update):
            return
        self._position_side = update.ps.value
        order = self._cache.order(ClientOrderId(update.c))
        if order is not None and order.has_trigger_price and not order.is_closed:
            # Its trigger has made an order, which is cancelled elsewhere. Its ALGO_UPDATE can be
            # lost, or come later.
            self._triggered_algo_order_ids.add(order.client_order_id)
        try:
            super()._handle_order_trade_update(raw)
        finally:
            self._position_side = ""

    def _handle_algo_update(self, raw: bytes) -> None:
        update = self._decoder_futures_algo_update.decode(raw).o
        if update.caid in self.triggers.gone:
            return  # of what follows only fills matter, which have events of their own
        if update.X == BinanceOrderStatus.FINISHED and self._lacks_fills(update):
            return  # their own events follow; a lost one is found by the watch of the account
        if update.X == BinanceOrderStatus.NEW and self._is_accepted(update.caid):
            return
        super()._handle_algo_update(raw)
        if update.X == BinanceOrderStatus.TRIGGERING:
            self.create_task(self.triggers.follow(update.caid))

    def _is_accepted(self, order_id: str) -> bool:
        """Return whether Nautilus has been told that a conditional order was accepted."""
        order = self._cache.order(ClientOrderId(order_id))
        return order is not None and self._told_ids.of(order) is not None

    def _accept(self, placed: BinanceFuturesAlgoOrder) -> None:
        """Tell that an order was accepted, unless its event has done so."""
        order = self._cache.order(ClientOrderId(placed.clientAlgoId))
        if order is None or order.status != OrderStatus.SUBMITTED or placed.algoStatus != "NEW":
            return  # it is triggered, or no longer open: its own events tell what has become of it
        if not self._is_accepted(placed.clientAlgoId):
            self._tell_accepted(order, VenueOrderId(str(placed.algoId)))

    def _tell_accepted(self, order: Order, venue_order_id: VenueOrderId) -> None:
        self.generate_order_accepted(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=venue_order_id,
            ts_event=self._clock.timestamp_ns(),
        )

    def _send_order_event(self, event: OrderEvent) -> None:
        """Send an event, after the new id of its order if the order's trigger has changed it."""
        order, new_id = self._cache.order(event.client_order_id), event.venue_order_id
        if order is None or not order.has_trigger_price or new_id is None:
            super()._send_order_event(event)
            return
        known_id, is_update = self._told_ids.of(order), isinstance(event, OrderUpdated)
        if known_id is None and is_update:
            self._tell_accepted(order, new_id)  # Nautilus would not take the id from the update
        elif known_id not in {None, new_id} and not is_update:
            self._tell_id(order, new_id)
        self._told_ids.add(event.client_order_id, new_id)
        if known_id is None or not isinstance(event, OrderAccepted):  # it is accepted only once
            super()._send_order_event(event)

    def _tell_id(self, order: Order, venue_order_id: VenueOrderId) -> None:
        """Tell Nautilus the id of the order that a trigger has made."""
        self.generate_order_updated(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=venue_order_id,
            quantity=order.quantity,
            price=order.price if order.has_price else None,
            trigger_price=order.trigger_price,
            ts_event=self._clock.timestamp_ns(),
            venue_order_id_modified=True,
        )

    def generate_order_cancel_rejected(
        self,
        strategy_id: StrategyId,
        instrument_id: InstrumentId,
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId | None,
        reason: str,
        ts_event: int,
    ) -> None:
        """Tell that a cancel was rejected, of an order that may have got another id meanwhile."""
        order = self._cache.order(client_order_id)
        now_id = venue_order_id if order is None else self._told_ids.of(order)
        super().generate_order_cancel_rejected(
            strategy_id, instrument_id, client_order_id, now_id, reason, ts_event
        )

    def _lacks_fills(self, finished: BinanceFuturesAlgoOrderData) -> bool:
        """Return whether more of an order is filled than Nautilus knows.

        Nautilus would invent a fill for the rest, which the real one that comes later doubles.
        """
        order = self._cache.order(ClientOrderId(finished.caid))
        if order is not None and order.is_closed:
            return False
        known = Decimal(0) if order is None else order.filled_qty.as_decimal()
        return bool(Decimal(finished.aq or 0) > known)

    # -- stops that stick at their trigger ---------------------------------------------------------

    def _is_at_trigger(self, order_id: str) -> bool:
        order = self._cache.order(ClientOrderId(order_id))
        return (
            order is not None
            and order.is_open
            and order.filled_qty == 0
            and order.client_order_id not in self._triggered_algo_order_ids
            and len(order.venue_order_ids) == 0
        )

    def _report_gone(self, order_id: str) -> None:
        order = self._cache.order(ClientOrderId(order_id))
        self.generate_order_expired(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            ts_event=self._clock.timestamp_ns(),
        )

    def _expect_late_fill(self, update: BinanceFuturesOrderData) -> bool:
        """Prepare an order that counts as gone for a fill; return whether there is a new one.

        Nautilus books the fill on the position, but does not note it on the order, which has
        expired. So it would not notice that the same event comes twice.
        """
        trade = (update.s, update.t)
        is_fill = update.x in {BinanceExecutionType.TRADE, BinanceExecutionType.CALCULATED}
        if not is_fill or trade in self._late_trades:
            return False
        self._late_trades.add(trade)
        order = self._cache.order(ClientOrderId(update.c))
        self._tell_id(order, VenueOrderId(str(update.i)))
        logger.warning(
            "order {order} was filled late, after it counted as gone",
            event="order.filled_late",
            order=update.c,
        )
        return True

    def _send_order_status_report(self, report: OrderStatusReport) -> None:
        """Name the position of a foreign order, or Nautilus would invent one for its fills."""
        if report.venue_position_id is None and self._position_side:
            report.venue_position_id = PositionId(f"{report.instrument_id}-{self._position_side}")
        super()._send_order_status_report(report)

    # -- reconciliation ----------------------------------------------------------------------------

    async def generate_mass_status(
        self,
        lookback_mins: int | None = None,  # noqa: ARG002  # Nautilus' interface
    ) -> ExecutionMassStatus | None:
        """Report the open orders and positions, and what has become of orders that are not open.

        Args:
            lookback_mins: Not used; the report does not depend on the account's history.

        Returns:
            None: a request failed, so nothing may be concluded.
        """
        return await self._mass_status(positions=True)

    async def _mass_status(self, *, positions: bool) -> ExecutionMassStatus | None:
        try:
            for _ in range(_MAX_STATUSES):
                before = self._filled()
                status, held = await self._read_status(positions=positions)
                if self._filled() == before:
                    break  # otherwise Nautilus knows more than it, and would refuse it
        except Exception as error:  # noqa: BLE001 - one failed request makes all of it worthless
            message = error.message if isinstance(error, BinanceError) else type(error).__name__
            self._log.error(f"Cannot read the account: {message}")
            return None
        self._log_takeovers(held)
        return status

    def _filled(self) -> Decimal:
        """Return a sum that every fill increases of which the user data stream tells."""
        orders = self._cache.orders(venue=self.venue)
        return sum((order.filled_qty.as_decimal() for order in orders), Decimal(0))

    async def _read_status(
        self, *, positions: bool
    ) -> tuple[ExecutionMassStatus, list[PositionStatusReport]]:
        """Return what the exchange says, and the positions in it."""
        status = ExecutionMassStatus(
            client_id=self.id,
            account_id=self.account_id,
            venue=self.venue,
            report_id=UUID4(),
            ts_init=self._clock.timestamp_ns(),
        )
        held = await self._position_reports() if positions else []
        for _ in range(_MAX_READS):
            reports, is_complete = await self._order_reports()
            before, held = held, await self._position_reports() if positions else []
            if _sizes(before) == _sizes(held):
                break  # nothing was filled meanwhile
        for some in batched(reports, _AT_ONCE):
            for fills in await asyncio.gather(*map(self._fills, some)):
                status.add_fill_reports(fills)
        await self._tell_new_ids(reports)
        status.add_order_reports(reports)
        if not is_complete:
            return status, []
        status.add_position_reports(held)
        return status, held

    async def _tell_new_ids(self, reports: list[OrderStatusReport]) -> None:
        """Let Nautilus learn the ids in reports, whose fills it would refuse otherwise."""
        for report in reports:
            order, new_id = self._cache.order(report.client_order_id), report.venue_order_id
            is_conditional = order is not None and order.has_trigger_price
            if is_conditional and self._told_ids.of(order) not in {None, new_id}:
                self._tell_id(order, new_id)
        for _ in range(_STEPS):
            if not self._told_ids.is_behind:
                break
            await asyncio.sleep(0)

    def _log_takeovers(self, held: list[PositionStatusReport]) -> None:
        for report in held:
            known = self._cache.position(report.venue_position_id)
            size = Decimal(0) if known is None else known.signed_decimal_qty()
            if size != report.signed_decimal_qty:
                logger.info(
                    "position {position} is {quantity} at the exchange; taking it over (it was "
                    "{known_quantity} here)",
                    event="position.taken_over",
                    position=report.venue_position_id,
                    quantity=report.signed_decimal_qty,
                    known_quantity=size,
                )

    async def _order_reports(self) -> tuple[list[OrderStatusReport], bool]:
        """Return the open orders, what became of those that are not, and whether that is all."""
        reports: list[OrderStatusReport] = []
        for symbol in self.symbols:
            reports += map(self._order_report, await self.orders.query_open_orders(symbol))
            found = await self.orders.query_open_algo_orders(symbol)
            reports += [self._algo_report(each) for each in found if each.quantity]
        believed = self._believed_open()
        leaving = {order_id for order_id, order in believed.items() if self._is_leaving(order)}
        reports = [report for report in reports if report.client_order_id not in leaving]
        reported = {report.client_order_id for report in reports} | leaving
        missing = [order for order_id, order in believed.items() if order_id not in reported]
        for some in batched(missing, _AT_ONCE):
            reports += await asyncio.gather(*map(self._order_now, some))
        return reports, not leaving

    def _believed_open(self) -> dict[ClientOrderId, Order]:
        """Return the orders that Nautilus takes for open or in flight."""
        cache = self._cache
        found = (*cache.orders_open(venue=self.venue), *cache.orders_inflight(venue=self.venue))
        return {order.client_order_id: order for order in found}

    def _is_leaving(self, order: Order) -> bool:
        """Return whether an order may still be on its way to the exchange."""
        if order.venue_order_id is not None:
            return False
        young_ns = self._clock.timestamp_ns() - order.last_event.ts_init
        return order.client_order_id.value in self.orders.under_way or young_ns < YOUNG_S * 1e9

    async def _order_now(self, order: Order) -> OrderStatusReport:
        """Return what the exchange says of an order that is not among its open ones."""
        order_id, symbol = order.client_order_id.value, order.instrument_id.symbol.value
        try:
            if order.has_trigger_price:
                algo = await self.orders.query_algo_order(client_algo_id=order_id)
                if not algo.actualOrderId:
                    if is_at_trigger(algo):
                        self.create_task(self.triggers.follow(order_id))
                    return self._algo_report(algo)
                actual = await self.orders.query_order(symbol, order_id=int(algo.actualOrderId))
                self._triggered_algo_order_ids.add(order.client_order_id)
                report = self._order_report(actual)
                report.client_order_id = order.client_order_id
                report.trigger_price = order.trigger_price
                return report
            return self._order_report(
                await self.orders.query_order(symbol, orig_client_order_id=order_id)
            )
        except BinanceError as error:
            if error_code(error) != NO_SUCH_ORDER:
                raise
        return self._absent(order)

    def _absent(self, order: Order) -> OrderStatusReport:
        """Report an order that the exchange does not know: rejected, or cancelled long ago."""
        now_ns, accepted = self._clock.timestamp_ns(), order.venue_order_id is not None
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id or VenueOrderId(order.client_order_id.value),
            order_side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            order_status=OrderStatus.CANCELED if accepted else OrderStatus.REJECTED,
            price=order.price if order.has_price else None,
            trigger_price=order.trigger_price if order.has_trigger_price else None,
            trigger_type=order.trigger_type if order.has_trigger_price else TriggerType.NO_TRIGGER,
            quantity=order.quantity,
            filled_qty=order.filled_qty,
            cancel_reason=not_placed_reason("found by comparing the account"),
            report_id=UUID4(),
            ts_accepted=now_ns,
            ts_last=now_ns,
            ts_init=now_ns,
        )

    def _order_report(self, order: BinanceOrder) -> OrderStatusReport:
        report: OrderStatusReport = order.parse_to_order_status_report(
            account_id=self.account_id,
            instrument_id=self._get_cached_instrument_id(order.symbol),
            report_id=UUID4(),
            enum_parser=self._enum_parser,
            treat_expired_as_canceled=self._treat_expired_as_canceled,
            ts_init=self._clock.timestamp_ns(),
        )
        if order.positionSide:
            report.venue_position_id = PositionId(f"{report.instrument_id}-{order.positionSide}")
        return report

    def _algo_report(self, order: BinanceFuturesAlgoOrder) -> OrderStatusReport:
        report = order.parse_to_order_status_report(
            account_id=self.account_id,
            instrument_id=self._get_cached_instrument_id(order.symbol),
            report_id=UUID4(),
            enum_parser=self._futures_enum_parser,
            ts_init=self._clock.timestamp_ns(),
        )
        if order.positionSide:
            report.venue_position_id = PositionId(f"{report.instrument_id}-{order.positionSide}")
        return report

    async def _fills(self, report: OrderStatusReport) -> list[FillReport]:
        """Return an order's trades, if Nautilus lacks some of them."""
        known: Order | None = self._cache.order(report.client_order_id)
        filled = Decimal(0) if known is None else known.filled_qty.as_decimal()
        if report.filled_qty.as_decimal() <= filled:
            return []
        trades = await self.orders.query_user_trades(
            report.instrument_id.symbol.value, order_id=int(report.venue_order_id.value)
        )
        fills = [
            trade.parse_to_fill_report(
                account_id=self.account_id,
                instrument_id=report.instrument_id,
                report_id=UUID4(),
                ts_init=self._clock.timestamp_ns(),
                use_position_ids=self._use_position_ids,
            )
            for trade in trades
            if str(trade.orderId) == report.venue_order_id.value
        ]
        return sorted(fills, key=lambda fill: (fill.ts_event, int(fill.trade_id.value)))

    async def _position_reports(self) -> list[PositionStatusReport]:
        """Return the traded symbols' positions, with those that are flat at the exchange only."""
        reports: list[PositionStatusReport] = await self._get_binance_position_status_reports()
        traded = set(self.traded_instruments())
        reports = [report for report in reports if report.instrument_id in traded]
        there = {report.venue_position_id for report in reports}
        now_ns = self._clock.timestamp_ns()
        reports += [
            PositionStatusReport(
                account_id=self.account_id,
                instrument_id=position.instrument_id,
                position_side=PositionSide.FLAT,
                quantity=Quantity.zero(position.size_precision),
                report_id=UUID4(),
                ts_last=now_ns,
                ts_init=now_ns,
                venue_position_id=position.id,
            )
            for position in self._cache.positions_open(venue=self.venue)
            if position.id not in there and position.instrument_id in traded
        ]
        return reports


def _sizes(reports: list[PositionStatusReport]) -> set[tuple[PositionId | None, Decimal]]:
    return {(report.venue_position_id, report.signed_decimal_qty) for report in reports}


def _cause(error: Exception) -> str:
    """Return what made a connection fail, without a text that could contain a listen key."""
    if isinstance(error, BinanceError):
        return f"HTTP {error.status}, code {error_code(error)}"
    if isinstance(error, TimeoutError):
        return str(error) or f"no answer in {_RENEW_S:.0f} s"
    # Nautilus' own words are safe, those of its websocket library can have the whole address.
    return str(error) if isinstance(error, RuntimeError) else type(error).__name__
