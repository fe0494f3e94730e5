"""Which answers leave open whether an order exists."""

from __future__ import annotations

import pytest

from warmup_job.binance.unknown_outcome import (
    is_outcome_unknown,
    may_send_again,
    not_placed_reason,
)


@pytest.mark.parametrize(
    ("status", "code"),
    [(408, -1007), (400, -1007), (503, -1007), (503, None), (502, None), (504, None), (500, -1000),
     (400, -1001), (400, -1006), (200, None)],
)  # fmt: skip
def test_the_order_may_exist(status: int, code: int | None) -> None:
    assert is_outcome_unknown(status, code)


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, -1008), (400, -2010), (400, -2019), (400, -1021), (429, -1003), (429, -1015),
     (403, None), (418, None)],
)  # fmt: skip
def test_the_order_does_not_exist(status: int, code: int | None) -> None:
    assert not is_outcome_unknown(status, code)


def test_only_a_confirmed_absence_says_that_the_order_may_be_sent_again() -> None:
    assert may_send_again(not_placed_reason("HTTP 503, code -1007"))
    assert not may_send_again("{'code': -2019, 'msg': 'Margin is insufficient.'}")
