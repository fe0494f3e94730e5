"""Whether orders may leave, in which state the trader is, and why. Pure: values in, a value out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from warmup_job.handoff.live_bars.bar_stream import Phase
from warmup_job.handoff.reporting.report import State
from warmup_job.market.times import utc_text


class StreamStatus(NamedTuple):
    """What the decision has to know of one followed stream."""

    name: str
    """As in logs, such as ``BTCUSDT 1m``."""
    phase: Phase
    contiguous_to_ms: int
    """Close time of the last delivered bar, UTC ms."""
    why_not: str = ""
    """Why this stream blocks trading; empty: it does not, or that was not looked at yet."""


class AccountProblem(NamedTuple):
    """Why the account or the clock forbids entries."""

    reason: str = ""
    """Empty: they do not."""
    is_logged: bool = False
    """Whether what has found the problem has logged it."""
    is_unread: bool = False
    """Whether the account has not been read since the start."""
    is_overdue: bool = False
    """Whether the first reading has failed for so long that it needs a person."""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the decision depends on.

    Args:
        state: the state that the trader is in.
        streams: the followed streams.
        tick_built: followed bar types that Nautilus builds from ticks, without history.
        unheard: websocket streams without a message on their connection.
        silent: the websocket stream that is silent for the longest time, and for how many seconds,
            if that is too long.
        delivering: whether bars are held or being fetched that were not delivered.
        fetching: whether a follower's history is being fetched.
        unlisted: followed bar types that `warmup.streams` does not list, without history.
        cold: why followers are cold although their history was there.
        cold_strategies: ids of strategies that report that they are not warm.
        operator: why the operator holds entries back; empty: the operator does not.
        account: why the account or the clock forbids entries.
    """

    state: State
    streams: tuple[StreamStatus, ...] = ()
    tick_built: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    silent: tuple[str, float] | None = None
    delivering: bool = False
    fetching: bool = False
    unlisted: tuple[str, ...] = ()
    cold: tuple[str, ...] = ()
    cold_strategies: tuple[str, ...] = ()
    operator: str = ""
    account: AccountProblem = msgspec.field(default_factory=AccountProblem)


class Decision(NamedTuple):
    """The state that the trader has to be in, and the reason. Orders may leave only when live."""

    state: State
    reason: str
    is_logged: bool = False
    """Whether what has found the reason logs it: the watch of the account, the clock or a stream.
    """


class _Reason(NamedTuple):
    text: str
    is_logged: bool = False


def decide(situation: Situation, *, require_history: bool = True) -> Decision:
    """Decide whether trading is on (``live``), about to begin (``filling``) or ``degraded``.

    A trader that is degraded stays so until it is live again. It is ``paused`` if it would be live
    but for its operator.

    Args:
        situation: of the running node.
        require_history: whether a followed stream without history keeps trading halted.
    """
    reason = next(_reasons_to_halt(situation, require_history=require_history), None)
    if reason is None and situation.operator:
        return Decision("paused", situation.operator)
    if reason is None:
        contiguous_ms = max(each.contiguous_to_ms for each in situation.streams)
        return Decision("live", f"contiguous to {utc_text(contiguous_ms)}")
    phases = {each.phase for each in situation.streams}
    lasting = "stuck" in phases or situation.silent or situation.state == "degraded"
    passing = _is_opening(situation) or situation.unheard or phases & {"filling", "waiting"}
    is_passing = bool(passing) or situation.account.is_unread
    is_lasting = bool(lasting) or situation.account.is_overdue
    return Decision("filling" if is_passing and not is_lasting else "degraded", *reason)


def _is_opening(situation: Situation) -> bool:
    """Return whether trading is off and bars are still to be delivered before it may begin."""
    return situation.state != "live" and situation.delivering


def _reasons_to_halt(situation: Situation, *, require_history: bool) -> Iterator[_Reason]:
    """Yield every reason why orders must not leave, the one to show first."""
    account = situation.account
    if account.is_overdue:  # the bars wait for it
        yield _Reason(account.reason, account.is_logged)
    yield from map(_Reason, _reasons_of_bars(situation))
    if situation.silent:
        text = "{}: no websocket message for {:.0f} s".format(*situation.silent)
        yield _Reason(text, is_logged=True)
    yield from map(_Reason, _reasons_of_histories(situation, require_history=require_history))
    if account.reason:
        yield _Reason(account.reason, account.is_logged)
    yield from map(_Reason, situation.cold)
    for each in situation.cold_strategies:
        yield _Reason(f"{each} reports that it is still cold")


def _reasons_of_bars(situation: Situation) -> Iterator[str]:
    streams = situation.streams
    if not streams:
        built = ", ".join(situation.tick_built[:3])
        also = f", only to bars that Nautilus builds itself: {built}" if built else ""
        yield f"no strategy has subscribed to bars of the venue yet{also}"
    yield from (f"{each.name}: {each.why_not}" for each in streams if each.phase != "contiguous")
    if situation.unheard:
        yield f"no websocket message yet from {', '.join(situation.unheard[:3])}"


def _reasons_of_histories(situation: Situation, *, require_history: bool) -> Iterator[str]:
    if situation.fetching or _is_opening(situation):
        yield "bars are still to be delivered"
    yield from (f"{each.name}: {each.why_not}" for each in situation.streams if each.why_not)
    for bar_type in situation.unlisted if require_history else ():
        yield f"{bar_type} is followed and has no history: list it in warmup.streams"
