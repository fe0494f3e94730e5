"""What happened around a moment, as plain lines: the journal and the trader's states. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tests.support.oracle_replay import Entry, number

BEFORE, AFTER = 14, 6


class Observation(NamedTuple):
    """A state that the trader entered, as it reported that itself."""

    at_ms: int
    state: str
    """As in /readyz, or ``dead`` from when its process ended."""
    why: str = ""


def story(journal: Sequence[Entry], observations: Sequence[Observation], at: int) -> list[str]:
    """Return the entries around ``journal[at]`` and the states in between, oldest first.

    Args:
        journal: all entries.
        observations: the trader's states.
        at: position of the entry that gets a mark.
    """
    if not journal:
        return ["   (the journal is empty)"]
    first, end = max(0, at - BEFORE), min(len(journal), at + AFTER + 1)
    begun_ms, ended_ms = journal[first]["at_ms"], journal[end - 1]["at_ms"]
    lines = [
        (
            entry["at_ms"],
            number,
            f"{'=>' if number == at else '  '} {_clock(entry['at_ms'])} {told(entry)}",
        )
        for number, entry in enumerate(journal[first:end], start=first)
    ]
    lines += [
        (each.at_ms, -1, f"   {_clock(each.at_ms)} trader   is {each.state}: {each.why}")
        for each in observations
        if begun_ms <= each.at_ms <= ended_ms
    ]
    before = [each for each in observations if each.at_ms < begun_ms][-1:]
    head = [f"   (before: the trader is {each.state}: {each.why})" for each in before]
    return head + [line for _, _, line in sorted(lines)]


def told(entry: Entry) -> str:
    """Return one entry of the journal as a line."""
    event = str(entry["event"])
    text = _TELL[event](entry) if event in _TELL else str(dict(entry))
    return f"{event:<8} {text}"


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]


def _request(entry: Entry) -> str:
    code = f" code {entry['code']}" if entry.get("code") else ""
    whose = entry.get("client_id") or ""
    return f"{entry['method']} {entry['path']} {whose} -> {entry['status']}{code}"


def _order(entry: Entry) -> str:
    prices = [entry[name] for name in ("price", "stop_price") if number(entry.get(name))]
    where = f" @{prices[0]}" if prices else ""
    filled = f", filled {entry['filled']}" if number(entry.get("filled")) else ""
    reason = f" ({entry['reason']})" if entry.get("reason") else ""
    return (
        f"{entry['client_id']} {entry['status']}: {entry['type']} {entry['side']} "
        f"{entry['position_side']} {entry['quantity']}{where}{filled}{reason}"
    )


def _fill(entry: Entry) -> str:
    return (
        f"{entry['client_id']} {entry['side']} {entry['position_side']} {entry['quantity']} "
        f"@{entry['price']}, fee {entry['fee']}, realised {entry['realised']}"
    )


def _position(entry: Entry) -> str:
    return f"{entry['symbol']} {entry['position_side']} {entry['quantity']} @{entry['entry_price']}"


def _wallet(entry: Entry) -> str:
    return f"{entry['reason']} {entry['change']} -> {entry['balance']}"


_TELL = {
    "request": _request,
    "order": _order,
    "fill": _fill,
    "position": _position,
    "wallet": _wallet,
}
