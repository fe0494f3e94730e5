"""The waits at the end of a run, on a clock that skips them."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any
from unittest.mock import create_autospec

from warmup_job.handoff.live_account.own_orders import OwnOrders
from warmup_job.handoff.shut_down import LastOrders


class _Skips(selectors.SelectSelector):
    """Does not wait, but counts for how long it would have."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.skipped_s += max(0.0, timeout or 0.0)
        return super().select(0)


class _SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skips = _Skips()
        super().__init__(self._skips)

    def time(self) -> float:
        return self._skips.skipped_s


def test_orders_that_move_again_during_the_last_save_get_no_second_wait() -> None:
    """Or the end takes longer than a pod's grace period, and the trader is killed."""

    async def run() -> float:
        clock_s = asyncio.get_running_loop().time
        own_orders = create_autospec(OwnOrders)
        own_orders.select.return_value = []
        own_orders.are_under_way.side_effect = lambda: not 2.4 < clock_s() < 2.6
        node_task = asyncio.create_task(asyncio.Event().wait())

        async def save() -> bool:
            await asyncio.sleep(0.3 if clock_s() else 0)
            return True

        await LastOrders(own_orders, [], node_task, "keep").settle_and_save(save)  # type: ignore[arg-type]
        node_task.cancel()
        return clock_s()

    with asyncio.Runner(loop_factory=_SkippingLoop) as runner:
        assert 2.9 < runner.run(run()) < 3.5  # 3 s and the save that follows
