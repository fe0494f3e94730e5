"""The trader's report in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderCancelRejected, OrderDenied, OrderRejected
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TraderId,
    VenueOrderId,
)
from nautilus_trader.model.objects import Price, Quantity
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.support.reports import GRID, WHOLE
from warmup_job.binance.unknown_outcome import not_placed_reason, not_reached_reason
from warmup_job.handoff.outgoing_orders.order_denial import OrderDenial, book_problem
from warmup_job.handoff.outgoing_orders.order_limits import OrderLimits
from warmup_job.handoff.reporting.figures import UnprotectedTime
from warmup_job.handoff.reporting.metrics import report_metrics
from warmup_job.handoff.reporting.rejections import RejectionCounter, code_of
from warmup_job.handoff.reporting.report import Report

BEFORE = Path(__file__).with_name("support") / "metrics_before_prometheus_client.prom"
"""What version 0.1.0 showed of `WHOLE`: dashboards and alerts use these names and labels."""


class Shown(Collector):
    def __init__(self, report: Report) -> None:
        self.report = report

    def collect(self) -> Iterator[Metric]:
        return report_metrics(self.report)


def text_of(report: Report) -> str:
    return generate_latest(Shown(report)).decode()


def families(text: str) -> dict[str, Metric]:
    found = list(text_string_to_metric_families(text))
    by_name = {each.name: each for each in found}
    assert len(by_name) == len(found), "a family is declared twice"
    return by_name


def test_metrics_have_the_names_types_labels_and_values_of_before() -> None:
    before = families(BEFORE.read_text())
    now = families(text_of(WHOLE))
    assert {name: now[name] for name in before} == before
    assert now.keys() == before.keys()


def test_metrics_show_the_offset_of_the_clock_once_it_is_known() -> None:
    assert "clock_offset" not in text_of(WHOLE)
    text = text_of(msgspec.structs.replace(WHOLE, clock_offset_ms=-1_500))
    assert "warmup_trader_clock_offset_seconds -1.5\n" in text


def test_metrics_of_a_trader_without_a_grid_or_account_have_no_amounts() -> None:
    report = Report(state="live", why="", mode="paper", at_ms=0, since_ms=0, started_ms=0)
    text = text_of(report)
    assert 'warmup_trader_state{state="live"} 1.0' in text
    assert "warmup_grid_equity{" not in text
    assert "warmup_trader_account" not in text


# -- rejections ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("{'code': -2010, 'msg': 'Order would immediately trigger.'}", "-2010"),
        ("BinanceClientError -4118: ReduceOnly Order Failed", "-4118"),
        ("price 50000.10-1000 is odd, 12-2010 too", "other"),
        (not_placed_reason("no usable answer, TimeoutError"), "no_answer"),
        (not_placed_reason("HTTP 503, code -1007"), "-1007"),
        (not_placed_reason("HTTP 502, code None"), "http_502"),
        (not_reached_reason(403), "http_403"),
        ("", "other"),
    ],
)
def test_code_of_a_rejection(reason: str, code: str) -> None:
    assert code_of(reason) == code


def test_name_of_a_denial_is_that_of_the_part_that_denied_the_order() -> None:
    """By the reasons that these parts give; Nautilus' risk engine has many."""
    cache = Cache(database=None)
    order = OrderFactory(TraderId("T-001"), StrategyId("S-001"), TestClock()).limit(
        InstrumentId.from_str("BTCUSDT-PERP.BINANCE"), OrderSide.BUY, Quantity.from_str("10"),
        Price.from_str("50000"),
    )  # fmt: skip
    denial, limits = OrderDenial(cache), OrderLimits()
    reasons = [denial.reason(order, None), book_problem(cache, order, None)]
    with denial.replaying():
        reasons.append(denial.reason(order, None))
    reasons += [limits.size_problem(cache, order), "Exceeded MAX_ORDER_SUBMIT_RATE",
                "Reduce only order would increase position"]  # fmt: skip
    assert [code_of(each, "denied") for each in reasons] == [
        "halted", "no_book", "replay", "order_size", "rate", "risk_engine",
    ]  # fmt: skip


def test_rejections_are_counted_by_kind_and_code() -> None:
    trader, strategy = TraderId("T-001"), StrategyId("S-001")
    instrument, order = InstrumentId.from_str("BTCUSDT-PERP.BINANCE"), ClientOrderId("E-1")
    account, venue_id = AccountId("BINANCE-1"), VenueOrderId("1")
    counter = RejectionCounter()
    msgbus = MessageBus(trader, TestClock())
    counter.attach(msgbus)
    for event in (
        OrderRejected(trader, strategy, instrument, order, account, "-2010", UUID4(), 0, 0),
        OrderRejected(trader, strategy, instrument, order, account, "-2010", UUID4(), 0, 0),
        OrderCancelRejected(
            trader, strategy, instrument, order, venue_id, account, "-2011", UUID4(), 0, 0
        ),
        OrderDenied(trader, strategy, instrument, order, "no margin", UUID4(), 0),
    ):
        msgbus.publish(f"events.order.{strategy}", event)
    assert [(each.kind, each.code, each.count) for each in counter.report()] == [
        ("cancel_rejected", "-2011", 1), ("denied", "risk_engine", 1), ("rejected", "-2010", 2),
    ]  # fmt: skip


# -- how long without a stop -----------------------------------------------------------------------


def test_time_without_a_stop_begins_again_after_it_was_protected() -> None:
    bare, covered = (GRID,), ()
    time = UnprotectedTime()
    looks = ((bare, 1_000), (bare, 1_700), (covered, 2_000), (bare, 3_000), (bare, 3_100))
    assert [time.look(grids, now_ms) for grids, now_ms in looks] == [0, 700, 0, 0, 100]
