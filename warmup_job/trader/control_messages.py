"""What `warmup-job trader` and the trader say to each other: JSON, one message a line."""

from __future__ import annotations

from typing import Literal

import msgspec

from warmup_job.handoff.reporting.flatten_report import FlatReport
from warmup_job.handoff.reporting.report import Report

ControlCommand = Literal["pause", "resume", "flatten", "status"]
MAX_LINE_BYTES = 1 << 20


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    command: ControlCommand
    after_drawdown: bool = False
    """With ``resume``: whether to lift the stop that a drawdown has set."""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the trader's answer. Lines of progress come first; the last one has ``done``."""

    done: bool = False
    progress: str = ""
    """A step of a flatten."""
    error: str = ""
    """Why the request was not served; empty: it was."""
    kept: bool = True
    """Whether the new state survives a restart."""
    lifted: int | None = None
    """How many grids that a drawdown had stopped trade again; None: this was not asked."""
    report: Report | None = None
    """The trader's report after the request."""
    flat: FlatReport | None = None
    """The end of a flatten."""
