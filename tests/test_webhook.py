"""Notices: which follow from reports, and their way to a real HTTP server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from msgspec.structs import replace

from tests.support.config_files import write_config
from tests.support.suite import HANG_S
from tests.support.webhook_receiver import PATH, receiving
from warmup_job.config import load
from warmup_job.errors import ConfigError, LiveRefusedError, TraderError
from warmup_job.handoff.outgoing_orders.order_ids import TraderIdentity
from warmup_job.handoff.reporting.flatten_report import ClosedPosition, FlatReport, FlattenReport
from warmup_job.handoff.reporting.notices import Notice, NoticeRules, Notices
from warmup_job.handoff.reporting.report import (
    AccountReport,
    BookReport,
    GridReport,
    OtherTraderReport,
    Report,
    State,
    UncancelledReport,
)
from warmup_job.handoff.reporting.webhook import Webhook, WebhookFormat, WebhookSettings, notifying
from warmup_job.handoff.state_dir import StateDir
from warmup_job.plan.resolve import resolve
from warmup_job.trader.run_trader import _webhook_settings

RULES = NoticeRules(unprotected_after_ms=10_000, drawdown_pct=Decimal(5))


def grid(**changes: Any) -> GridReport:
    held = BookReport(
        quantity=Decimal("0.02"), entry_price=Decimal(50_000), unrealised=Decimal(0),
        unprotected=Decimal("0.006"),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "instrument_id": "BTCUSDT-PERP.BINANCE", "quote_currency": "USDT", "base_currency": "BTC",
        "regime": "UP", "equity": Decimal(10_000), "realised": Decimal(1), "unrealised": Decimal(0),
        "fees": Decimal(0), "funding": Decimal(0), "drawdown_pct": Decimal(0), "is_stopped": False,
        "block_reason": "", "books": {"LONG": held}, "open_orders": {"entry": 10},
    }  # fmt: skip
    return GridReport(**fields | changes)


def report(state: State = "live", **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "state": state, "why": "why", "mode": "live", "at_ms": 1_000, "since_ms": 0,
        "started_ms": 0, "grids": (grid(),),
    }  # fmt: skip
    return Report(**fields | changes)


def events(*reports: Report) -> list[str]:
    notices = Notices(RULES)
    return [f"{each.event}: {each.text}" for given in reports for each in notices.of(given)]


# -- what is worth a notice ------------------------------------------------------------------------


def test_each_change_of_state_gives_one_notice() -> None:
    states: list[State] = [
        "starting", "filling", "live", "live", "degraded", "live", "paused", "stopping",
    ]  # fmt: skip
    seen = events(*(report(each) for each in states))
    assert seen == ["live: live: why", "degraded: degraded: why", "live: live: why",
                    "paused: paused: why"]  # fmt: skip


def test_another_trader_gives_one_notice() -> None:
    def seen(open_orders: int) -> Report:
        other = OtherTraderReport(tag="abc", text="it trades too", open_orders=open_orders)
        return report(account=AccountReport(state="ok", why="", other_traders=(other,)))

    assert events(report(), seen(8), seen(2), seen(0))[1:] == ["other_trader: it trades too"]


def test_entries_that_stay_open_give_a_notice_after_the_time_and_one_at_their_end() -> None:
    left = [
        UncancelledReport(ids=("E-1",), ms=ms, why="-1008") for ms in (0, 10_000, 10_500, 20_000)
    ]
    seen = events(*(report("paused", uncancelled=each) for each in (None, *left, None, None)))
    assert seen[1:] == [
        "not_cancelled: 1 entry is not cancelled yet: -1008; still open: E-1",
        "cancelled: no entry is open any more that should be cancelled",
    ]


def test_position_without_a_stop_gives_a_notice_after_the_time_and_one_at_its_end() -> None:
    seen = events(*(report(unprotected_ms=each) for each in (0, 10_000, 10_500, 15_000, 0, 0)))
    assert seen[1:] == [
        (
            "unprotected: without a stop loss for 10 s: 0.006 BTC of the LONG position of "
            "BTCUSDT-PERP.BINANCE"
        ),
        "protected: the LONG position of BTCUSDT-PERP.BINANCE has a stop loss again",
    ]


def test_notice_of_a_position_without_a_stop_has_the_reason_and_its_end_what_happened() -> None:
    """The take profit of one book closed it, and the other book has got a stop."""
    why = "it was not accepted: -1008 Server overload"
    (held,) = grid().books.values()
    bare = {"LONG": replace(held, unprotected_why=why), "SHORT": held}
    closed = replace(held, quantity=Decimal(0), unprotected=Decimal(0))
    then = {"LONG": closed, "SHORT": replace(held, unprotected=Decimal(0))}
    seen = events(
        report(grids=(grid(books=bare),), unprotected_ms=11_000), report(grids=(grid(books=then),))
    )
    assert seen[1:] == [
        (
            "unprotected: without a stop loss for 11 s: 0.006 BTC of the LONG position of "
            f"BTCUSDT-PERP.BINANCE: {why}; 0.006 BTC of the SHORT position of BTCUSDT-PERP.BINANCE"
        ),
        (
            "protected: the LONG position of BTCUSDT-PERP.BINANCE is closed; the SHORT position of "
            "BTCUSDT-PERP.BINANCE has a stop loss again"
        ),
    ]


def flattening(taken_ms: int, end: FlatReport | None = None) -> Report:
    flatten = FlattenReport(since_ms=1_000, step="the order was refused: -2010", end=end)
    return report("paused", flatten=flatten, at_ms=1_000 + taken_ms)


def test_flatten_gives_a_notice_when_it_takes_long_and_one_with_prices_at_its_end() -> None:
    closed = ClosedPosition(position="LONG", quantity=Decimal("0.02"), price=Decimal("50000.1"))
    flat = FlatReport(flat=True, closed=(closed,))
    seen = events(
        *(flattening(each) for each in (0, 30_000, 30_001, 60_000)),
        *(flattening(61_000, flat) for _ in range(2)),
    )
    assert seen[1:] == [
        "not_flat: not flat 30 s after the request: the order was refused: -2010",
        (
            "flat: closed 0.02 of LONG at 50000.1; flat: the exchange reports no position; the "
            "trader stays paused"
        ),
    ]


def test_flatten_that_the_operator_ends_early_gives_a_notice() -> None:
    cut = FlatReport(flat=False, why_not="the operator has changed it to paused")
    assert events(flattening(0), flattening(5, cut))[1:] == [
        "not_flat: not flat: the operator has changed it to paused"
    ]
    assert len(events(flattening(0, cut))) == 2  # it has begun and ended between two reports


def test_circuit_breaker_gives_one_notice_each_time_it_opens() -> None:
    """Whatever else holds the entries back in the meantime, such as a moment without bars."""
    kinds = ("", "circuit_breaker", "not_active", "circuit_breaker", "", "circuit_breaker")
    ends_ms = (0, 300_000, 300_000, 300_000, 300_000, 600_000)
    seen = events(
        *(
            report(at_ms=at_s * 1_000, grids=(grid(block_kind=kind, breaker_until_ms=end_ms),))
            for kind, end_ms, at_s in zip(kinds, ends_ms, (1, 2, 3, 4, 301, 302), strict=True)
        )
    )
    assert seen[1:] == [
        "circuit_breaker: BTCUSDT-PERP.BINANCE: too many order errors: the circuit breaker holds "
        f"entries until 1970-01-01T00:{minute}:00Z"
        for minute in ("05", "10")
    ]


def test_drawdown_gives_a_notice_for_every_further_step() -> None:
    falls = ("4.9", "5.1", "5.0", "9.9", "12", "7", "12", "0", "6")
    seen = events(*(report(grids=(grid(drawdown_pct=Decimal(each)),)) for each in falls))
    assert [each.rpartition("is ")[2] for each in seen[1:]] == ["5.10 %", "12.00 %", "6.00 %"]


def test_drawdown_that_stops_the_entries_gives_one_notice() -> None:
    stopped = report(grids=(grid(drawdown_pct=Decimal(21), is_stopped=True),))
    seen = events(report(), stopped, stopped)
    assert seen[1:] == [
        "drawdown: BTCUSDT-PERP.BINANCE: the drawdown of 21.00 % has stopped all entries"
    ]


# -- the way there ---------------------------------------------------------------------------------


def settings(url: str, form: WebhookFormat = "json") -> WebhookSettings:
    return WebhookSettings(url, form, RULES, "live trader of BTCUSDT", "4xzk3x7", "/state")


def notice(text: str = "text") -> Notice:
    return Notice(event="live", text=text, at_ms=5)


async def deliver(webhook: Webhook, *notices: Notice) -> None:
    """Send notices and wait until each was delivered or given up."""
    task = asyncio.create_task(webhook.run())
    for each in notices:
        webhook.send(each)
    async with asyncio.timeout(HANG_S):
        await webhook._waiting.join()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), level="DEBUG")
    yield lines
    logger.remove(handler)


def test_json_has_the_event_and_slack_has_an_escaped_text() -> None:
    with receiving() as receiver:
        asyncio.run(deliver(Webhook(settings(receiver.url)), notice("a <b> & c")))
        asyncio.run(deliver(Webhook(settings(receiver.url, "slack")), notice("a <b> & c")))
    plain, slack = receiver.bodies
    assert plain.pop("host")
    assert plain == {
        "trader": "live trader of BTCUSDT", "event": "live", "text": "a <b> & c", "at_ms": 5,
        "pid": os.getpid(), "tag": "4xzk3x7", "state_dir": "/state",
    }  # fmt: skip
    assert slack == {"text": "live trader of BTCUSDT: a &lt;b&gt; &amp; c"}
    assert {each.path for each in receiver.seen} == {PATH}
    assert receiver.seen[0].content_type == "application/json"


def test_failed_delivery_is_tried_again_and_failures_are_logged_once(log: list[str]) -> None:
    with receiving(500, 429, 200, 503) as receiver:
        webhook = Webhook(settings(receiver.url), retry_after_s=(0, 0))

        async def run() -> None:
            await deliver(webhook, notice("first"), notice("second"), notice("third"))
            assert [each["text"] for each in receiver.bodies[:3]] == ["first"] * 3
            assert len(receiver.bodies) == 9
            receiver.codes[:] = [204]
            await deliver(webhook, notice("fourth"))

        asyncio.run(run())
    assert len([line for line in log if "was not delivered (HTTP 503)" in line]) == 1
    assert len([line for line in log if "delivered again" in line]) == 1


@pytest.mark.parametrize("code", [302, 404])
def test_refusal_and_redirect_are_not_tried_again(code: int) -> None:
    with receiving(code) as receiver:
        asyncio.run(deliver(Webhook(settings(receiver.url), (0, 0)), notice()))
    assert len(receiver.bodies) == 1


def test_url_is_in_no_log_and_no_text(log: list[str], tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:1{PATH}"
    for url in (
        nobody,
        f"http://[::1]:1{PATH}",
        f"http://no.such.host.invalid{PATH}",
    ):
        asyncio.run(deliver(Webhook(settings(url), (0,)), notice()))
    assert any("was not delivered" in line for line in log)
    config = write_config(
        tmp_path, "http://127.0.0.1:1", trade={"notify": {"url": "${HOOK}", "format": "json"}}
    )
    read = load(config, environ={"HOOK": nobody})
    plan = resolve(read)
    assert plan.trader.notify.url == nobody
    with pytest.raises(ConfigError) as wrong:
        load(config, environ={"HOOK": f"ftp://host{PATH}"})
    shown = [*log, repr(read), repr(plan), repr(settings(nobody)), str(wrong.value)]
    assert not [each for each in shown if "very-secret" in each]


def test_notices_name_the_state_folder_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, "http://127.0.0.1:1", trade={"notify": {"url": "${HOOK}"}})
    plan = resolve(load(config, environ={"HOOK": "https://hooks.example/x"}))
    folder = StateDir(Path(".demo/state"), "live")
    made = _webhook_settings(plan, "live", TraderIdentity(), folder)
    assert made is not None
    assert made.state_dir == str(tmp_path / ".demo/state")


def test_no_url_means_no_webhook(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1", trade={"notify": {"url": "${HOOK}"}})
    assert resolve(load(config, environ={})).trader.notify.url is None


def test_silent_server_delays_nothing_and_the_oldest_notices_are_dropped() -> None:
    with receiving(0) as receiver:

        async def run() -> int:
            webhook = Webhook(settings(receiver.url))
            task = asyncio.create_task(webhook.run())
            for number in range(1_000):
                webhook.send(notice(str(number)))
            waiting = webhook._waiting.qsize()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return waiting

        assert asyncio.run(run()) == 100


def test_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with receiving() as receiver:
        proxy = receiver.url.removesuffix(PATH)
        monkeypatch.setenv("http_proxy", proxy.replace("http://", "http://user:word@"))
        asyncio.run(deliver(Webhook(settings(f"http://hooks.example{PATH}")), notice()))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        asyncio.run(deliver(Webhook(settings(receiver.url)), notice()))
    proxied, direct = receiver.seen
    assert proxied.host == "hooks.example"
    assert proxied.headers["Proxy-Authorization"] == "Basic dXNlcjp3b3Jk"
    assert "Proxy-Authorization" not in direct.headers


def test_unusable_proxy_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"trade.notify.url: https_proxy is a SOCKS proxy"):
        Webhook(settings("https://hooks.example/x"))


def expected(error: Exception | None) -> AbstractContextManager[object]:
    return nullcontext() if error is None else pytest.raises(type(error))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "stopped: it was asked to stop"),
        (TraderError("the node stopped"), "stopped: the node stopped"),
        (ZeroDivisionError("secret"), "stopped: a bug; its log has the trace"),
    ],
)
def test_last_notice_says_why_the_trader_stopped(error: Exception | None, text: str) -> None:
    async def run() -> None:
        async with notifying(settings(receiver.url)) as webhook:
            assert webhook is not None
            webhook.on_report(report("live"))
            if error is not None:
                raise error

    with receiving() as receiver, expected(error):
        asyncio.run(run())
    assert [each["text"] for each in receiver.bodies] == ["live: why", text]
    assert receiver.bodies[-1]["event"] == "stopped"


def test_last_notice_names_the_entries_that_are_still_open() -> None:
    left = UncancelledReport(ids=("E-1", "E-2"), ms=11_000, why="-1008 overloaded")

    async def run() -> None:
        async with notifying(settings(receiver.url)) as webhook:
            assert webhook is not None
            webhook.on_report(report("live"))
            webhook.on_report(report("stopping"))
            webhook.on_report(report("stopping", uncancelled=left))

    with receiving() as receiver:
        asyncio.run(run())
    assert [each["text"] for each in receiver.bodies] == [
        "live: why",
        (
            "stopped: it was asked to stop. 2 ENTRIES ARE STILL OPEN (E-1, E-2); the cancel "
            "failed: -1008 overloaded. A fill gets no stop loss: cancel on the exchange, or start "
            "the trader again"
        ),
    ]


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (LiveRefusedError("another trader"), "verifying", "did not start (…): another trader"),
        (TraderError("no exchange"), "starting", "did not start (…): no exchange"),
        (LiveRefusedError("another trader"), "live", "gave way (…): another trader"),
    ],
)
def test_trader_that_gives_way_to_another_is_not_taken_for_that_one(
    error: Exception, state: State, text: str
) -> None:
    async def run() -> None:
        async with notifying(settings(receiver.url, "slack")) as webhook:
            assert webhook is not None
            webhook.on_report(report(state))
            raise error

    with receiving() as receiver, expected(error):
        asyncio.run(run())
    who = f"order ids …-4xzk3x7-…, pid {os.getpid()}, state folder /state"
    said = f"live trader of BTCUSDT: {text.replace('…', who)}"
    assert receiver.bodies[-1]["text"] == said


@pytest.mark.parametrize("code", [404, 500])
def test_notice_that_cannot_be_sent_at_the_end_is_logged_with_its_text(
    code: int, log: list[str]
) -> None:
    async def run() -> None:
        async with notifying(settings(receiver.url)):
            raise TraderError("the node stopped")

    with receiving(code) as receiver, pytest.raises(TraderError):
        asyncio.run(run())
    who = f"order ids …-4xzk3x7-…, pid {os.getpid()}, state folder /state"
    warnings = [line for line in log if "WARNING" in line]
    assert len(warnings) == 1
    assert f"({'HTTP ' + str(code)}): did not start ({who}): the node stopped" in warnings[0]
