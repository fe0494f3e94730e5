"""The state of a run, and the open orders that must not rest in it."""

from __future__ import annotations

import pytest

from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.reporting.report import State
from warmup_job.handoff.run_state import RunState
from warmup_job.handoff.trading_policy import TradingPolicy
from warmup_job.modes import OperatorState, Orders


def test_run_state_keeps_since_when_and_the_time_until_it_was_first_live() -> None:
    run = RunState(started_ms=1_000, now_ms=1_500)
    assert run.enter("live", "contiguous", 4_000)
    assert not run.enter("live", "another reason", 5_000)
    assert (run.why, run.since_ms) == ("another reason", 4_000)
    assert run.enter("degraded", "bars are missing", 6_000)
    assert run.enter("live", "contiguous", 9_000)
    assert (run.live_after_s, run.since_ms) == (3.0, 9_000)
    assert run.enter("stopping", "asked to", 10_000)
    assert run.last_reason == "live: contiguous"


@pytest.mark.parametrize(
    ("state", "operator", "unwanted"),
    [
        ("live", "trading", []),
        ("degraded", "trading", ["cancel_all"]),
        ("paused", "paused", ["cancel_entries"]),
        ("degraded", "flattening", ["cancel_all", "cancel_entries"]),
        ("stopping", "paused", []),
    ],
)
def test_orders_that_must_not_rest_follow_from_the_state_and_the_operator(
    state: State, operator: OperatorState, unwanted: list[Orders]
) -> None:
    control = OperatorControl()
    control.set(operator)
    assert TradingPolicy(on_gap="cancel_all", operator=control).unwanted(state) == unwanted
