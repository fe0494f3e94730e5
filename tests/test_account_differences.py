"""The comparison of an account with what Nautilus believes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from warmup_job.binance.account_reader import AccountSnapshot, OpenOrder
from warmup_job.handoff.live_account.account_differences import (
    YOUNG_MS,
    Belief,
    BelievedOrder,
    BelievedPosition,
    differences,
)

READ_MS = 1_700_000_000_000
OLD_MS = READ_MS - YOUNG_MS
LONG = ("BTCUSDT", "LONG")
ID = "E-20261127-190000-T1-000-1"
TAG = "-T1-"
NOTHING = Decimal(0)


def found(
    account: AccountSnapshot, belief: Belief, *, read_ms: int = READ_MS, tag: str = TAG
) -> list[str]:
    found = differences(account, belief, read_ms=read_ms, owns=lambda each: tag in each)
    return [str(each) for each in found]


def position(there: str | None, here: str | None, changed_ms: int = OLD_MS) -> list[str]:
    account = AccountSnapshot({} if there is None else {LONG: Decimal(there)}, {})
    belief = {} if here is None else {LONG: BelievedPosition(Decimal(here), changed_ms)}
    return found(account, Belief(belief, {}))


def order(
    there: str | None, here: BelievedOrder | None, *, under_way: bool = False, order_id: str = ID
) -> list[str]:
    open_there = {} if there is None else {order_id: OpenOrder("BTCUSDT", Decimal(there))}
    believed = {} if here is None else {order_id: here}
    ids = frozenset({order_id} if under_way else ())
    return found(AccountSnapshot({}, open_there), Belief({}, believed, ids))


def opened(filled: str = "0", changed_ms: int = OLD_MS, *, leaving: bool = False) -> BelievedOrder:
    return BelievedOrder(True, False, Decimal(filled), changed_ms, is_leaving=leaving)


CLOSED = BelievedOrder(False, True, NOTHING, OLD_MS)
IN_FLIGHT = BelievedOrder(False, False, NOTHING, OLD_MS)


def test_an_account_as_believed_has_no_differences() -> None:
    account = AccountSnapshot({LONG: Decimal("0.010")}, {ID: OpenOrder("BTCUSDT", Decimal("0.1"))})
    belief = Belief({LONG: BelievedPosition(Decimal("0.01"), OLD_MS)}, {ID: opened("0.10")})
    assert found(account, belief) == []


@pytest.mark.parametrize(
    ("there", "here", "text"),
    [
        ("0.02", "0.006", "position BTCUSDT LONG: 0.02 at the exchange, 0.006 here"),
        ("0.02", None, "position BTCUSDT LONG: 0.02 at the exchange, 0 here"),
        (None, "0.006", "position BTCUSDT LONG: 0 at the exchange, 0.006 here"),
    ],
)
def test_a_position_of_another_size_is_a_difference(
    there: str | None, here: str | None, text: str
) -> None:
    assert position(there, here) == [text]


def test_a_closed_position_and_none_are_equal() -> None:
    assert position(None, "0") == []


def test_a_position_that_has_just_changed_does_not_count() -> None:
    assert position("0.02", "0.01", changed_ms=OLD_MS + 1) == []


def test_a_position_that_the_exchange_does_not_have_counts() -> None:
    belief = Belief({("BTCUSDT", "EXTERNAL"): BelievedPosition(Decimal("-0.5"), OLD_MS)}, {})
    assert found(AccountSnapshot({}, {}), belief) == [
        "position BTCUSDT EXTERNAL: 0 at the exchange, -0.5 here"
    ]


@pytest.mark.parametrize(
    ("there", "here", "text"),
    [
        ("0", None, "open at the exchange, unknown here"),
        ("0", CLOSED, "open, 0 filled at the exchange, closed here"),
        ("0", IN_FLIGHT, "open, 0 filled at the exchange, in flight here"),
        ("0", opened(leaving=True), "open, 0 filled at the exchange, being cancelled here"),
        ("0.3", opened("0.1"), "open, 0.3 filled at the exchange, open, 0.1 filled here"),
        (None, opened(), "not open at the exchange, open, 0 filled here"),
        (None, IN_FLIGHT, "not open at the exchange, in flight here"),
    ],
)
def test_an_order_in_another_state_is_a_difference(
    there: str | None, here: BelievedOrder | None, text: str
) -> None:
    assert order(there, here) == [f"order {ID}: {text}"]
    assert order(there, here, under_way=True) == []
    if here is not None:
        assert order(there, here._replace(changed_ms=OLD_MS + 1)) == []


def test_an_order_that_both_take_for_closed_is_no_difference() -> None:
    assert order(None, CLOSED) == []


def test_an_unknown_order_of_somebody_else_does_not_count() -> None:
    assert order("0", None, order_id="web_12345") == []
    assert order("0", None, order_id="E-20261127-190000-T2-000-1") == []
