"""Compares the account with Nautilus' cache while the trader runs, and repairs what differs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import OrderStatus
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import Order

from warmup_job.errors import TraderError, WarmupError
from warmup_job.handoff.live_account.account_client import AccountClient
from warmup_job.handoff.live_account.account_differences import (
    Belief,
    BelievedOrder,
    BelievedPosition,
    Difference,
    differences,
)
from warmup_job.handoff.live_account.account_verdict import UNREAD_MS, AccountVerdict, Step
from warmup_job.handoff.live_account.clock_watch import ClockWatch
from warmup_job.handoff.live_account.other_trader_watch import OtherTraderWatch
from warmup_job.handoff.reporting.report import AccountReport
from warmup_job.handoff.run_listener import RunListener
from warmup_job.market.symbol import venue_symbol
from warmup_job.market.times import NS_PER_MS

if TYPE_CHECKING:
    from warmup_job.binance.account_reader import AccountReader, AccountSnapshot

LOOK_S = 3.0
LOOK_AGAIN_S = 1.0
_WEIGHT_PER_MINUTE = 300
"""The most request weight that looking may use; more symbols make it slower."""
_STREAM_DOWN_S = 5.0
"""How long the user data stream may be down; Nautilus connects it again by itself at first."""
_SHOWN = 5


class AccountWatch:
    """Looks at the account every few seconds, and after every surprise sooner.

    Args:
        reader: reads the account.
        client: Nautilus' execution client; a repair renews its user data stream.
        cache: what Nautilus believes.
        others: looks for orders of other traders.
        owns: whether this trader made the order with that id, also in an earlier run.
        keeps_cancel: whether the cancel of the order with that id is still kept back here.
        clock: is doubted when the account cannot be read: requests are signed with the time.
        listener: the runner.
    """

    def __init__(
        self,
        reader: AccountReader,
        client: AccountClient,
        cache: CacheFacade,
        others: OtherTraderWatch,
        owns: Callable[[str], bool],
        keeps_cancel: Callable[[str], bool],
        clock: ClockWatch,
        listener: RunListener,
    ) -> None:
        self._reader = reader
        self._client = client
        self._cache = cache
        self._others = others
        self._owns = owns
        self._keeps_cancel = keeps_cancel
        self._clock = clock
        self._listener = listener
        self._step = Step("unknown", "the account has not been read yet", "wait")
        self._is_logged = False  # the step of the start is not, nor are failures soon after it
        self._verdict = AccountVerdict(_monotonic_ms())
        self._differences: list[Difference] = []
        self._stream_down_s: float | None = None
        self._news = asyncio.Event()

    @property
    def is_unread(self) -> bool:
        """Whether the account has not been read yet."""
        return not self._verdict.has_read

    @property
    def is_overdue(self) -> bool:
        """Whether the account could not be read since the start, for longer than is tolerated."""
        return self.is_unread and self._is_logged

    @property
    def reason(self) -> str:
        """Why entries must not leave because of the account; empty: they may."""
        return self._step.reason

    @property
    def is_reason_logged(self) -> bool:
        """Whether the reason has been logged; empty reasons are not."""
        return self._is_logged and bool(self._step.reason)

    def look_soon(self) -> None:
        """Look at once instead of after the pause."""
        self._news.set()

    def report(self) -> AccountReport:
        """Return the state of the account for the trader's report."""
        age_s = self._client.event_age_s
        return AccountReport(
            state=self._step.state,
            why=self._step.reason,
            event_age_ms=None if age_s is None else round(age_s * 1000),
            differences=tuple(map(str, self._differences[:_SHOWN])),
            other_traders=self._others.noticed,
        )

    async def run(self) -> None:
        """Look, repair and look again, until the task is cancelled.

        Raises:
            TraderError: a difference remains although it was repaired.
            LiveRefusedError: another trader trades too, and started earlier.
        """
        while True:
            step = await self._look()
            if step.action == "exit":
                raise TraderError(
                    f"{step.reason}; repairs have not helped, a new start takes the account over"
                )
            if step.action in {"repair", "repair positions"}:
                await self._repair(positions=step.action == "repair positions")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._pause_s(step))
            self._news.clear()

    def _pause_s(self, step: Step) -> float:
        if step.action != "wait":
            return LOOK_AGAIN_S
        return max(LOOK_S, self._reader.weight * 60 / _WEIGHT_PER_MINUTE)

    async def _look(self) -> Step:
        read_ms = self._client.now_ms  # the cache's times are of the same clock
        try:
            async with asyncio.timeout(UNREAD_MS / 1000):
                account = await self._reader.read()
        except WarmupError as error:
            return self._on_unread(str(error))
        except TimeoutError:
            return self._on_unread("the exchange does not answer")
        await self._others.look(account)
        self._differences = differences(
            account, self._belief(account), read_ms=read_ms, owns=self._owns
        )
        step = self._verdict.judge(self._differences, _monotonic_ms(), self._stream_problem())
        self._enter(step)
        return step

    def _on_unread(self, why: str) -> Step:
        self._clock.doubt()
        step = self._verdict.on_unread(why, _monotonic_ms())
        if step is not None:
            self._enter(step)
        return self._step._replace(action="wait")

    async def _repair(self, *, positions: bool) -> None:
        logger.warning(
            "renewing the user data stream and reconciling the account: {differences}",
            event="account.reconciling",
            differences="; ".join(map(str, self._differences[:_SHOWN])) or self._stream_problem(),
        )
        succeeded = await self._client.renew_stream(positions=positions)
        self._verdict.on_repair(_monotonic_ms(), succeeded=succeeded)

    def _enter(self, step: Step) -> None:
        before, self._step = self._step, step
        is_overdue = not self._is_logged and self._verdict.is_overdue(_monotonic_ms())
        if before.state == step.state and not is_overdue:
            return
        self._is_logged = True
        if step.state == "ok":
            logger.info("the account agrees with what the trader believes", event="account.agrees")
        else:
            logger.error(
                "{reason}; no entries", event="account.entries_stopped", reason=step.reason
            )
        self._listener.on_connection_change()  # the first bars wait for the first reading

    def _stream_problem(self) -> str:
        """Return why the user data stream delivers nothing; empty: it is connected, or soon is."""
        if self._client.is_stream_up:
            self._stream_down_s = None
            return ""
        now_s = time.monotonic()
        self._stream_down_s = self._stream_down_s or now_s
        is_down = now_s - self._stream_down_s >= _STREAM_DOWN_S
        return "the user data stream is not connected" if is_down else ""

    def _belief(self, account: AccountSnapshot) -> Belief:
        cache, instruments = self._cache, self._client.traded_instruments()
        orders: list[Order] = [
            order
            for instrument_id in instruments
            for order in (
                *cache.orders_open(instrument_id=instrument_id),
                *cache.orders_inflight(instrument_id=instrument_id),
            )
        ]
        orders += [
            order
            for order in (cache.order(ClientOrderId(each)) for each in account.orders)
            if order is not None
        ]
        return Belief(
            positions={
                (venue_symbol(str(instrument_id)), position.id.value.rpartition("-")[2]): (
                    BelievedPosition(
                        position.signed_decimal_qty(), position.last_event.ts_init // NS_PER_MS
                    )
                )
                for instrument_id in instruments
                for position in cache.positions(instrument_id=instrument_id)
            },
            orders={order.client_order_id.value: self._believed(order) for order in orders},
            under_way=frozenset(self._client.orders.under_way | self._client.triggers.followed),
        )

    def _believed(self, order: Order) -> BelievedOrder:
        is_kept = self._keeps_cancel(order.client_order_id.value)
        return BelievedOrder(
            is_open=order.is_open,
            is_closed=order.is_closed,
            filled=order.filled_qty.as_decimal(),
            changed_ms=order.last_event.ts_init // NS_PER_MS,
            is_leaving=order.status == OrderStatus.PENDING_CANCEL and not is_kept,
        )


def _monotonic_ms() -> int:
    return time.monotonic_ns() // NS_PER_MS
