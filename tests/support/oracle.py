"""The oracle: judges a trader by the exchange's journal and by what the trader reports. Pure.

It checks that

- stops cover each position, except for a bounded time after a fill;
- every order has an owner: an id of the grid that fits its purpose, or one that the test declares;
- nothing is duplicated: entries of one rung, stops of one lot, exits beyond the position;
- a fill of an exit never exceeds the position, and positions and wallet add up;
- no entry is accepted while the trader reports that it is not live;
- the wallet has changed by what the strategy reports (`wallet_story`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from tests.support.oracle_replay import (
    ZERO,
    Entry,
    Moment,
    SeenOrder,
    Side,
    closes,
    kind_and_key,
    number,
    replay,
    side_of,
)
from tests.support.oracle_story import Observation, story

BPS = 10_000
_TOLD_IN_FULL = 3


class Excuse(NamedTuple):
    """A time in which the trader cannot act, such as between its death and its next start."""

    from_ms: int
    until_ms: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the oracle tolerates. Times are ms of the exchange's clock."""

    unprotected_ms: int = 3_000
    """How long a part of a position may be without a stop."""
    duplicate_ms: int = 3_000
    """How long two orders may exist of which one is being cancelled."""
    flight_ms: int = 2_000
    """How long an entry may be on its way from a trader that was live when it sent it."""
    rung_bps: Decimal = Decimal(2)
    """Entries of one side that are closer than this are on the same rung."""


class Violation(NamedTuple):
    """What was wrong, and the position in the journal where it began."""

    rule: str
    what: str
    at: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The oracle's findings."""

    violations: tuple[Violation, ...]
    unprotected_ms: tuple[int, ...]
    """How long positions were not covered by stops, each time, longest first; ms of the exchange's
    clock, without the time that is excused."""
    stories: tuple[str, ...] = field(repr=False)
    """One for each violation."""

    @property
    def longest_unprotected_ms(self) -> int:
        """The longest time without a stop; 0: there was none."""
        return max(self.unprotected_ms, default=0)

    def assert_silent(self) -> None:
        """Fail with the story of the first violations, if there are any."""
        if self.violations:
            rest = [f"{each.rule}: {each.what}" for each in self.violations[_TOLD_IN_FULL:]]
            told = "\n\n".join([*self.stories[:_TOLD_IN_FULL], *rest])
            raise AssertionError(f"{len(self.violations)} violation(s)\n\n{told}")


def judge(
    journal: Sequence[Entry],
    observations: Sequence[Observation],
    *,
    now_ms: int,
    bounds: Bounds | None = None,
    excuses: Iterable[Excuse] = (),
    is_foreign: Callable[[str], bool] = lambda _: False,
) -> Verdict:
    """Judge a whole run.

    Args:
        journal: of the exchange's account, from its start.
        observations: the trader's states by the exchange's clock, oldest first.
        now_ms: until when the run lasted, by the exchange's clock.
        bounds: what is tolerated.
        excuses: times that do not count for the rules about how long something lasts.
        is_foreign: whether a client id belongs to somebody else than the trader.
    """
    bounds = bounds or Bounds()
    moments = list(replay(journal))
    bare = _Lasting("unprotected", bounds.unprotected_ms, tuple(excuses))
    double = _Lasting("duplicated", bounds.duplicate_ms, tuple(excuses))
    for at, moment in enumerate(moments):
        mine = [order for (_, name), order in moment.orders.items() if not is_foreign(name)]
        bare.look(at, moment.at_ms, _unprotected(moment, moment.orders.values()))
        double.look(at, moment.at_ms, dict(_duplicated(moment, mine, bounds.rung_bps)))
    bare.end(now_ms)
    double.end(now_ms)
    violations = [
        *bare.violations,
        *double.violations,
        *_without_owner(journal, is_foreign),
        *_beyond_the_position(journal),
        *_not_adding_up(journal),
        *_entries_while_not_live(journal, observations, bounds.flight_ms),
    ]
    violations.sort(key=lambda each: each.at)
    return Verdict(
        tuple(violations),
        tuple(sorted(bare.lasted_ms, reverse=True)),
        tuple(
            "\n".join([f"{each.rule}: {each.what}", *story(journal, observations, each.at)])
            for each in violations
        ),
    )


def wallet_change(journal: Sequence[Entry], until_ms: int | None = None) -> Decimal:
    """Return by how much the wallet has changed, without deposits and withdrawals."""
    return sum(
        (
            number(entry["change"])
            for entry in journal
            if entry["event"] == "wallet"
            and entry["reason"] != "TRANSFER"
            and (until_ms is None or entry["at_ms"] <= until_ms)
        ),
        ZERO,
    )


def wallet_story(
    journal: Sequence[Entry],
    reported: Decimal,
    *,
    at_ms: int,
    slack_ms: int = 2_000,
    tolerance: Decimal = Decimal("0.00001"),
) -> str:
    """Return why the wallet is not what the strategy reports; empty: it is.

    Args:
        journal: of the exchange's account, from its start.
        reported: realised result, fees and funding by the strategy.
        at_ms: when it reported that, by the exchange's clock.
        slack_ms: an event may have reached the strategy this long before or after.
        tolerance: for rounding, quote currency.
    """
    moments = {at_ms - slack_ms} | {
        entry["at_ms"]
        for entry in journal
        if entry["event"] == "wallet" and abs(entry["at_ms"] - at_ms) <= slack_ms
    }
    changes = [wallet_change(journal, each) for each in sorted(moments)]
    if any(abs(each - reported) <= tolerance for each in changes):
        return ""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for entry in journal:
        if entry["event"] == "wallet":
            sums[entry["reason"]] += number(entry["change"])
    parts = ", ".join(f"{reason} {amount}" for reason, amount in sorted(sums.items()))
    return (
        f"wallet: it has changed by {changes[-1]}, and the strategy reports {reported} "
        f"(difference {changes[-1] - reported}); by reason: {parts}"
    )


# -- rules about how long something lasts ----------------------------------------------------------


class _Lasting:
    """Conditions that may hold for a bounded time."""

    def __init__(self, rule: str, bound_ms: int, excuses: tuple[Excuse, ...]) -> None:
        self._rule, self._bound_ms, self._excuses = rule, bound_ms, excuses
        self._holding: dict[object, tuple[int, int, str]] = {}
        self.violations: list[Violation] = []
        self.lasted_ms: list[int] = []

    def look(self, at: int, at_ms: int, present: Mapping[object, str]) -> None:
        """Note the conditions that hold after entry ``at``, each with a text."""
        for key in [each for each in self._holding if each not in present]:
            self._close(*self._holding.pop(key), at_ms)
        for key, text in present.items():
            begun = self._holding.get(key, (at, at_ms, ""))
            self._holding[key] = (begun[0], begun[1], text)

    def end(self, now_ms: int) -> None:
        """Close what still holds."""
        for at, since_ms, text in self._holding.values():
            self._close(at, since_ms, f"{text}, still at the end", now_ms)
        self._holding.clear()

    def _close(self, at: int, since_ms: int, text: str, until_ms: int) -> None:
        excused_ms = sum(
            max(0, min(until_ms, each.until_ms) - max(since_ms, each.from_ms))
            for each in self._excuses
        )
        lasted_ms = max(0, until_ms - since_ms - excused_ms)
        self.lasted_ms.append(lasted_ms)
        if lasted_ms > self._bound_ms:
            excused = f" and {excused_ms} ms that are excused" if excused_ms else ""
            what = f"{text}, for {lasted_ms} ms{excused} (allowed: {self._bound_ms} ms)"
            self.violations.append(Violation(self._rule, what, at))


def _unprotected(moment: Moment, orders: Iterable[SeenOrder]) -> dict[object, str]:
    stops: dict[Side, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order.is_stop:
            whole = moment.positions.get(order.side, ZERO)
            stops[order.side] += whole if order.whole else order.leaves
    return {
        side: f"{held - stops[side]} of {held} {' '.join(side)} has no stop"
        for side, held in moment.positions.items()
        if held > stops[side]
    }


def _duplicated(
    moment: Moment, orders: Sequence[SeenOrder], rung_bps: Decimal
) -> Iterator[tuple[object, str]]:
    by_side: dict[Side, list[SeenOrder]] = defaultdict(list)
    for order in orders:
        by_side[order.side].append(order)
    for side, open_now in by_side.items():
        entries = sorted(
            (each for each in open_now if each.kind == "E"), key=lambda each: each.price
        )
        for one, two in pairwise(entries):
            if (two.price - one.price) / one.price * BPS < rung_bps:
                ids = f"{one.order_id} @{one.price} and {two.order_id} @{two.price}"
                yield (one.order_id, two.order_id), f"two entries on one rung: {ids}"
        held = moment.positions.get(side, ZERO)
        for kind, name in (("S", "stops"), ("T", "take profits")):
            exits = [each for each in open_now if each.kind == kind]
            yield from _too_many(side, held, exits, name)
            if kind == "S":
                yield from _stops_of_lots(moment, exits)


def _too_many(
    side: Side, held: Decimal, exits: Sequence[SeenOrder], name: str
) -> Iterator[tuple[object, str]]:
    total = sum((each.leaves for each in exits), ZERO)
    if total > held:
        ids = ", ".join(f"{each.order_id} {each.leaves}" for each in exits)
        yield (side, name), f"{name} for {total} of {held} {' '.join(side)} held: {ids}"


def _stops_of_lots(moment: Moment, stops: Sequence[SeenOrder]) -> Iterator[tuple[object, str]]:
    by_key: dict[str, list[SeenOrder]] = defaultdict(list)
    for each in stops:
        by_key[each.key].append(each)
    for key, several in by_key.items():
        total = sum((each.leaves for each in several), ZERO)
        if len(several) > 1 and key in moment.lots and total > moment.lots[key]:
            ids = ", ".join(f"{each.order_id} {each.leaves}" for each in several)
            yield ("lot", key), f"two stops of one lot of {moment.lots[key]}: {ids}"


# -- rules about single entries of the journal -----------------------------------------------------


def _without_owner(
    journal: Sequence[Entry], is_foreign: Callable[[str], bool]
) -> Iterator[Violation]:
    seen: set[str] = set()
    for at, entry in enumerate(journal):
        if entry["event"] != "order" or entry["client_id"] in seen:
            continue
        client_id = entry["client_id"]
        seen.add(client_id)
        if is_foreign(client_id):
            continue
        kind, _ = kind_and_key(client_id)
        if not kind:
            yield Violation("without owner", f"{client_id} is not an id of the grid", at)
        elif (kind == "E") == closes(entry):
            does = "closes" if kind == "E" else "opens"
            yield Violation("without owner", f"{client_id} {does} a position by its side", at)


def _beyond_the_position(journal: Sequence[Entry]) -> Iterator[Violation]:
    held: dict[Side, Decimal] = defaultdict(Decimal)
    for at, entry in enumerate(journal):
        if entry["event"] != "fill":
            continue
        side, quantity = side_of(entry), number(entry["quantity"])
        if side[1] == "BOTH":
            continue
        if closes(entry) and quantity > held[side]:
            what = f"{entry['client_id']} closes {quantity} of {held[side]} {' '.join(side)} held"
            yield Violation("beyond the position", what, at)
        held[side] += -quantity if closes(entry) else quantity


def _not_adding_up(journal: Sequence[Entry]) -> Iterator[Violation]:
    """Check the exchange's own books: if they were wrong, the other rules could be wrong too."""
    rule = "does not add up"
    held: dict[Side, Decimal] = defaultdict(Decimal)
    reported: dict[Side, Decimal] = defaultdict(Decimal)
    balance: Decimal | None = None
    trades: set[tuple[str, str]] = set()
    for at, entry in enumerate(journal):
        if entry["event"] == "fill":
            quantity = number(entry["quantity"])
            held[side_of(entry)] += -quantity if closes(entry) else quantity
            trade = (entry["symbol"], str(entry["trade_id"]))
            if trade in trades:
                yield Violation(rule, f"trade {trade[1]} is there twice", at)
            trades.add(trade)
        elif entry["event"] == "position":
            reported[side_of(entry)] = abs(number(entry["quantity"]))
        elif entry["event"] == "wallet":
            after, change = number(entry["balance"]), number(entry["change"])
            if balance is not None and balance + change != after:
                yield Violation(rule, f"a wallet of {balance} {change:+} is not {after}", at)
            balance = after
        if at + 1 < len(journal) and journal[at + 1]["at_ms"] == entry["at_ms"]:
            continue  # a fill and its position are one moment, in either order
        for side in held.keys() | reported.keys():
            if side[1] != "BOTH" and reported[side] != held[side]:
                name = " ".join(side)
                what = f"the fills of {name} add up to {held[side]}, its position is "
                yield Violation(rule, f"{what}{reported[side]}", at)
                held[side] = reported[side]  # one violation for each error


def _entries_while_not_live(
    journal: Sequence[Entry], observations: Sequence[Observation], flight_ms: int
) -> Iterator[Violation]:
    times = [each.at_ms for each in observations]
    seen: set[str] = set()
    for at, entry in enumerate(journal):
        if entry["event"] != "order" or kind_and_key(entry["client_id"])[0] != "E":
            continue
        if entry["client_id"] in seen or entry["status"] == "REJECTED":
            continue
        seen.add(entry["client_id"])
        # The states at the moment of its acceptance and within the time that it may have travelled.
        first = max(0, bisect_right(times, entry["at_ms"] - flight_ms) - 1)
        recent = observations[first : bisect_right(times, entry["at_ms"])]
        if not any(each.state == "live" for each in recent):
            state = f"{recent[-1].state}: {recent[-1].why}" if recent else "not started"
            what = f"{entry['client_id']} was accepted while the trader was {state}"
            yield Violation("entry while not live", what, at)
