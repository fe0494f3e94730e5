"""The trader's journal: what is in it, that it stays small, and that nothing waits for it."""

from __future__ import annotations

import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.model.enums import LiquiditySide
from nautilus_trader.model.identifiers import PositionId, TraderId
from nautilus_trader.model.objects import Price
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from warmup_job.chart.trader_trace import trace_of
from warmup_job.handoff.reporting.journal import Journal
from warmup_job.handoff.reporting.journal_entries import (
    OrderEnded,
    OrderFill,
    OrderOpened,
    StateEntered,
    journal_path,
    older_journal_path,
    read_journal,
)
from warmup_job.handoff.state_dir import StateDir

INSTRUMENT = TestInstrumentProvider.btcusdt_perp_binance()
LONG = PositionId(f"{INSTRUMENT.id}-LONG")


def traded(folder: Path) -> tuple[Journal, Any]:
    """Return a journal, and the cache of the node whose events it keeps."""
    msgbus = MessageBus(TraderId("TRADER-000"), TestClock())
    cache = TestComponentStubs.cache()
    journal = Journal(StateDir(folder, "paper"))
    journal.attach(msgbus, cache)
    return journal, SimpleNamespace(msgbus=msgbus, cache=cache)


def test_a_journal_has_states_orders_fills_and_ends(tmp_path: Path) -> None:
    journal, node = traded(tmp_path)
    journal.enter("live", "all streams are contiguous", 5)
    order = TestExecStubs.limit_order(INSTRUMENT, price=Price.from_str("60000.0"))
    node.cache.add_order(order, LONG)

    def publish(event: Any) -> None:
        order.apply(event)
        node.msgbus.publish(topic=f"events.order.{order.strategy_id}", msg=event)

    publish(TestEventStubs.order_submitted(order))
    publish(TestEventStubs.order_accepted(order))
    fill = TestEventStubs.order_filled(
        order, INSTRUMENT, position_id=LONG, last_px=Price.from_str("59999.5"),
        liquidity_side=LiquiditySide.MAKER,
    )  # fmt: skip
    publish(fill)
    journal.close()
    state, opened, filled, ended = read_journal(tmp_path, "paper")
    assert state == StateEntered(5, "live", "all streams are contiguous")
    assert isinstance(opened, OrderOpened)
    assert (opened.side, opened.book, opened.price) == ("BUY", "LONG", "60000.0")
    assert (opened.type, opened.closes, opened.quantity) == ("LIMIT", False, str(order.quantity))
    assert isinstance(filled, OrderFill)
    assert (filled.price, filled.maker, filled.order) == ("59999.5", True, opened.order)
    assert isinstance(ended, OrderEnded)
    assert (ended.order, ended.how) == (opened.order, "filled")


def test_a_line_that_a_crash_cut_off_is_passed_over_and_ended(tmp_path: Path) -> None:
    path = journal_path(tmp_path, "paper")
    path.write_bytes(b'{"event":"state","at_ms":1,"sta')
    journal, _ = traded(tmp_path)
    journal.enter("live", "", 2)
    journal.close()
    assert read_journal(tmp_path, "paper") == [StateEntered(2, "live", "")]


def test_a_line_that_no_trader_writes_is_passed_over(tmp_path: Path) -> None:
    """Before, `chart --state` ended as a bug."""
    good = OrderFill(30, "O-1", "T-1", "X", "SELL", "LONG", "12.5", "1", "0 USDT", True, True)
    line = msgspec.json.encode(good)
    damaged = [
        line.replace(b'"12.5"', b'"x"'), line.replace(b'"12.5"', b'"nan"'),
        line.replace(b'"at_ms":30', b'"at_ms":9999999999999999'),
    ]  # fmt: skip
    assert line not in damaged
    journal_path(tmp_path, "paper").write_bytes(b"\n".join([*damaged, line]) + b"\n")
    assert read_journal(tmp_path, "paper") == [good]
    assert trace_of(read_journal(tmp_path, "paper"), "paper").last_ms("X") == 30


def test_a_long_journal_is_renamed_and_still_read(tmp_path: Path) -> None:
    for at_ms in (1, 2, 3):
        journal = Journal(StateDir(tmp_path, "paper"), most_bytes=60)
        journal.attach(MessageBus(TraderId("TRADER-000"), TestClock()), TestComponentStubs.cache())
        journal.enter("live", "x" * 40, at_ms)
        journal.close()
    path = journal_path(tmp_path, "paper")
    assert older_journal_path(path).exists()
    assert not path.exists()
    path.touch()
    assert [each.at_ms for each in read_journal(tmp_path, "paper")] == [3]


def test_a_journal_that_cannot_be_written_is_one_warning_and_keeps_nothing_up(
    tmp_path: Path, logged: list[str]
) -> None:
    journal_path(tmp_path, "paper").mkdir()
    journal, _ = traded(tmp_path)
    journal.enter("live", "", 1)
    journal.enter("paused", "", 2)
    journal.close()
    assert [each for each in logged if "paper.journal.jsonl cannot be written" in each] == logged


def test_a_trader_without_a_state_folder_keeps_no_journal(tmp_path: Path) -> None:
    journal = Journal(None)
    journal.enter("live", "", 1)
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def logged() -> Any:
    from loguru import logger

    messages: list[str] = []
    handler = logger.add(lambda message: messages.append(str(message)), level="WARNING")
    yield messages
    logger.remove(handler)


def test_a_trace_joins_lines_to_orders_and_counts_each_trade_once() -> None:
    def order(at_ms: int, price: str) -> OrderOpened:
        return OrderOpened(at_ms, "O-1", "X", "SELL", "LONG", "LIMIT", price, "1", True)

    fill = OrderFill(30, "O-1", "T-1", "X", "SELL", "LONG", "12", "1", "0 USDT", True, True)
    trace = trace_of(
        [
            StateEntered(5, "live", ""), order(10, "11"), order(20, "12"), fill,
            OrderEnded(30, "O-1", "filled"), fill,
        ],
        "live",
    )  # fmt: skip
    assert [(each.from_ms, each.to_ms, each.price) for each in trace.orders["X"]] == [
        (10, 20, 11.0), (20, 30, 12.0),
    ]  # fmt: skip
    assert [each.at_ms for each in trace.fills["X"]] == [30]
    assert trace.last_ms("X") == 30
    assert trace.last_ms("Y") is None
    assert trace.text == "live, live since 1970-01-01T00:00:00Z"


def test_a_full_journal_loses_a_line_and_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another thread may take the last place between a look at the queue and the next line.
    monkeypatch.setattr(queue.Queue, "full", lambda _: False)
    journal = Journal(StateDir(tmp_path, "paper"))
    for at_ms in range(10_001):  # nothing is written yet: there is no node
        journal.enter("live", "", at_ms)
