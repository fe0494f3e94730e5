"""What follows from the readings of an account: repair, stop entries, exit."""

from __future__ import annotations

from warmup_job.handoff.live_account.account_differences import Difference
from warmup_job.handoff.live_account.account_verdict import (
    EXIT_MS,
    FAILING_EXIT_MS,
    QUIET_MS,
    REPAIR_AGAIN_MS,
    REPEATED_WITHIN_MS,
    UNREAD_MS,
    AccountVerdict,
    Step,
)

STOP = Difference("order S1-1", "open", "not open")
MOVED = STOP._replace(here="open, 0.1 filled")
OTHER = Difference("position BTCUSDT LONG", "0.01", "0.02")
OK = Step("ok", "", "wait")
AGAIN = OK._replace(action="look again")
REPAIR = OK._replace(action="repair")


def test_an_equal_account_is_ok() -> None:
    assert AccountVerdict(0).judge([], 0) == OK


def test_a_difference_is_repaired_when_it_is_seen_twice() -> None:
    verdict = AccountVerdict(0)
    assert verdict.judge([STOP], 0) == AGAIN
    assert verdict.judge([STOP], 1_000) == REPAIR


def test_a_difference_that_passes_is_not_repaired() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([STOP], 0)
    assert verdict.judge([], 1_000) == OK
    assert verdict.judge([STOP], 2_000) == AGAIN


def test_a_difference_about_which_nautilus_learns_something_is_not_repaired() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([STOP], 0)
    assert verdict.judge([MOVED], 1_000) == AGAIN
    assert verdict.judge([STOP], 2_000) == AGAIN


def test_a_difference_that_goes_on_growing_at_the_exchange_is_repaired() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([OTHER], 0)
    assert verdict.judge([OTHER._replace(there="0.03")], 1_000) == REPAIR


def repaired(verdict: AccountVerdict, difference: Difference, now_ms: int) -> None:
    verdict.judge([difference], now_ms)
    assert verdict.judge([difference], now_ms).action == "repair"
    verdict.on_repair(now_ms)


def test_entries_stop_when_a_difference_remains_after_its_repair() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    assert verdict.judge([STOP], 1_000) == AGAIN  # the first reading after the repair
    step = verdict.judge([STOP], 2_000)
    assert step == Step("differs", step.reason, "look again")
    assert str(STOP) in step.reason


def test_a_difference_that_remains_is_repaired_again_and_then_ends_the_run() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    verdict.judge([STOP], 1_000)
    assert verdict.judge([STOP], REPAIR_AGAIN_MS).action == "repair positions"
    verdict.on_repair(REPAIR_AGAIN_MS)
    verdict.judge([STOP], EXIT_MS - 1)
    assert verdict.judge([STOP], EXIT_MS).action == "exit"


def test_entries_do_not_leave_between_two_repairs_that_fail() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    verdict.judge([STOP], 1_000)
    assert verdict.judge([STOP], REPAIR_AGAIN_MS).state == "differs"
    verdict.on_repair(REPAIR_AGAIN_MS, succeeded=False)
    first = verdict.judge([STOP], REPAIR_AGAIN_MS + 1_000)
    assert first == Step("differs", first.reason, "look again")
    assert str(STOP) in first.reason
    assert verdict.judge([], REPAIR_AGAIN_MS + 2_000) == OK


def test_a_repair_that_failed_does_not_count_but_stops_entries() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([STOP], 0)
    assert verdict.judge([STOP], 0).action == "repair"
    verdict.on_repair(EXIT_MS, succeeded=False)  # it got no answer
    verdict.judge([STOP], EXIT_MS)
    step = verdict.judge([STOP], EXIT_MS + REPAIR_AGAIN_MS)
    assert step == Step("differs", step.reason, "repair")  # the orders first, as the first time
    repaired_ms = EXIT_MS + REPAIR_AGAIN_MS
    verdict.on_repair(repaired_ms)
    verdict.judge([STOP], repaired_ms)
    assert verdict.judge([STOP], repaired_ms + REPAIR_AGAIN_MS).action == "repair positions"
    verdict.on_repair(repaired_ms + REPAIR_AGAIN_MS, succeeded=False)
    verdict.judge([STOP], repaired_ms + EXIT_MS - 1)
    assert verdict.judge([STOP], repaired_ms + EXIT_MS).action == "exit"


def test_repairs_that_all_fail_end_the_run_later() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([STOP], 0)
    verdict.judge([STOP], 0)
    verdict.on_repair(0, succeeded=False)
    verdict.judge([STOP], FAILING_EXIT_MS - 1)
    assert verdict.judge([STOP], FAILING_EXIT_MS - 1).action == "repair"
    assert verdict.judge([STOP], FAILING_EXIT_MS).action == "exit"


def test_a_repair_that_failed_is_no_sign_of_a_silent_stream() -> None:
    verdict = AccountVerdict(0)
    verdict.judge([STOP], 0)
    verdict.judge([STOP], 0)
    verdict.on_repair(0, succeeded=False)
    verdict.judge([STOP], REPAIR_AGAIN_MS)
    assert verdict.judge([STOP], REPAIR_AGAIN_MS).action == "repair"
    verdict.on_repair(REPAIR_AGAIN_MS)
    assert verdict.judge([], REPAIR_AGAIN_MS + 1) == OK


def test_a_repaired_difference_that_returns_later_is_a_new_one() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    assert verdict.judge([], EXIT_MS) == OK
    verdict.judge([STOP], EXIT_MS + 1)
    assert verdict.judge([STOP], EXIT_MS + 2) == REPAIR


def test_entries_stop_when_repairs_are_needed_again_and_again() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    verdict.judge([], 1_000)
    repaired(verdict, OTHER, 2_000)
    step = verdict.judge([], 3_000)
    assert step == Step("differs", step.reason, "wait")
    assert "2 times" in step.reason
    assert "silent" in step.reason
    assert verdict.judge([], 2_000 + QUIET_MS - 1).state == "differs"
    assert verdict.judge([], 2_000 + QUIET_MS) == OK


def test_repairs_far_apart_do_not_stop_entries() -> None:
    verdict = AccountVerdict(0)
    repaired(verdict, STOP, 0)
    verdict.judge([], 1_000)
    repaired(verdict, OTHER, REPEATED_WITHIN_MS)
    assert verdict.judge([], REPEATED_WITHIN_MS + 1) == OK


def test_a_stream_that_is_down_is_repaired_at_once_and_named_when_that_fails() -> None:
    verdict = AccountVerdict(0)
    assert verdict.judge([], 0, "the stream is down") == REPAIR
    verdict.on_repair(0)
    step = verdict.judge([], 1_000, "the stream is down")
    assert step == Step("differs", "the stream is down", "look again")
    step = verdict.judge([], EXIT_MS + 1, "the stream is down")
    assert step == Step("differs", "the stream is down", "repair")


def test_entries_return_at_once_when_a_stream_that_was_down_is_up_again() -> None:
    verdict = AccountVerdict(0)
    for now_ms in (0, REPAIR_AGAIN_MS, 2 * REPAIR_AGAIN_MS):
        assert verdict.judge([], now_ms, "the stream is down").action == "repair"
        verdict.on_repair(now_ms)
    assert verdict.judge([], 2 * REPAIR_AGAIN_MS + 1) == OK


def test_an_account_that_cannot_be_read_stops_entries_after_a_while() -> None:
    verdict = AccountVerdict(0)
    step = verdict.on_unread("HTTP 503", 100)  # before the first reading
    assert step is not None
    assert step.state == "unknown"
    assert not verdict.is_overdue(UNREAD_MS - 1)
    assert verdict.is_overdue(UNREAD_MS)
    verdict.judge([], 1_000)
    assert not verdict.is_overdue(1_000 + 2 * UNREAD_MS)
    assert verdict.on_unread("HTTP 503", 1_000 + UNREAD_MS - 1) is None
    assert verdict.on_unread("HTTP 503", 1_000 + UNREAD_MS) == Step(
        "unknown", "the account cannot be read for 15 s: HTTP 503", "wait"
    )
    assert verdict.judge([], 2_000 + UNREAD_MS) == OK
