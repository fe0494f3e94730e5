"""A live grid's figures are the exchange's wallet; a restart keeps how each lot was opened."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from tests.support.exchange import Exchange
from tests.support.live_trader import live_trader
from tests.support.operators import WILD, OperatedTrader, operated_live, snapshot_for_live
from tests.support.waiting import until
from warmup_job.hedge_grid.exit_rules import stop_price, target_price
from warmup_job.hedge_grid.ladder import Book, ExitSteps

pytestmark = pytest.mark.e2e
OLD, NEW = ExitSteps(D(10), 2, 8), ExitSteps(D(40), 3, 6)
TICK = D("0.1")


def change(exchange: Exchange, what: str, body: str) -> None:
    """Transfer money, or pay funding, at the exchange."""
    request = urllib.request.Request(f"{exchange.url}/_sim/{what}", body.encode(), method="POST")
    urllib.request.urlopen(request).close()


def fills(account: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [
        each
        for each in account["journal"]
        if each["event"] == "fill" and each["client_id"].startswith(f"{kind}-")
    ]


def await_fill(exchange: Exchange, trader: OperatedTrader) -> None:
    until(
        lambda: fills(exchange.account(), "E"),
        trader.log.read_text,
        process=trader.process,
    )  # fmt: skip


def test_grid_money_figures_are_the_wallet_with_funding_fees_and_a_deposit(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=WILD)
    start = D(running.account()["wallet"])
    with operated_live(snapshot_for_live(tmp_path, running), running) as trader:
        await_fill(running, trader)
        change(running, "funding", "BTCUSDT=0.005")
        change(running, "transfer", "9000")
        await_fill(running, trader)
        assert trader.ask("flatten").code == 0
        wallet = D(running.account()["wallet"])

        def is_told(report: dict[str, Any]) -> bool:
            grid = report["grids"][0]
            realised, fees, funding = (D(grid[key]) for key in ("realised", "fees", "funding"))
            return start + 9000 + realised - fees + funding == wallet and fees > 0

        report = trader.until(is_told)
    (grid,) = report["grids"]
    assert D(grid["funding"]) != 0
    assert D(grid["equity"]) == wallet
    assert 0 <= D(grid["drawdown_pct"]) < 5
    assert not grid["is_stopped"]


def test_grid_money_the_last_report_counts_the_last_fill(tmp_path: Path) -> None:
    """The trader is ended right after a fill, long before it reads the account's income again."""
    with live_trader(tmp_path) as trader:
        trader.start()
        trader.until_fills("E")
        last_ms = max(each["at_ms"] for each in trader.journal if each["event"] == "wallet")
        trader.terminate()
        reported = trader.reported()
        assert reported.at_ms >= last_ms
        report = json.loads((tmp_path / "state" / "live.json").read_text())
        realised, fees, funding = (
            D(report["grids"][0][key]) for key in ("realised", "fees", "funding")
        )
        assert realised - fees + funding == reported.result
        assert fees > 0


def test_grid_money_the_first_entry_waits_for_the_first_reading(
    start_exchange: Callable[..., Exchange], tmp_path: Path
) -> None:
    """Or fills before it would be missing in the result for ever."""
    running = start_exchange(volatility_bps=WILD)
    start = D(running.account()["wallet"])
    running.fault("503@v3/account")
    with operated_live(snapshot_for_live(tmp_path, running), running) as trader:
        waits = trader.until(lambda report: "funds" in report["why"])
        assert (waits["state"], running.account()["orders"]) == ("filling", [])
        running.clear_faults()
        await_fill(running, trader)
        assert trader.ask("flatten").code == 0
        wallet = D(running.account()["wallet"])

        def is_told(report: dict[str, Any]) -> bool:
            grid = report["grids"][0]
            return start + D(grid["realised"]) - D(grid["fees"]) == wallet != start

        trader.until(is_told)


def expected_exits(book: Book, entry: D, steps: ExitSteps) -> tuple[D, D]:
    return stop_price(book, entry, steps, TICK), target_price(book, entry, steps, TICK)


@pytest.mark.parametrize("has_exits", [False, True])
def test_grid_money_killed_after_a_fill_keeps_its_exits_although_the_file_changes(
    start_exchange: Callable[..., Exchange], tmp_path: Path, has_exits: bool
) -> None:
    """With the exits at the exchange, or killed before they were sent."""
    running = start_exchange(volatility_bps=WILD)
    config = snapshot_for_live(tmp_path, running)
    if not has_exits:
        running.fault("reject=-1008@POST/algoOrder")  # it is sent again, until it is allowed
    with operated_live(config, running) as trader:
        await_fill(running, trader)
        if has_exits:
            until(
                lambda: any(each["kind"] == "algo" for each in running.account()["orders"]),
                "a stop loss", process=trader.process,
            )  # fmt: skip
        first = trader.report()["started_ms"]
        trader.process.kill()
        trader.process.wait()
    running.clear_faults()
    killed = running.account()
    old = {
        each["client_id"].partition("-")[2]: (each["position_side"], D(each["price"]))
        for each in fills(killed, "E")
    }
    strategy = config.with_name("strategy.yaml")
    text = strategy.read_text()
    for name, before, after in zip(OLD._fields, OLD, NEW, strict=True):
        assert f"{name.replace('step_bps', 'grid_step_bps')}: {before}" in text
        text = text.replace(f"{name}: {before}", f"{name}: {after}")
    strategy.write_text(text)
    with operated_live(config, running) as trader:
        trader.until(
            lambda report: (
                report["started_ms"] != first
                and report["state"] == "live"
                and report["grids"]
                and not any(D(each["unprotected"]) for each in report["grids"][0]["books"].values())
            )
        )
        account = running.account()
        log = trader.log.read_text()
    for order in account["orders"]:
        kind, _, key = order["client_id"].partition("-")
        if key not in old or kind[0] == "E":
            continue
        assert "These lots keep theirs" in log
        book, entry = old[key]
        stop, target = expected_exits(book, entry, OLD)
        if kind[0] == "S":
            assert D(order["stop_price"]) == stop
        else:  # the market may have moved it a little further
            assert abs(D(order["price"]) / target - 1) < D("0.002")
