"""Faults, deaths and returns of a live grid in every order that hypothesis thinks of."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.needs_nautilus import needs_nautilus
from tests.support.oracle import Bounds
from tests.support.suite import FULL

pytestmark = pytest.mark.e2e
FAULTS = (
    "user-mute:for=15s",
    "user-late=2s:for=10s",
    "user-double:for=10s",
    "user-swap:for=10s",
    "user-drop:times=1",
    "unknown=done@POST/order:times=1",
    "unknown=done@POST/algoOrder:times=1",
    "unknown=lost@POST/*rder:times=1",
    "overload@POST/*rder:times=2",
    "reject-cancel:times=2",
    "slow=2s@DELETE/*rder:for=10s",
    "delay=1s@POST/algoOrder:for=10s",
    "stall@DELETE/*rder:times=1",
    "history=20",
)
BOUNDS = Bounds(unprotected_ms=25_000, duplicate_ms=25_000)


class LiveGrid(RuleBasedStateMachine):
    """A live trader; each step is something that happens to it. The first step starts it."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = contextlib.ExitStack()
        self.started: LiveTrader | None = None
        self.runs = True
        self.has_traded = False

    @property
    def trader(self) -> LiveTrader:
        if self.started is None:
            folder = Path(self.ends.enter_context(tempfile.TemporaryDirectory()))
            self.started = self.ends.enter_context(live_trader(folder, bounds=BOUNDS))
            self.started.start()
        return self.started

    @rule(fault=st.sampled_from(FAULTS))
    def fault(self, fault: str) -> None:
        self.trader.exchange.fault(fault)
        self.has_traded = False

    @rule()
    @precondition(lambda self: self.runs and not self.has_traded)
    def trade(self) -> None:
        self.trader.until_fills("E")
        self.has_traded = True

    @rule(ending=st.sampled_from([signal.SIGTERM, signal.SIGKILL]))
    @precondition(lambda self: self.runs)
    def end(self, ending: signal.Signals) -> None:
        self.trader.end(ending)
        self.runs = self.has_traded = False

    @rule()
    @precondition(lambda self: not self.runs)
    def start(self) -> None:
        self.trader.start()
        self.runs = True

    def teardown(self) -> None:
        """Without faults it recovers, and nothing was ever wrong."""
        with self.ends:
            if self.started is None:
                return
            self.trader.exchange.clear_faults()
            if not self.runs:
                self.trader.start()
            self.trader.until_state("live")
            self.trader.until_protected()
            self.trader.terminate()


@needs_nautilus
def test_combinations_of_faults_and_restarts() -> None:
    run_state_machine_as_test(
        LiveGrid,
        settings=settings(
            max_examples=25 if FULL else 3,
            stateful_step_count=8 if FULL else 6,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],  # a smaller example would take minutes more
        ),
    )
