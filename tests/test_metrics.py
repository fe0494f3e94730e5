"""The trader's report in Prometheus' text format."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

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

from warmup_job.binance.unknown_outcome import not_placed_reason, not_reached_reason
from warmup_job.handoff.outgoing_orders.order_denial import OrderDenial, book_problem
from warmup_job.handoff.outgoing_orders.order_limits import OrderLimits
from warmup_job.handoff.reporting.figures import UnprotectedTime
from warmup_job.handoff.reporting.metrics import metrics
from warmup_job.handoff.reporting.rejections import RejectionCounter, code_of
from warmup_job.handoff.reporting.report import (
    AccountReport,
    BookReport,
    GridReport,
    Rejections,
    Report,
)

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.]+')
BOOKS = {
    "LONG": BookReport(
        quantity=Decimal("0.020"), entry_price=Decimal(50_000), unrealised=Decimal("1.5"),
        unprotected=Decimal("0.006"),
    ),
    "SHORT": BookReport(
        quantity=Decimal(0), entry_price=Decimal(0), unrealised=Decimal(0), unprotected=Decimal(0)
    ),
}  # fmt: skip
GRID = GridReport(
    instrument_id="BTCUSDT-PERP.BINANCE", quote_currency="USDT", base_currency="BTC", regime="DOWN",
    equity=Decimal("10001.5"), realised=Decimal("7E+1"), unrealised=Decimal("1.5"),
    fees=Decimal("0.3"), funding=Decimal("-0.0"), drawdown_pct=Decimal("2.5"), is_stopped=True,
    block_reason="until 12:00:00 UTC", block_kind="circuit_breaker", books=BOOKS,
    open_orders={"entry": 9, "stop_loss": 1}, result_at_ms=2_900,
)  # fmt: skip
REPORT = Report(
    state="paused", why="", mode="live", at_ms=3_000, since_ms=2_000, started_ms=1_000,
    operator="paused", grids=(GRID,), unprotected_ms=1_500,
    rejections=(Rejections(kind="rejected", code="-2010", count=4),),
    account=AccountReport(state="ok", why="", event_age_ms=2_500),
)  # fmt: skip
NAME = 'instrument="BTCUSDT-PERP.BINANCE"'


@pytest.mark.parametrize(
    "line",
    [
        'warmup_trader_state{state="paused"} 1',
        'warmup_trader_operator{wish="paused"} 1',
        'warmup_trader_operator{wish="trading"} 0',
        f'warmup_grid_equity{{{NAME},currency="USDT"}} 10001.5',
        f'warmup_grid_realised_profit{{{NAME},currency="USDT"}} 70',
        f'warmup_grid_unrealised_profit{{{NAME},currency="USDT"}} 1.5',
        f'warmup_grid_fees{{{NAME},currency="USDT"}} 0.3',
        f'warmup_grid_funding{{{NAME},currency="USDT"}} 0.0',
        f"warmup_grid_result_time_seconds{{{NAME}}} 2.9",
        f"warmup_grid_drawdown_ratio{{{NAME}}} 0.025",
        f'warmup_grid_inventory{{{NAME},book="LONG"}} 0.020',
        f'warmup_grid_unprotected{{{NAME},book="LONG"}} 0.006',
        f'warmup_grid_unprotected{{{NAME},book="SHORT"}} 0',
        f'warmup_grid_open_orders{{{NAME},kind="entry"}} 9',
        f'warmup_grid_regime{{{NAME},regime="DOWN"}} 1',
        f'warmup_grid_regime{{{NAME},regime="UP"}} 0',
        f"warmup_grid_stopped{{{NAME}}} 1",
        f'warmup_grid_blocked{{{NAME},reason="circuit_breaker"}} 1',
        f'warmup_grid_blocked{{{NAME},reason="stale_bars"}} 0',
        "warmup_trader_unprotected_seconds 1.5",
        'warmup_trader_order_rejections_total{kind="rejected",code="-2010"} 4',
        'warmup_trader_account_state{state="ok"} 1',
        "warmup_trader_account_event_age_seconds 2.5",
    ],
)
def test_metrics_have_what_a_grid_operator_needs(line: str) -> None:
    assert line in metrics(REPORT).splitlines()


def test_metrics_are_valid_and_declare_every_family_once() -> None:
    text = metrics(REPORT)
    assert text.endswith("\n")
    values = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(map(LINE.fullmatch, values))
    declared = Counter(line.split()[2] for line in text.splitlines() if line.startswith("# TYPE"))
    assert set(declared.values()) == {1}
    assert {re.split(r"[{ ]", line)[0] for line in values} <= set(declared)


def test_metrics_of_a_trader_without_a_grid_or_account_have_no_amounts() -> None:
    text = metrics(Report(state="live", why="", mode="paper", at_ms=0, since_ms=0, started_ms=0))
    assert 'warmup_trader_state{state="live"} 1' in text
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
