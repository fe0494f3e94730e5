"""The guards: the largest position, the largest funding cost, and when the grid stops itself."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OrderStatus, OrderType, TradingState
from nautilus_trader.model.events import OrderDenied
from nautilus_trader.model.identifiers import ClientOrderId

from tests.support.ladders import ladder
from tests.support.made_up_market import (
    START_NS,
    Market,
    answer_instead,
    config,
    feed,
    make_engine,
    of_kind,
    orders_of,
    refuse,
    refuse_cancels,
    run,
    summarised,
    warm,
)
from warmup_job.hedge_grid.account_result import drawdown_pct
from warmup_job.hedge_grid.caps import (
    Caps,
    Exposure,
    caps_of,
    describe_tighter_cap,
    rungs_within_caps,
)
from warmup_job.hedge_grid.circuit_breaker import CircuitBreaker
from warmup_job.hedge_grid.funding import FundingInterval, funding_cost_bps, size_factors
from warmup_job.hedge_grid.ladder import Book
from warmup_job.hedge_grid.order_diff import OpenEntry, match_entries, retry_price
from warmup_job.hedge_grid.strategy import HedgeGridV1

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS


@pytest.fixture
def engine() -> Iterator[BacktestEngine]:
    made = make_engine()
    yield made
    made.dispose()


def warmed(**changes: Any) -> HedgeGridV1:
    strategy = HedgeGridV1(config(**changes))
    warm(strategy)
    return strategy


def begun() -> Market:
    return Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")


# -- caps ------------------------------------------------------------------------------------------

LIMITS: dict[str, Any] = {
    "max_inventory_quote": D(10**6), "max_position_size": D(10), "max_margin_pct": D(1),
    "max_leverage_used": D(100), "emergency_liquidation_buffer": D("0.01"),
}  # fmt: skip


def book_cap(*, equity: D = D(1000), leverage: D = D(10), **limits: D) -> D:
    return caps_of(equity, leverage, D("0.05"), config(**LIMITS | limits)).quote


@pytest.mark.parametrize(
    ("key", "value", "quote"),
    [
        ("max_inventory_quote", D(500), D(500)),
        ("max_margin_pct", D("0.5"), D(5000)),
        ("max_position_pct", D("0.5"), D(500)),
        ("emergency_liquidation_buffer", D("0.20"), D(4000)),
        ("equity", D(-5), D(0)),
    ],
)
def test_hedge_grid_caps_tightest_rule_limits_a_book(key: str, value: D, quote: D) -> None:
    limits: dict[str, Any] = {key: value}
    if key == "max_position_pct":
        limits["max_margin_pct"] = None
    assert book_cap(**limits) == quote


@pytest.mark.parametrize(("leverage", "gross"), [("2", D(2000)), ("20", D(5000))])
def test_hedge_grid_caps_both_books_need_no_more_margin_than_the_account_has(
    leverage: str, gross: D
) -> None:
    caps = caps_of(D(1000), D(leverage), D("0.05"), config(max_leverage_used=D(5)))
    assert caps.gross == gross


def test_hedge_grid_caps_full_book_keeps_the_liquidation_buffer() -> None:
    quote = book_cap(emergency_liquidation_buffer=D("0.25"), leverage=D(100))
    assert 1000 - quote * D("0.25") == pytest.approx(
        quote * D("0.05")
    )  # the rest is the maintenance margin


def test_hedge_grid_caps_books_share_the_leverage_equally() -> None:
    rungs = ladder(D(60000), levels_short=3, qty_scale=D(1))  # 120 each
    admitted = rungs_within_caps(rungs, {}, Caps(D(10**6), None, D(600)))
    assert [(rung.book, rung.level) for rung in admitted] == [
        ("LONG", 1), ("SHORT", 1), ("LONG", 2), ("SHORT", 2),
    ]  # fmt: skip


@given(
    quote=st.decimals(0, 3000, places=1), quantity=st.decimals(0, "0.05", places=3),
    gross=st.decimals(0, 5000, places=1), held=st.decimals(0, "0.02", places=3),
)  # fmt: skip
def test_hedge_grid_caps_admitted_rungs_cannot_fill_beyond_a_cap(
    quote: D, quantity: D, gross: D, held: D
) -> None:
    rungs = ladder(D(60000), levels_long=5, levels_short=5)
    exposure: dict[Book, Exposure] = {"LONG": Exposure(held, held * 60000)}
    admitted = rungs_within_caps(rungs, exposure, Caps(quote, quantity, gross))
    together = held * 60000 if admitted else D(0)
    for book in ("LONG", "SHORT"):
        mine = [rung for rung in admitted if rung.book == book]
        before = exposure.get(book, Exposure())
        if mine:
            assert before.quote + sum(rung.notional for rung in mine) <= quote
            assert before.quantity + sum(rung.quantity.as_decimal() for rung in mine) <= quantity
        together += sum((rung.notional for rung in mine), D(0))
    assert together <= gross


@pytest.mark.parametrize(
    "changes",
    [
        {"max_inventory_quote": D(450)},
        {"max_position_size": D("0.008")},
        {"max_leverage_used": D("0.009")},  # of 100,000: 900 for both books
        {"max_position_pct": D("0.0045")},
        {"max_margin_pct": D("0.00045")},  # at leverage 10
    ],
)
def test_hedge_grid_caps_450_admits_two_rungs_of_200(
    engine: BacktestEngine, changes: dict[str, Any]
) -> None:
    market = begun().quote(10, "49890").bar(62, "49890").bar(122, "49890").quote(130, "49890")
    orders = run(engine, warmed(**changes), market)
    entries = of_kind(orders, "E")
    assert summarised(entries)[:4] == [
        ("BUY", "49950.00", "0.004"), ("SELL", "50050.00", "0.004"),
        ("BUY", "49900.00", "0.004"), ("SELL", "50100.10", "0.004"),
    ]  # fmt: skip
    assert not [order for order in summarised(entries)[4:] if order[0] == "BUY"]


def fallen(engine: BacktestEngine, to: str, **changes: Any) -> list[Any]:
    """Fill a LONG rung, let the price fall without reaching its stop; return the entries."""
    strategy = warmed(
        grid_levels_short=0, grid_levels_long=1, counter_qty_scale=D(1), **changes
    )  # fmt: skip
    market = begun().quote(10, "49940").quote(50, to).bar(62, to).quote(63, to)
    return of_kind(run(engine, strategy, market), "E")


@pytest.mark.parametrize(("cap", "entries"), [(393, 1), (396, 2)])
def test_hedge_grid_caps_count_a_losing_position_at_its_cost(
    engine: BacktestEngine, cap: int, entries: int
) -> None:
    """0.004 at 49,950 are 199.8, now worth 196; the next rung is 195.8."""
    assert len(fallen(engine, "49000", max_inventory_quote=D(cap))) == entries


@pytest.mark.parametrize(("share", "entries"), [("0.892", 1), ("0.899", 2)])
def test_hedge_grid_caps_subtract_unrealized_losses_from_the_equity(
    engine: BacktestEngine, share: str, entries: int
) -> None:
    """89,200 of the balance, but 88,196 with the loss; both rungs are 88,741."""
    made = fallen(
        engine, "48700", base_qty=D("0.9"), sl_steps=60, max_position_pct=D(share),
        max_inventory_quote=D(10**6), max_position_size=D(9),
    )  # fmt: skip
    assert len(made) == entries


def test_hedge_grid_caps_without_position_validation_limit_only_the_inventory(
    engine: BacktestEngine,
) -> None:
    caps: dict[str, Any] = {"max_position_size": D("0.004"), "max_inventory_quote": D(450)}
    orders = run(engine, warmed(enable_position_validation=False, **caps), begun())
    assert len(orders) == 4


def test_hedge_grid_caps_full_book_is_replaced_only_after_the_old_orders_are_gone(
    engine: BacktestEngine,
) -> None:
    """If both were open, both could fill and exceed the cap."""
    strategy = warmed(max_inventory_quote=D(650), grid_levels_short=0)
    market = begun().quote(50, "51000").bar(62, "51000").quote(63, "51000")
    orders = run(engine, strategy, market)
    assert [order.status for order in orders] == [OrderStatus.CANCELED] * 3 + [
        OrderStatus.ACCEPTED
    ] * 3
    assert orders[3].init_event.ts_init >= max(order.ts_last for order in orders[:3])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "limits each book to 950.00 USDT, its share of the equity of 1000.00 USDT;"),
        ({}, "allowed 8000.00 USDT: set position.max_margin_pct to 0.95"),
        ({"max_margin_pct": D("0.95")}, ""),
        ({"max_inventory_quote": D(950)}, ""),
        ({"max_inventory_quote": D(1000)}, "allowed 1000.00 USDT"),
    ],
)  # fmt: skip
def test_hedge_grid_caps_position_that_is_limited_more_than_before_is_reported(
    changes: dict[str, Any], words: str
) -> None:
    """At leverage 10 the liquidation buffer of 0.1 and the maintenance margin allow 8,000."""
    settings = config(**{"max_inventory_quote": D(10**6)} | changes)
    text = describe_tighter_cap(D(1000), D(10), D("0.025"), settings, "USDT")
    assert words in text
    assert bool(text) == bool(words)


# -- the order diff --------------------------------------------------------------------------------


def test_hedge_grid_order_diff_open_order_serves_only_the_nearest_rung() -> None:
    (first, second, third, *_) = ladder(D(60000), qty_scale=D(1))
    standing = [
        OpenEntry("a", "LONG", D("59940.50"), D("0.002"), D("0.002")),
        OpenEntry("b", "LONG", D("59940.00"), D("0.002"), D("0.001")),
        OpenEntry("c", "SHORT", D("59880.00"), D("0.002"), D("0.002")),
        OpenEntry("d", "LONG", D("59820.10"), D("0.003"), D("0.003")),
    ]
    matched = match_entries(
        [first, second, third], standing, price_tolerance_bps=D(1), qty_tolerance=D("0.01")
    )
    assert {rung.level: order.order_id for rung, order in matched.items()} == {1: "b"}


@pytest.mark.parametrize(
    ("book", "attempt", "opposite", "price"),
    [
        ("LONG", 1, None, "99.9"), ("LONG", 2, None, "99.8"), ("SHORT", 1, None, "100.1"),
        ("LONG", 1, "99.62", "99.6"), ("SHORT", 1, "100.38", "100.4"),
        ("LONG", 1, "98", None), ("SHORT", 1, "102", None),
    ],
)  # fmt: skip
def test_hedge_grid_retry_price_moves_away_from_the_market_within_a_limit(
    book: Book, attempt: int, opposite: str | None, price: str | None
) -> None:
    made = retry_price(
        book, D(100), attempt, opposite=None if opposite is None else D(opposite),
        tick=D("0.1"), max_bps=D(100),
    )  # fmt: skip
    assert made == (None if price is None else D(price))


def falling_behind(bid: str = "49930.15", **changes: Any) -> list[Any]:
    """Orders reach the exchange a second late, after the market has passed the first rung."""
    late = LatencyModel(base_latency_nanos=SECOND_NS)
    engine = make_engine(latency_model=late)
    market = (
        Market().quote(1, "50000").bar(2, "50000").quote(2.5, bid).quote(10, str(D(bid) + 1))
        .quote(61, "50000").bar(62, "50000").quote(64, "50000")
    )  # fmt: skip
    try:
        strategy = warmed(**{"grid_levels_short": 0, "grid_levels_long": 1} | changes)
        return run(engine, strategy, market)
    finally:
        engine.dispose()


@pytest.mark.parametrize("changes", [{}, {"max_errors_per_minute": 1}])
def test_hedge_grid_retry_of_a_taking_order_stays_post_only(
    changes: dict[str, Any],
) -> None:
    """The rejection is no error and does not count for the circuit breaker."""
    orders = falling_behind(**changes)
    prices = [price for _, price, _ in summarised(orders)]
    assert list(zip(prices, [order.status for order in orders], strict=True)) == [
        ("49950.00", OrderStatus.REJECTED), ("49931.10", OrderStatus.ACCEPTED),
    ]  # fmt: skip
    assert all(order.is_post_only for order in orders)


@pytest.mark.parametrize(
    "changes",
    [{"use_post_only_retries": False}, {"retry_attempts": 0},
     {"retry_max_price_deviation_bps": D(1)}],
)  # fmt: skip
def test_hedge_grid_retry_disabled_waits_for_the_next_bar(changes: dict[str, Any]) -> None:
    orders = falling_behind(**changes)
    assert [order.status for order in orders] == [OrderStatus.REJECTED, OrderStatus.ACCEPTED]
    assert summarised(orders)[0] == summarised(orders)[1]


def test_hedge_grid_retry_is_not_sent_next_to_another_entry() -> None:
    """The market has moved almost to the second rung."""
    orders = falling_behind("49905.15", grid_levels_long=2)
    assert [(price, order.status) for (_, price, _), order in zip(
        summarised(orders), orders, strict=True
    )] == [
        ("49950.00", OrderStatus.REJECTED), ("49900.00", OrderStatus.ACCEPTED),
        ("49950.00", OrderStatus.ACCEPTED),  # with the next bar
    ]  # fmt: skip


def refusing_entries(engine: BacktestEngine, **changes: Any) -> HedgeGridV1:
    """Return an exchange where every entry would have taken liquidity."""
    strategy = warmed(grid_levels_short=0, grid_levels_long=1, **changes)
    engine.add_strategy(strategy)
    refuse(engine, strategy, lambda order: True, "would take", due_post_only=True)
    return strategy


def test_hedge_grid_retry_goes_one_tick_further_each_time_and_ends(engine: BacktestEngine) -> None:
    refusing_entries(engine, retry_attempts=3)
    feed(engine, begun().quote(10, "50000"))
    engine.run()
    prices = [str(order.price) for order in orders_of(engine)]
    assert prices == ["49950.00", "49949.90", "49949.80", "49949.70"]


def test_hedge_grid_retry_pending_rung_is_not_sent_by_a_bar(engine: BacktestEngine) -> None:
    refusing_entries(engine, retry_attempts=1, retry_delay_ms=90_000)
    feed(engine, begun().bar(62, "50000").quote(100, "50000"))
    engine.run()
    seconds = [(each.init_event.ts_init - START_NS) // SECOND_NS for each in orders_of(engine)]
    assert seconds == [2, 92]


def test_hedge_grid_retry_is_not_sent_while_entries_are_blocked(engine: BacktestEngine) -> None:
    strategy = refusing_entries(engine, retry_attempts=1, retry_delay_ms=5000)
    feed(engine, begun().quote(10, "50000"))
    reducing = type("Event", (), {"state": TradingState.REDUCING})()
    strategy.clock.set_time_alert_ns(
        "reduce", START_NS + 4 * SECOND_NS, lambda _: strategy._on_risk_event(reducing)
    )
    engine.run()
    assert len(orders_of(engine)) == 1


def test_hedge_grid_caps_count_the_rest_of_a_partly_filled_rung(engine: BacktestEngine) -> None:
    """100 of it are filled and 100 open: the second rung of 200 still fits below 450."""
    market = begun().quote(10, "49949.95", size="0.002").quote(11, "49960").bar(62, "49960")
    strategy = warmed(grid_levels_short=0, grid_levels_long=2, max_inventory_quote=D(450))
    entries = of_kind(run(engine, strategy, market.quote(63, "49960")), "E")
    assert [order.status for order in entries] == [
        OrderStatus.PARTIALLY_FILLED, OrderStatus.ACCEPTED,
    ]  # fmt: skip


def test_hedge_grid_caps_new_rung_waits_for_the_cancel_of_the_old_one() -> None:
    engine = make_engine(latency_model=LatencyModel(base_latency_nanos=SECOND_NS))
    strategy = warmed(grid_levels_short=0, max_inventory_quote=D(650), recenter_trigger_bps=5.0)
    market = begun().quote(50, "50050").bar(62, "50050")
    try:
        orders = run(engine, strategy, market.quote(64, "50050").quote(66, "50050"))
        assert orders[2].status == OrderStatus.CANCELED
        assert orders[3].init_event.ts_init == orders[2].ts_last > START_NS + 62 * SECOND_NS
    finally:
        engine.dispose()


def test_hedge_grid_passed_rung_waits_for_the_price_to_return(
    engine: BacktestEngine,
) -> None:
    """After a stop below the rung, an immediate entry at the market would be no grid."""
    market = begun().quote(10, "49945").quote(50, "49700").bar(62, "49700").quote(63, "49700")
    market.bar(122, "49700").quote(170, "49990").bar(182, "49990").quote(183, "49990")
    strategy = warmed(grid_levels_short=0, grid_levels_long=1, sl_steps=3)
    entries = of_kind(run(engine, strategy, market), "E")
    assert [order.status for order in entries] == [OrderStatus.FILLED, OrderStatus.ACCEPTED]
    second = (entries[1].init_event.ts_init - entries[0].init_event.ts_init) / SECOND_NS
    assert second == 180


# -- funding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "in_hours", "window_minutes", "bps"),
    [
        (8, 9, 480, 0), (8, 8, 480, 10), (8, 1, 480, 10), (8, 0, 480, 20), (8, 1, 1440, 30),
        (4, 4, 480, 20), (4, 1, 480, 20), (4, 3, 1440, 60),
        (1, 1, 480, 80), (1, 0.5, 60, 10), (1, 0, 60, 20),
    ],
)  # fmt: skip
def test_hedge_grid_funding_cost_is_that_of_the_payments_in_the_window(
    interval: int, in_hours: float, window_minutes: int, bps: int
) -> None:
    due_ns = round(in_hours * HOUR_NS)
    assert funding_cost_bps(D("0.001"), due_ns, 0, window_minutes, interval) == bps


@pytest.mark.parametrize(("due_hour", "hours"), [(16, 8), (4, 4), (20, 4), (6, 2), (13, 1)])
def test_hedge_grid_funding_interval_unknown_is_the_longest_that_fits_the_next_payment(
    due_hour: int, hours: int
) -> None:
    interval = FundingInterval()
    interval.observe(due_hour * HOUR_NS, 0)
    assert interval.hours == hours


def test_hedge_grid_funding_interval_is_learnt_and_follows_a_change_of_the_stream() -> None:
    interval = FundingInterval()
    interval.learn(4)
    interval.observe(16 * HOUR_NS, 15 * HOUR_NS)
    assert interval.hours == 4
    interval.observe(17 * HOUR_NS, 16 * HOUR_NS + SECOND_NS)
    assert interval.hours == 1
    interval.observe(25 * HOUR_NS, 17 * HOUR_NS + SECOND_NS)
    assert interval.hours == 8


def test_hedge_grid_funding_interval_ignores_payments_that_were_missed() -> None:
    interval = FundingInterval()
    interval.learn(1)
    interval.observe(13 * HOUR_NS, 12 * HOUR_NS)
    interval.observe(17 * HOUR_NS, 16 * HOUR_NS + SECOND_NS)
    assert interval.hours == 1


@pytest.mark.parametrize(("hours", "sent"), [({}, 6), ({"BTCUSDT": 1}, 3)])
def test_hedge_grid_funding_counts_each_payment_of_the_window(
    engine: BacktestEngine, hours: dict[str, int], sent: int
) -> None:
    """2 bps each: one in 8 h is free, eight are 16 bps and above the limit of 10."""
    strategy = warmed()
    strategy.on_funding_hours(hours)
    market = Market().funding(0.5, "0.0002").quote(1, "50000").bar(2, "50000").quote(3, "50000")
    assert len(run(engine, strategy, market)) == sent


@pytest.mark.parametrize(
    ("cost", "long", "short"),
    [(0, 1, 1), (5, 1, 1), ("7.5", "0.5", 1), (10, 0, 1), (-10, 1, 0), ("-7.5", 1, "0.5")],
)
def test_hedge_grid_funding_shrinks_and_stops_the_paying_side(
    cost: Any, long: Any, short: Any
) -> None:
    assert size_factors(D(cost), D(10)) == {"LONG": D(long), "SHORT": D(short)}


def test_hedge_grid_funding_above_the_limit_removes_the_paying_side(engine: BacktestEngine) -> None:
    market = begun().funding(50, "0.002").bar(62, "50000").quote(63, "50000")
    orders = run(engine, warmed(), market)
    assert len(orders) == 6
    gone = {order.side_string() for order in orders if order.status == OrderStatus.CANCELED}
    assert gone == {"BUY"}
    assert sum(order.status == OrderStatus.ACCEPTED for order in orders) == 3


# -- circuit breaker -------------------------------------------------------------------------------


def test_hedge_grid_circuit_breaker_opens_on_errors_and_closes_after_the_cooldown() -> None:
    breaker = CircuitBreaker(errors_per_minute=3, window_seconds=60, cooldown_seconds=100)
    opened = [breaker.count_error(second * SECOND_NS) for second in (0, 30, 70, 80)]
    assert opened == [False, False, False, True]
    assert breaker.is_open(179 * SECOND_NS)
    assert not breaker.is_open(180 * SECOND_NS)
    assert not breaker.count_error(181 * SECOND_NS), "what was before does not count twice"


def test_hedge_grid_circuit_breaker_drawdown_is_measured_from_the_peak() -> None:
    assert drawdown_pct(D(1000), D(900)) == 10
    assert drawdown_pct(D(2000), D(1500)) == 25
    assert drawdown_pct(D(0), D(-1)) == 0


def fail(strategy: HedgeGridV1) -> None:
    """Let an order of the grid fail."""
    strategy._events.count_error()


@pytest.mark.parametrize(("enabled", "second"), [(True, 181), (False, 61)])
def test_hedge_grid_circuit_breaker_stops_entries_until_the_cooldown_has_passed(
    engine: BacktestEngine, enabled: bool, second: int
) -> None:
    strategy = warmed(
        max_errors_per_minute=2, circuit_breaker_cooldown_seconds=100, grid_levels_short=0,
        enable_circuit_breaker=enabled,
    )  # fmt: skip
    engine.add_strategy(strategy)
    market = begun().quote(50, "51000")
    for at in (62, 122, 182):
        market.bar(at, "51000").quote(at + 1, "51000")
    engine.add_data(market.data, sort=True)
    for at in (40, 41):
        at_ns = market.data[0].ts_init + at * SECOND_NS
        strategy.clock.set_time_alert_ns(f"e{at}", at_ns, lambda _: fail(strategy))
    engine.run()
    laid = sorted(order.init_event.ts_init - market.data[0].ts_init for order in
                  engine.cache.orders())  # fmt: skip
    assert [round(at / SECOND_NS) for at in laid] == [1] * 3 + [second] * 3


def opened(engine: BacktestEngine, *, at_s: int) -> list[dict[str, bytes]]:
    """Run a grid whose circuit breaker opens, and return what it saves then."""
    strategy = warmed(max_errors_per_minute=1, circuit_breaker_cooldown_seconds=100)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(50, "50000"))
    saved: list[dict[str, bytes]] = []

    def fail_and_save(_: object) -> None:
        strategy.on_state_change = lambda: saved.append(strategy.on_save())
        fail(strategy)

    strategy.clock.set_time_alert_ns("error", START_NS + at_s * SECOND_NS, fail_and_save)
    engine.run()
    return saved


@pytest.mark.parametrize(
    ("changes", "second"),
    [
        ({}, 122),
        ({"circuit_breaker_cooldown_seconds": 60}, 62),  # the file has a shorter one now
        ({"enable_circuit_breaker": False}, 2),
    ],
)
def test_hedge_grid_circuit_breaker_that_is_open_survives_a_restart(
    engine: BacktestEngine, changes: dict[str, Any], second: int
) -> None:
    """It is open until the second 120; the second start is at the second 0 again."""
    saved = opened(engine, at_s=20)
    again = make_engine()
    strategy = warmed(**changes)
    strategy.on_load(saved[0])
    assert strategy.on_save() == saved[0], "a start that fails must not forget it"
    market = begun().bar(62, "50000").quote(63, "50000").bar(122, "50000").quote(123, "50000")
    try:
        orders = run(again, strategy, market)
    finally:
        again.dispose()
    sent_s = min(order.init_event.ts_init - START_NS for order in orders) / SECOND_NS
    assert round(sent_s) == second


def test_hedge_grid_circuit_breaker_whose_end_has_passed_is_closed_after_a_restart() -> None:
    breaker = CircuitBreaker(errors_per_minute=3, window_seconds=60, cooldown_seconds=100)
    breaker.restore(5 * SECOND_NS, 5 * SECOND_NS)
    assert not breaker.is_open(5 * SECOND_NS)


def test_hedge_grid_circuit_breaker_cancels_resting_entries_and_keeps_exits(
    engine: BacktestEngine,
) -> None:
    strategy = warmed(max_errors_per_minute=1, grid_levels_short=0)
    engine.add_strategy(strategy)
    feed(engine, begun().quote(10, "49945").quote(30, "49960").quote(50, "49960"))
    at_ns = START_NS + 20 * SECOND_NS
    strategy.clock.set_time_alert_ns("error", at_ns, lambda _: fail(strategy))
    engine.run()
    entries = of_kind(orders_of(engine), "E")
    assert [order.status for order in entries] == [OrderStatus.FILLED] + [OrderStatus.CANCELED] * 2
    assert {order.ts_last for order in entries[1:]} == {at_ns}
    exits = [order for order in orders_of(engine) if order.is_reduce_only]
    assert [order.status for order in exits] == [OrderStatus.ACCEPTED] * 2


def test_hedge_grid_circuit_breaker_repeats_cancels_that_were_refused(
    engine: BacktestEngine,
) -> None:
    strategy = warmed(max_errors_per_minute=1, grid_levels_short=0)
    engine.add_strategy(strategy)
    feed(engine, begun().bar(62, "50000").quote(63, "50000"))
    refuse_cancels(engine, until_s=40)
    at_ns = START_NS + 20 * SECOND_NS
    strategy.clock.set_time_alert_ns("error", at_ns, lambda _: fail(strategy))
    engine.run()
    assert {order.status for order in orders_of(engine)} == {OrderStatus.CANCELED}


def test_hedge_grid_circuit_breaker_ignores_denials_for_too_many_orders_at_once() -> None:
    """Nautilus lets 100 orders leave within a second and denies the rest."""
    engine = make_engine(balance=10**7, risk=RiskEngineConfig(max_order_submit_rate="10/00:00:01"))
    strategy = warmed(grid_levels_long=8, grid_levels_short=8, max_errors_per_minute=1)
    try:
        orders = run(engine, strategy, begun().bar(62, "50000").quote(63, "50000"))
        assert sum(order.status == OrderStatus.DENIED for order in orders) == 6
        assert sum(order.status == OrderStatus.ACCEPTED for order in orders) == 16
    finally:
        engine.dispose()


def falling_far(engine: BacktestEngine, **changes: Any) -> list[Any]:
    """Fill a LONG rung, lose 1 % of the equity, and let the price return."""
    strategy = warmed(
        base_qty=D("0.9"), sl_steps=60, max_drawdown_pct=D(1), max_inventory_quote=D(10**6),
        grid_levels_long=1, grid_levels_short=1, max_position_size=D(9), **changes,
    )  # fmt: skip
    market = begun().quote(10, "49940").quote(50, "48700").bar(62, "48700").quote(63, "48700")
    market.quote(100, "50020").bar(122, "50020").quote(130, "51000").bar(182, "51000")
    return run(engine, strategy, market)


def test_hedge_grid_circuit_breaker_drawdown_ends_entries_and_keeps_exits(
    engine: BacktestEngine,
) -> None:
    orders = falling_far(engine)
    entries = of_kind(orders, "E")
    assert [order.status for order in entries] == [OrderStatus.FILLED, OrderStatus.CANCELED]
    assert [order.status for order in of_kind(orders, "T")] == [OrderStatus.FILLED]
    assert engine.cache.positions_open() == []


def test_hedge_grid_circuit_breaker_without_drawdown_protection_continues(
    engine: BacktestEngine,
) -> None:
    entries = of_kind(falling_far(engine, enable_drawdown_protection=False), "E")
    assert entries[-1].status == OrderStatus.ACCEPTED
    assert len(entries) > 2


def test_hedge_grid_stale_bar_sends_nothing(engine: BacktestEngine) -> None:
    market = Market().quote(1, "50000").bar(2, "50000", late=301).quote(3, "50000")
    assert run(engine, warmed(), market) == []


def test_hedge_grid_circuit_breaker_ignores_denials_while_halted(
    engine: BacktestEngine,
) -> None:
    """The order was in flight when a gap opened."""
    strategy = warmed(max_errors_per_minute=1)
    strategy._on_risk_event(type("Event", (), {"state": TradingState.HALTED})())
    engine.add_strategy(strategy)
    feed(engine, begun().bar(62, "50000").quote(63, "50000"))
    active = type("Event", (), {"state": TradingState.ACTIVE})()

    def deny(_: Any) -> None:
        strategy.on_order_event(
            OrderDenied(
                strategy.trader_id, strategy.id, strategy.config.instrument_id,
                ClientOrderId("E-1"), "made up", UUID4(), 0,
            )
        )  # fmt: skip
        strategy._on_risk_event(active)

    strategy.clock.set_time_alert_ns("deny", START_NS + 40 * SECOND_NS, deny)
    engine.run()
    assert len(orders_of(engine)) == 6


def test_hedge_grid_circuit_breaker_counts_a_stop_that_is_denied_again_and_again_once() -> None:
    engine = make_engine()
    market = Market().quote(1, "50000").bar(2, "50000").quote(3, "50000")
    strategy = HedgeGridV1(config(grid_levels_short=0, grid_levels_long=1, max_errors_per_minute=3))
    warm(strategy)
    engine.add_strategy(strategy)
    feed(engine, market.quote(10, "49945").quote(30, "49960").quote(60, "49960"))
    denied: list[Any] = []

    def deny(command: Any) -> bool:
        order = getattr(command, "order", None)
        if order is None or order.order_type != OrderType.STOP_MARKET or len(denied) == 4:
            return False
        denied.append(order)
        ids = (order.trader_id, order.strategy_id, order.instrument_id, order.client_order_id)
        engine.kernel.exec_engine.process(OrderDenied(*ids, "made up", UUID4(), 0))
        return True

    answer_instead(engine, deny)
    engine.run()
    assert len(denied) == 4
    assert not strategy.breaker.is_open(strategy.clock.timestamp_ns())
    engine.dispose()
