"""The lines of Nautilus' own log, with the levels and the words that an operator needs.

Nautilus repeats itself: a rejected order is an error of its client and a warning of its strategy,
and what is normal in hedge mode or at a restart is a warning. Nothing is dropped here: what says
nothing new is lowered to DEBUG, so `--log-level debug` shows it. It imports only the standard
library, because `stderr_relay` uses it in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from warmup_job.process.refusal_text import FLATTEN_KIND, plain_refusal

LEVELS: Final = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
"""Levels by name, as loguru numbers them."""

_LINE = re.compile(
    r"\[(?P<level>DEBUG|INFO|WARN|ERROR)\] [^.\s]+\.(?P<component>[^:]+): (?P<message>.*)"
)


class NodeLine(NamedTuple):
    """One line of Nautilus' log, without its time and trader id."""

    level: str
    """DEBUG, INFO, WARNING or ERROR."""
    component: str
    message: str

    @property
    def text(self) -> str:
        """The component and the message."""
        return f"{self.component}: {self.message}"


def parse_node_line(line: str) -> NodeLine | None:
    """Return a line of Nautilus' log as an operator should see it; None: it is another line.

    Args:
        line: The line, without colours.
    """
    found = _LINE.search(line)
    if found is None:
        return None
    level = "WARNING" if found["level"] == "WARN" else found["level"]
    message = found["message"]
    for rule in _RULES:
        changed = rule.apply(level, found["component"], message)
        if changed is not None:
            return NodeLine(changed[0], found["component"], changed[1])
    return NodeLine(level, found["component"], message)


class _Rule(NamedTuple):
    """What a known line becomes. A line of another level or component stays as it is."""

    level: str
    component: str
    """A pattern of the whole component; empty: any."""
    message: re.Pattern[str]
    new_level: Callable[[re.Match[str]], str]
    new_message: Callable[[re.Match[str]], str]

    def apply(self, level: str, component: str, message: str) -> tuple[str, str] | None:
        """Return the new level and message; None: this is another line."""
        if level != self.level or (self.component and not re.fullmatch(self.component, component)):
            return None
        found = self.message.match(message)
        return None if found is None else (self.new_level(found), self.new_message(found))


def _lower(level: str, component: str, pattern: str) -> _Rule:
    return _Rule(
        level, component, re.compile(pattern), lambda _: "DEBUG", lambda found: found.string
    )


def _event(name: str, before: str, after: str) -> _Rule:
    """Return the rule that shortens an event of a refused order to its id and its reason."""
    pattern = re.compile(
        rf"<--\[EVT\] {name}\(.*?client_order_id=(?P<id>[^,]+),.*?"
        r"reason=(?P<quote>['\"])(?P<reason>.*?)(?P=quote)"
        r"(?:, due_post_only=(?P<passed>\w+))?(?:, ts_event=\d+)?\)$"
    )

    def words(found: re.Match[str]) -> str:
        return f"{before} {found['id']} {after}: {plain_refusal(found['reason'])}"

    return _Rule("WARNING", "", pattern, _level_of_refusal, words)


def _level_of_refusal(found: re.Match[str]) -> str:
    """Return INFO for a refusal that is expected: no way to rest, or trading is halted."""
    expected = found["passed"] == "True" or found["reason"].startswith("trading is halted")
    return "INFO" if expected else "WARNING"


_RULES: Final = (
    # Each is followed by the event of the strategy, which has the same reason.
    _lower("ERROR", "ExecClient-.*", r"Failed on submit_order "),
    _lower("WARNING", "ExecClient-.*", r"Failed on submit_order "),  # a post-only one
    # `CancelGate` logs and counts them: such a cancel is repeated while its order is open.
    _lower("ERROR", "ExecClient-.*", r"Failed on cancel_order "),
    _lower("WARNING", "", r"<--\[EVT\] OrderCancelRejected\("),
    # The flatten says what was to be closed, and the reason.
    _lower(
        "WARNING",
        "",
        r"<--\[EVT\] Order(Rejected|Denied)\(.*?client_order_id="
        rf"{FLATTEN_KIND}-[0-9]{{8}}-[0-9]{{6}}-",
    ),
    _event("OrderRejected", "order", "was rejected"),
    _event("OrderDenied", "order", "was denied"),
    _event("OrderModifyRejected", "the change of", "was rejected"),
    # An order that has ended needs no cancel.
    _lower("WARNING", "ExecClient-.*", r"CancelOrder command for .* when order already "),
    # A position in hedge mode keeps its id when it is opened again.
    _lower("WARNING", "ExecEngine", r"Received fill for closed position .* in HEDGING mode; "),
    # So it takes positions over, at the start and in a repair; the trader logs both.
    _lower("WARNING", "ExecEngine", r"Missing hedge position for .* generating reconciliation "),
    _lower("WARNING", "ExecEngine", r"Hedge position discrepancy for .* generating reconcil"),
    # So it says it after any loss of the connection, and nothing has expired.
    _Rule(
        "WARNING",
        "",
        re.compile(r"Resubscribed after listenKey expiry "),
        lambda _: "INFO",
        lambda _: "the user data stream is connected again",
    ),
    # On paper there is nothing to reconcile.
    _lower("WARNING", "TradingNode", r"Reconciliation deactivated$"),
    # What is left open at the end; the trader logs a summary.
    _lower("WARNING", "Cache", r"Residual "),
    # Start and stop of a component, and its settings.
    _lower("INFO", "", r"(READY|STARTING|RUNNING|STOPPING|STOPPED|DISPOSED)$"),
    _lower("INFO", "", r"self\.config\.\w+="),
    _lower("INFO", "", r"Set ClientOrderIdGenerator "),
    _lower("INFO", "", r"(Loaded|Saved) state \["),
    _lower("INFO", "", r"\[CMD\]--> (Subscribe|Unsubscribe)"),
    _lower("INFO", "", r"(Subscribed to|Unsubscribed from) "),
    _lower("INFO", "", r"Canceling executor tasks$"),
)
