"""When the cancel of an order may leave after the exchange has refused one."""

from __future__ import annotations

import pytest

from warmup_job.handoff.outgoing_orders.cancel_pace import CancelPace, cancel_wait_ms

OVERLOAD = "{'code': -1008, 'msg': 'Request throttled by system-level protection.'}"
UNKNOWN = "the cancel had no effect (HTTP 400, code -2011): the order is still open"
UNIX_MS = 1_800_000_000_000


def refuse(pace: CancelPace[str], order_id: str, now_ms: int, reason: str = OVERLOAD) -> None:
    pace.refused(order_id, reason, now_ms, unix_ms=UNIX_MS, jitter=0.5)


def test_waits_double_up_to_four_seconds_and_an_unknown_order_keeps_the_first() -> None:
    waits = [cancel_wait_ms(OVERLOAD, refusals, UNIX_MS, 0.5) for refusals in range(1, 8)]
    assert waits == [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]
    assert cancel_wait_ms(OVERLOAD, 1, UNIX_MS, 0) == 125
    assert cancel_wait_ms(OVERLOAD, 9, UNIX_MS, 0.999_999) == 6_000
    assert {cancel_wait_ms(UNKNOWN, refusals, UNIX_MS, 0.5) for refusals in range(1, 8)} == {250}


@pytest.mark.parametrize(
    "reason",
    ["", "{'code': -1021, 'msg': 'late'}", "{'code': -1015, 'msg': 'too many'}",
     "{'code': -2015, 'msg': 'key'}", "{'code': -9999, 'msg': 'new'}",
     "NOT_REACHED: the exchange never saw it (HTTP 403); a new one is no double",
     "the cancel had no effect (no usable answer, TimeoutError): the order is still open"],
)  # fmt: skip
def test_every_refusal_slows_down(reason: str) -> None:
    assert cancel_wait_ms(reason, 3, UNIX_MS, 0.5) == 1_000


def test_the_end_of_a_ban_is_waited_for() -> None:
    reason = f"{{'code': -1003, 'msg': 'IP banned until {UNIX_MS + 20_000}'}}"
    assert 20_000 <= cancel_wait_ms(reason, 1, UNIX_MS, 0.5) <= 21_000


def test_an_order_whose_cancel_was_never_refused_is_cancelled_at_once() -> None:
    pace = CancelPace[str]()
    assert pace.may_leave("E-1", "first", 0)
    assert pace.may_leave("E-1", "second", 0)
    assert pace.next_ms() is None


def test_of_cancels_that_come_too_early_one_leaves_when_its_time_comes() -> None:
    pace = CancelPace[str]()
    refuse(pace, "E-1", 1_000)
    assert not any(pace.may_leave("E-1", f"from driver {each}", 1_100) for each in range(40))
    assert pace.may_leave("E-2", "of another order", 1_100)
    assert pace.keeps("E-1")
    assert pace.next_ms() == 1_250
    assert pace.take(1_249) == []
    assert pace.take(1_250) == ["from driver 0"]
    assert not pace.keeps("E-1")
    assert pace.take(9_999) == []
    assert pace.next_ms() is None


def test_a_cancel_that_comes_in_time_replaces_the_one_that_is_kept() -> None:
    pace = CancelPace[str]()
    refuse(pace, "E-1", 0)
    assert not pace.may_leave("E-1", "early", 10)
    assert pace.may_leave("E-1", "in time", 250)
    assert pace.take(250) == []


def test_nothing_is_left_of_an_order_that_has_closed() -> None:
    pace = CancelPace[str]()
    refuse(pace, "E-1", 0, "first")
    refuse(pace, "E-2", 0, "second")
    assert (len(pace), pace.reason) == (2, "second")
    assert not pace.may_leave("E-1", "kept", 10)
    pace.forget("E-1")
    pace.forget("E-2")
    assert pace.take(9_999) == []
    assert (len(pace), pace.reason) == (0, "")
    assert pace.may_leave("E-1", "with the same id", 20)
