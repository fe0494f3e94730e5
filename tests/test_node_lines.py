"""Nautilus' own log lines, as an operator sees them: recorded lines of 1.231.0."""

from __future__ import annotations

import pytest

from warmup_job.market.client_order_ids import flatten_order_id
from warmup_job.process.node_lines import parse_node_line

REJECTED = (
    "<--[EVT] OrderRejected(instrument_id=BTCUSDT-PERP.BINANCE, client_order_id=E-7, "
    "account_id=BINANCE-USDT_FUTURES-master, reason='{'code': -2019, 'msg': 'Margin is "
    "insufficient.'}', due_post_only=False, ts_event=1795819437406182073)"
)
DENIED = (
    "<--[EVT] OrderDenied(instrument_id=BTCUSDT-PERP.BINANCE, client_order_id=E-7, reason='{}')"
)
CANCEL_REJECTED = (
    "<--[EVT] OrderCancelRejected(instrument_id=BTCUSDT-PERP.BINANCE, client_order_id=T2-7, "
    "venue_order_id=1795819252004, account_id=BINANCE-USDT_FUTURES-master, reason='the cancel had "
    "no effect (HTTP 400, code -2011); it may be sent again', ts_event=1795819447037126458)"
)
MODIFY_REJECTED = CANCEL_REJECTED.replace("OrderCancelRejected", "OrderModifyRejected")


def node_line(level: str, component: str, message: str) -> tuple[str, str]:
    line = f"2026-11-27T22:43:57.406021983Z [{level}] WARMUP-gr9c6j3.{component}: {message}"
    parsed = parse_node_line(line)
    assert parsed is not None
    assert parsed.component == component
    return parsed.level, parsed.message


@pytest.mark.parametrize(
    ("message", "level", "words"),
    [
        (REJECTED, "WARNING", "order E-7 was rejected: -2019 Margin is insufficient."),
        (
            DENIED.format("max_order_size_usdt is 100"),
            "WARNING", "order E-7 was denied: max_order_size_usdt is 100",
        ),
        (
            DENIED.format("trading is halted: only orders that close a position may leave"),
            "INFO",
            "order E-7 was denied: trading is halted: only orders that close a position may leave",
        ),
        (
            REJECTED.replace("due_post_only=False", "due_post_only=True"),
            "INFO", "order E-7 was rejected: -2019 Margin is insufficient.",
        ),
        (
            MODIFY_REJECTED,
            "WARNING",
            ("the change of T2-7 was rejected: the cancel had no effect (HTTP 400, code -2011); it "
            "may be sent again"),
        ),
    ],
)  # fmt: skip
def test_a_refused_order_is_one_line_with_its_id_and_reason(
    message: str, level: str, words: str
) -> None:
    assert node_line("WARN", "HedgeGridV1", message) == (level, words)


@pytest.mark.parametrize(
    ("level", "component", "message"),
    [
        (
            "ERROR", "ExecClient-BINANCE",
            "Failed on submit_order ClientOrderId('E-7'): BinanceClientError({'code': -2019})",
        ),
        (
            "WARN", "ExecClient-BINANCE",
            "Failed on submit_order ClientOrderId('E-7'): BinanceClientError({'code': -5022})",
        ),
        (
            "WARN", "ExecClient-BINANCE",
            ("CancelOrder command for ClientOrderId('E-28') when order already DENIED (will not "
            "send to exchange)"),
        ),
        (
            "WARN", "ExecEngine",
            ("Received fill for closed position BTCUSDT-PERP.BINANCE-LONG in HEDGING mode; "
            "creating new position and ignoring previous state"),
        ),
        (
            "WARN", "ExecEngine",
            ("Missing hedge position for BTCUSDT-PERP.BINANCE PositionId('BTCUSDT-PERP.BINANCE-"
            "SHORT'): venue reports -0.002, generating reconciliation order"),
        ),
        (
            "WARN", "ExecEngine",
            ("Hedge position discrepancy for BTCUSDT-PERP.BINANCE PositionId('BTCUSDT-PERP.BINANCE-"
            "SHORT'): cached=-0.001, venue=-0.002, generating reconciliation order"),
        ),
        ("WARN", "HedgeGridV1", CANCEL_REJECTED),
        (
            "ERROR", "ExecClient-BINANCE",
            "Failed on cancel_order ClientOrderId('T2-7'), VenueOrderId('17'): refused",
        ),
        ("WARN", "TradingNode", "Reconciliation deactivated"),
        ("WARN", "Cache", "Residual Position(SHORT 0.002 BTCUSDT-PERP.BINANCE)"),
        ("INFO", "EMACross", "READY"),
        ("INFO", "EMACross", "self.config.oms_type='HEDGING'"),
        ("INFO", "EMACross", "[CMD]--> SubscribeBars(bar_type=X, client_id=None)"),
        ("INFO", "EMACross", "Unsubscribed from BTCUSDT-PERP.BINANCE quotes"),
        ("INFO", "EMACross", "Canceling executor tasks"),
    ],
)  # fmt: skip
def test_what_says_nothing_new_is_a_debug_line(level: str, component: str, message: str) -> None:
    assert node_line(level, component, message) == ("DEBUG", message)


@pytest.mark.parametrize(
    ("level", "component", "message"),
    [
        ("ERROR", "ExecClient-BINANCE", "Failed on query_order ClientOrderId('E-7'): gone"),
        ("ERROR", "EMACross", "Failed on submit_order: my own words"),
        ("ERROR", "Cache", "Residual what is an error"),
        ("WARN", "EMACross", "Residual risk is high"),
        ("WARN", "EMACross", "READY"),
        ("INFO", "EMACross", "READY to sell"),
        ("INFO", "EMACross", "[CMD]--> SubmitOrder(order=X)"),
        ("WARN", "EMACross", "<--[EVT] OrderRejected(of a form that nobody knows)"),
        ("WARN", "ExecEngine", "Hedge position discrepancy for X: cannot be reconciled"),
        ("ERROR", "ExecEngine", "Order overfill rejected: ClientOrderId('S1-7')"),
        ("WARN", "ExecClient-BINANCE", "MARGIN CALL received"),
    ],
)
def test_every_other_line_stays_as_it_is(level: str, component: str, message: str) -> None:
    expected = "WARNING" if level == "WARN" else level
    assert node_line(level, component, message) == (expected, message)


def test_a_refused_order_of_a_flatten_is_a_debug_line_because_the_flatten_logs_it() -> None:
    order_id = flatten_order_id("20261127-120000-abcxyz1-000-7")
    for event in (REJECTED, DENIED):
        message = event.replace("E-7", order_id)
        assert node_line("WARN", "HedgeGridV1", message) == ("DEBUG", message)


@pytest.mark.parametrize(("name", "own"), [("E-7", "F-7"), ("BTCUSDT-PERP", "F-20261127-120000-A")])
def test_a_refused_order_of_a_strategy_is_not_taken_for_one_of_a_flatten(
    name: str, own: str
) -> None:
    assert node_line("WARN", "EMACross", REJECTED.replace(name, own))[0] == "WARNING"


def test_a_connection_of_the_user_data_stream_that_is_back_is_not_called_an_expiry() -> None:
    message = "Resubscribed after listenKey expiry (REST)"
    component = "BinanceUserDataWebSocketClient"
    words = "the user data stream is connected again"
    assert node_line("WARN", component, message) == ("INFO", words)


def test_a_line_that_is_not_of_nautilus_is_none() -> None:
    assert parse_node_line("Traceback (most recent call last):") is None
