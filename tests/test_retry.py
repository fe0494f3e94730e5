"""Refusals and retries, exactly: the pure half of docs/reference/refusals.md."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_job.binance.answers import answer_error, printable
from warmup_job.binance.retry import wait_ms
from warmup_job.binance.weight_budget import WeightBudget
from warmup_job.errors import (
    BlockedError,
    DataInvalidError,
    ExchangeUnreachableError,
    NotTheExchangeError,
    RateLimitedError,
    RefusedError,
    UnknownSymbolError,
    WarmupError,
)
from warmup_job.market.interval import MINUTE_MS

NOW = 1_700_000_000_000
URL = "https://fapi.example"


@pytest.mark.parametrize(
    ("status", "code", "kind", "exit_code"),
    [
        (429, None, RateLimitedError, 11), (418, None, RateLimitedError, 11),
        (400, -1003, RateLimitedError, 11), (403, None, BlockedError, 12),
        (451, 0, BlockedError, 12), (400, -1121, UnknownSymbolError, 12),
        (400, -1100, UnknownSymbolError, 12), (400, -1120, RefusedError, 12),
        (400, -1102, RefusedError, 12), (401, None, RefusedError, 12),
        (404, None, ExchangeUnreachableError, 10), (408, None, ExchangeUnreachableError, 10),
        (500, None, ExchangeUnreachableError, 10), (503, None, ExchangeUnreachableError, 10),
        (524, None, ExchangeUnreachableError, 10), (302, None, NotTheExchangeError, 10),
        (407, None, NotTheExchangeError, 10), (400, -1122, DataInvalidError, 13),
    ],
)  # fmt: skip
def test_retry_classifies_answers(
    status: int, code: int | None, kind: type[WarmupError], exit_code: int
) -> None:
    error = answer_error(URL, status, code, {}, NOW)
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert URL in str(error) or status == 407


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("30", 30),
        ("0", 0),
        ("", 60),
        ("soon", 60),
        ("-5", 60),
        ("1" * 4000, 60),
        ("٣", 60),
        ("259200", 259_200),
        ("259201", 259_200),
        ("9999999", 259_200),
    ],
)
def test_retry_uses_retry_after_if_it_is_a_number(header: str, wait_s: int) -> None:
    error = answer_error(URL, 429, None, {"retry-after": header} if header else {}, NOW)
    assert isinstance(error, RateLimitedError)
    assert error.until_ms == NOW + wait_s * 1000


BAN = "Way too many requests; IP(1.2.3.4) banned until {}. Use the websocket for live updates"


@pytest.mark.parametrize(
    ("header", "until_ms", "wait_ms"),
    [
        ("", NOW + 7_200_000, 7_200_000),
        ("30", NOW + 7_200_000, 7_200_000),
        ("7200", NOW + 30_000, 7_200_000),
        ("", NOW + 999 * 86_400_000, 3 * 86_400_000),
        ("", NOW - 1, 60_000),
        ("5", NOW - 1, 5_000),
    ],
)
@pytest.mark.parametrize("status", [418, 429])
def test_retry_reads_a_ban_from_the_message(
    header: str, until_ms: int, wait_ms: int, status: int
) -> None:
    headers = {"retry-after": header} if header else {}
    error = answer_error(URL, status, -1003, headers, NOW, message=BAN.format(until_ms))
    assert isinstance(error, RateLimitedError)
    assert error.until_ms == error.remember_until_ms == NOW + wait_ms


def test_retry_end_of_a_ban_is_on_the_exchange_clock() -> None:
    """This machine's clock is an hour behind."""
    message, server_ms = BAN.format(NOW + 3_700_000), NOW + 3_600_000
    error = answer_error(URL, 418, -1003, {}, NOW, message=message, server_ms=server_ms)
    assert isinstance(error, RateLimitedError)
    assert error.until_ms == NOW + 100_000


def test_retry_refusal_of_the_client_has_its_duration() -> None:
    firewall, location = (
        answer_error(URL, 403, None, {}, NOW),
        answer_error(URL, 451, None, {}, NOW),
    )
    assert isinstance(firewall, BlockedError)
    assert firewall.until_ms == firewall.remember_until_ms == NOW + 600_000
    assert isinstance(location, BlockedError)
    assert (location.until_ms, location.remember_until_ms) == (NOW + 600_000, None)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (None, ""), (17, ""), ("", ""), ("Invalid symbol.", "Invalid symbol"),
        ("two\nlines\x1b[31m and\ttabs\x00", "two lines [31m and tabs"),
        ("see https://x/y?signature=abc&a=b for more", "see *** for more"),
        ("signature=abc123 is wrong", "*** is wrong"), ("apiKey: abc123!", "***"),
        ("key " + "aB3" * 20 + " refused", "key *** refused"),
        ("caractère", "caract re"), ("x " * 300, "x " * 98 + "x..."),
    ],
)  # fmt: skip
def test_retry_message_of_the_exchange_is_one_clean_line(message: object, expected: str) -> None:
    assert printable(message) == expected
    for status, code in ((400, -1122), (400, -1121), (400, -1102), (403, None), (429, None)):
        text = str(answer_error(URL, status, code, {}, NOW, message=message))
        assert text.endswith(f"; it says: {expected}" if expected else text)
        assert len(text.splitlines()) == 1


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()))
def test_retry_any_message_becomes_one_printable_line(message: object) -> None:
    line = printable(message)
    assert len(line) <= 200
    assert line.isprintable()
    assert line.isascii()


@given(
    st.integers(100, 599), st.one_of(st.none(), st.integers(), st.text()),
    st.dictionaries(st.sampled_from(["retry-after", "location"]), st.text()), st.text(),
)  # fmt: skip
def test_retry_any_refusal_is_a_warmup_error(
    status: int, code: object, headers: dict[str, str], message: str
) -> None:
    error = answer_error(URL, status, code, headers, NOW, message=message)
    assert 10 <= error.exit_code <= 13


def test_retry_waits_double_up_to_a_ceiling_with_jitter() -> None:
    error = ExchangeUnreachableError("no")
    waits = [wait_ms(error, attempt, NOW, NOW + 10**6, 0.5) for attempt in (1, 2, 3, 4, 5, 6, 7)]
    assert waits == [250, 500, 1000, 2000, 4000, 4000, 4000]
    assert wait_ms(error, 1, NOW, NOW + 10**6, 0.0) == 125
    assert wait_ms(error, 10_000, NOW, NOW + 10**6, 0.0) == 2000
    assert wait_ms(error, 10_000, NOW, NOW + 10**6, 0.999) == 5996


def test_retry_unreachable_exchange_is_retried_until_the_deadline() -> None:
    """The last retry is half a second before the deadline; then the exchange's error is raised."""
    error, deadline = ExchangeUnreachableError("no"), NOW + 60_000
    now = NOW
    attempts: list[int] = []
    while (wait := wait_ms(error, len(attempts) + 1, now, deadline, 0.5)) is not None:
        now += wait
        attempts.append(now - NOW)
    doubling = [250, 750, 1750, 3750]
    assert attempts == [*doubling, *range(7750, 59_500, 4000), 59_500]


def test_retry_invalid_data_are_requested_six_times() -> None:
    error = DataInvalidError("no")
    waits = [wait_ms(error, attempt, NOW, NOW + 10**6, 0.5) for attempt in range(1, 7)]
    assert waits == [250, 500, 1000, 2000, 4000, None]
    assert wait_ms(error, 2, NOW, NOW + 10**6, 0.999) == 750


def test_retry_rate_limit_is_waited_out_only_within_the_deadline() -> None:
    limit = RateLimitedError("no", until_ms=NOW + 5000)
    assert wait_ms(limit, 1, NOW, NOW + 10_000, 0.0) == 5000
    assert wait_ms(limit, 99, NOW, NOW + 10_000, 0.5) == 5250
    assert wait_ms(limit, 1, NOW, NOW + 5000, 0.0) is None
    assert wait_ms(RateLimitedError("no", until_ms=NOW), 1, NOW, NOW + 10_000, 0.0) == 1000


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("no"), UnknownSymbolError("no"), WarmupError("no"), NotTheExchangeError("no"),
        BlockedError("no", until_ms=NOW + 1, remember=True),
    ],
)  # fmt: skip
def test_retry_final_errors_are_not_retried(error: WarmupError) -> None:
    assert wait_ms(error, 1, NOW, NOW + 10**6, 0.0) is None


def test_retry_requests_nothing_after_the_deadline() -> None:
    assert wait_ms(ExchangeUnreachableError("no"), 1, NOW, NOW + 100, 0.5) is None


class Clock:
    """An exchange's clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = NOW // MINUTE_MS * MINUTE_MS + 1000

    def __call__(self) -> int:
        return self.now


def fits(budget: WeightBudget, weight: int) -> bool:
    """Return whether this weight can be spent without waiting."""

    async def spend() -> bool:
        try:
            async with asyncio.timeout(0.01):
                await budget.spend(weight)
        except TimeoutError:
            return False
        return True

    return asyncio.run(spend())


def test_weight_budget_is_a_share_of_a_minute() -> None:
    clock = Clock()
    budget = WeightBudget(10, clock)
    assert fits(budget, 6)
    assert not fits(budget, 5)
    assert fits(budget, 4)
    budget.request_ended(6, clock.now // MINUTE_MS)
    budget.request_ended(4, clock.now // MINUTE_MS)
    clock.now += MINUTE_MS
    assert fits(budget, 10)
    assert budget.spent == 20


def test_weight_budget_counts_what_others_spend() -> None:
    clock = Clock()
    budget = WeightBudget(100, clock)
    minute = asyncio.run(budget.spend(2))
    budget.request_ended(2, minute, used=97)
    assert not fits(budget, 4)
    assert fits(budget, 3)


def test_weight_budget_ignores_a_header_of_the_last_minute() -> None:
    clock = Clock()
    budget = WeightBudget(100, clock)
    minute = asyncio.run(budget.spend(2))
    clock.now += MINUTE_MS
    budget.request_ended(2, minute, used=99)
    assert fits(budget, 98)


def test_weight_budget_counts_pending_requests_in_the_new_minute() -> None:
    clock = Clock()
    budget = WeightBudget(10, clock)
    asyncio.run(budget.spend(8))
    clock.now += MINUTE_MS
    assert not fits(budget, 3)
    assert fits(budget, 2)


def test_weight_budget_keeps_its_usage_when_the_clock_is_set() -> None:
    """The response shows that this machine's clock is in another minute than the exchange's."""
    clock = Clock()
    budget = WeightBudget(30, clock)
    minute = asyncio.run(budget.spend(1))
    budget.request_ended(1, minute, used=29)
    clock.now -= MINUTE_MS
    budget.clock_synced(29)
    assert not fits(budget, 2)
    assert fits(budget, 1)
