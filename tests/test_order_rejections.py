"""When a rejected order is sent again: by the rule that requests for klines follow."""

from __future__ import annotations

import pytest

from warmup_job.binance.order_rejections import rejection_code, rejection_error
from warmup_job.binance.retry import wait_ms
from warmup_job.binance.unknown_outcome import not_placed_reason, not_reached_reason

NOW_MS = 1_700_000_000_000
MINUTE_MS = 60_000


def waits(reason: str, attempts: int = 1, jitter: float = 0.5) -> list[int | None]:
    """Return the wait after each attempt, with ten minutes left."""
    return [
        wait_ms(
            rejection_error(reason, NOW_MS), attempt, NOW_MS, NOW_MS + 10 * MINUTE_MS, jitter
        )
        for attempt in range(1, attempts + 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reason",
    [
        "{'code': -1008, 'msg': 'Server is currently overloaded with other requests.'}",
        "{'code': -1021, 'msg': 'Timestamp for this request is outside of the recvWindow.'}",
        "{'code': -1015, 'msg': 'Too many new orders; current limit is 300 orders per 10s.'}",
        "{'code': -4188, 'msg': 'Timestamp for this request is outside of the ME recvWindow.'}",
        "{'code': -5028, 'msg': 'Timestamp for this request is outside of the ME recvWindow.'}",
        "{'code': -2014, 'msg': 'API-key format invalid.'}",
        "{'code': -2015, 'msg': 'Invalid API-key, IP, or permissions for action.'}",
        "{'code': -4116, 'msg': 'ClientOrderId is duplicated.'}",
        not_reached_reason(403),
        not_placed_reason("HTTP 503, code -1007"),
        not_placed_reason("no usable answer, TimeoutError"),
    ],
)
def test_order_rejections_passing_trouble_is_repeated_within_a_second_and_then_less_often(
    reason: str,
) -> None:
    assert waits(reason, 7) == [250, 500, 1000, 2000, 4000, 4000, 4000]
    assert all(wait is not None and wait < 1000 for wait in waits(reason, 2, jitter=0.99))


@pytest.mark.parametrize(
    "reason",
    [
        "{'code': -4118, 'msg': 'ReduceOnly Order Failed. Please check your existing position.'}",
        "{'code': -2022, 'msg': 'ReduceOnly Order is rejected.'}",
        "{'code': -2019, 'msg': 'Margin is insufficient.'}",
        "{'code': -4015, 'msg': 'Client order id length should be less than 36 chars'}",
        "REJECTED",
        "",
    ],
)
def test_order_rejections_for_good_are_not_repeated(reason: str) -> None:
    assert waits(reason) == [None]


def test_order_rejections_of_a_banned_ip_wait_for_the_end_of_the_ban() -> None:
    until_ms = NOW_MS + 2 * MINUTE_MS
    reason = f"{{'code': -1003, 'msg': 'Way too many requests; IP banned until {until_ms}.'}}"
    assert waits(reason, jitter=0) == [2 * MINUTE_MS]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("{'code': -2021, 'msg': 'Order would immediately trigger.'}", -2021),
        ("-4164: too small", -4164),
        ("order S1-20231114-221400-001-000-7 is in the market", None),
        ("REJECTED", None),
    ],
)
def test_order_rejections_code_is_found_in_the_reason(reason: str, code: int | None) -> None:
    assert rejection_code(reason) == code
