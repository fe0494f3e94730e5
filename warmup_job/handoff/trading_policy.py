"""What a trader requires before it trades, and what it does with bars and open orders."""

from __future__ import annotations

import msgspec

from warmup_job.handoff.operator_control import OperatorControl
from warmup_job.handoff.reporting.report import State
from warmup_job.handoff.state_dir import StateDir
from warmup_job.modes import FirstBar, Orders, Replay


class DeliveryPolicy(msgspec.Struct, frozen=True):
    """How history reaches strategies other than HedgeGridV1, see docs/explanation/trading.md."""

    first_bar: FirstBar = "history"
    replay: Replay = "none"


class TradingPolicy(msgspec.Struct, frozen=True):
    """The parts of the configuration that the runner acts on."""

    on_stop: Orders = "cancel_entries"
    on_gap: Orders = "cancel_entries"
    proven: bool = False
    """Whether trading stays halted while a strategy follows bars that have no history."""
    state_dir: StateDir | None = None
    """Where strategies keep what they save; None: nowhere."""
    silence_s: float = 10.0
    """How many seconds a websocket stream may be silent before trading halts."""
    delivery: DeliveryPolicy = msgspec.field(default_factory=DeliveryPolicy)
    operator: OperatorControl = msgspec.field(default_factory=OperatorControl)
    """What the operator wants; the default is a control that nobody else holds."""

    def unwanted(self, state: State) -> list[Orders]:
        """Return which open orders must not rest: bars are missing, or the operator has paused.

        Args:
            state: the state that the trader is in; when it stops, `on_stop` decides.
        """
        unwanted: list[Orders] = []
        if state == "degraded":
            unwanted.append(self.on_gap)
        if self.operator.state != "trading" and state != "stopping":
            unwanted.append("cancel_entries")
        return unwanted
