"""Two traders on one account and symbol: one of them stops, and nothing of it stays doubled."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import shutil
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.commands import Result, job, job_process
from tests.support.config_files import LIVE_KEYS, write_live_config
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S
from tests.support.waiting import until
from warmup_job.binance.unknown_outcome import PLACED_WITHIN_S
from warmup_job.market.client_order_ids import parse_client_order_id

pytestmark = pytest.mark.e2e
Start = Callable[..., Exchange]


class Trader:
    """A live trader as a process, with a state folder of its own."""

    def __init__(self, config: Path, state: Path, process: Any, log: Path) -> None:
        self.config, self.state, self.process, self._log = config, state, process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def told(self) -> str:
        """Return its log, for the failure of a wait."""
        return self.log

    def is_live(self) -> bool:
        return "live: contiguous" in self.log

    def tag(self) -> str:
        """The tag of this run's orders."""
        identity = json.loads((self.state / "identity.json").read_text())
        return f"{identity['folder']}{identity['run'] % 36:x}"

    def believed(self) -> int:
        """How many open orders it believes that it has."""
        return int(json.loads((self.state / "live.json").read_text())["orders_open"])

    def end(self) -> int:
        return int(self.process.wait(HANG_S))


@contextlib.contextmanager
def trader(config: Path, state: Path, *options: str) -> Iterator[Trader]:
    log = state.with_suffix(".log")
    arguments = ("--config", config, "--mode", "live", "--state-dir", state, *options)
    with job_process("trade", *arguments, env=LIVE_KEYS, log=log) as process:
        yield Trader(config, state, process, log)


def refused(config: Path, state: Path, *options: str) -> str:
    """Start a trader that must be refused; return its last message."""
    done: Result = job(
        "trade", "--config", config, "--mode", "live", "--state-dir", state, *options,
        "--stop-after", "60s", env=LIVE_KEYS,
    )  # fmt: skip
    assert done.code == 22, done.err
    return done.messages[-1]


def prepared(folder: Path, running: Exchange, **strategy: str) -> Path:
    path = write_live_config(folder, running, strategy=strategy)
    if strategy:  # of another symbol, whose price is another one
        file = path.with_name("strategy.yaml")
        file.write_text(
            file.read_text()
            .replace("base_qty: 0.004", "base_qty: 0.08")
            .replace("max_position_size: 0.1", "max_position_size: 3")
        )
    assert job("run", "--config", path).code == 0
    return path


def entries(running: Exchange) -> list[dict[str, Any]]:
    """Return the open entries, as the exchange shows them."""
    return [each for each in running.account()["orders"] if each["client_id"].startswith("E-")]


def tags(running: Exchange) -> set[str]:
    parsed = [parse_client_order_id(each["client_id"]) for each in entries(running)]
    return {each.tag[-4:] for each in parsed if each is not None}


def rungs(running: Exchange) -> Counter[tuple[str, str]]:
    return Counter((each["position_side"], each["price"]) for each in entries(running))


def by_hand(running: Exchange, path: str, **params: object) -> Any:
    """Send a signed POST, as a person's program does."""
    query = urlencode({"timestamp": running.now_ms(), "recvWindow": 60_000, **params})
    signature = hmac.new(LIVE_KEYS["SECRET"].encode(), query.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{running.url}{path}?{query}&signature={signature}",
        headers={"X-MBX-APIKEY": LIVE_KEYS["KEY"]}, method="POST",
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def open_ids(running: Exchange) -> set[str]:
    return {each["client_id"] for each in running.account()["orders"]}


def test_of_two_traders_started_at_once_one_stops_and_no_entry_stays_doubled(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = prepared(tmp_path, running)
    with trader(config, tmp_path / "a") as one, trader(config, tmp_path / "b") as other:
        both = [one, other]
        until(lambda: [each for each in both if each.process.poll() is not None], "one stops")
        (gone,) = [each for each in both if each.process.poll() is not None]
        (left,) = [each for each in both if each is not gone]
        assert gone.end() == 22, gone.log
        assert "another trader" in gone.log
        until(left.is_live, left.told, process=left.process)
        until(lambda: tags(running) == {left.tag()}, lambda: entries(running), process=left.process)
        assert set(rungs(running).values()) == {1}
        left.process.terminate()
        assert left.end() == 143, left.log


def test_trader_beside_another_ones_orders_is_refused_until_it_takes_them_over(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = prepared(tmp_path, running)
    with trader(config, tmp_path / "a") as first:
        until(lambda: len(entries(running)) >= 8, first.told, process=first.process)
        tag = first.tag()
        why = refused(config, tmp_path / "b")
        assert "another trader" in why
        assert tag in why
        assert "stop it, or, if it no longer runs, start once with --take-over" in why
        assert first.process.poll() is None
        first.process.kill()
        first.end()
    assert tags(running) == {tag}
    assert "--take-over" in refused(config, tmp_path / "b")

    with trader(config, tmp_path / "b", "--take-over") as second:
        until(second.is_live, second.told, process=second.process)
        until(lambda: set(rungs(running).values()) == {1}, lambda: entries(running))
        second.process.kill()
        second.end()
    with trader(config, tmp_path / "b") as again:  # the option is for once
        until(again.is_live, again.told, process=again.process)
        again.process.terminate()
        assert again.end() == 143, again.log
    assert entries(running) == []


def test_exits_that_a_later_trader_leaves_are_not_counted_as_own_and_named(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=0.1)  # no rung is reached
    config = prepared(tmp_path, running)
    with trader(config, tmp_path / "a") as first:
        until(lambda: len(entries(running)) >= 8, first.told, process=first.process)
        with urllib.request.urlopen(f"{running.url}/fapi/v1/premiumIndex?symbol=BTCUSDT") as answer:
            price = round(float(json.load(answer)["markPrice"]) * 0.97, 1)
        by_hand(
            running, "/fapi/v1/order", symbol="BTCUSDT", side="BUY", positionSide="LONG",
            quantity="0.010", type="LIMIT", price=price, timeInForce="GTC",
            newClientOrderId="T1-20261127-120000-xxxyyy1-000-1",
        )  # fmt: skip

        def warned() -> str:
            out = job("trader", "status", "--state-dir", tmp_path / "a").out
            return out if "another trader" in out else ""

        until(lambda: "This one started first" in first.log, first.told, process=first.process)
        until(warned, "the status warns", process=first.process)
        shown = warned()
        assert "WARNING     1 open order(s) of another trader (xxxyyy1): the next start" in shown
        assert " 0 take_profit, 0 stop_loss, 1 other" in shown
        (error,) = [line for line in first.log.splitlines() if "This one started first" in line]
        assert "its exits stay open; while one of them is, the next start of this one" in error
        first.process.terminate()
        assert first.end() == 143, first.log
    assert "xxxyyy1" in refused(config, tmp_path / "a")
    with trader(config, tmp_path / "a", "--take-over") as again:
        until(again.is_live, again.told, process=again.process)
        again.process.terminate()
        assert again.end() == 143, again.log


def test_copy_of_a_running_traders_state_folder_is_noticed(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=0.1)  # no rung is reached
    config = prepared(tmp_path, running)
    with trader(config, tmp_path / "a") as first:
        until(lambda: len(entries(running)) >= 8, first.told, process=first.process)
        tag = first.tag()
        shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns(".*"))
        with trader(config, tmp_path / "b") as copy:
            until(copy.is_live, "it is live", process=copy.process)
            # Until then it takes what the first one sends for late orders of its own run before.
            late_ms = running.now_ms() + round(PLACED_WITHIN_S * 1000) + 1_000
            until(lambda: running.now_ms() > late_ms, "it is later", process=copy.process)
            for verb in ("pause", "resume"):  # so that the first one sends its entries again
                assert job("trader", verb, "--state-dir", tmp_path / "a").code == 0
            assert copy.end() == 22, copy.log
            assert "another trader" in copy.log
        until(lambda: tags(running) == {tag}, lambda: entries(running), process=first.process)
        assert set(rungs(running).values()) == {1}
        assert first.process.poll() is None


def test_peoples_orders_and_positions_are_named_at_the_start_and_left_alone(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange()
    config = prepared(tmp_path, running)
    with urllib.request.urlopen(f"{running.url}/fapi/v1/premiumIndex?symbol=BTCUSDT") as answer:
        price = round(float(json.load(answer)["markPrice"]) * 0.97, 1)
    order = {"symbol": "BTCUSDT", "side": "BUY", "positionSide": "LONG", "quantity": "0.010"}
    by_hand(
        running, "/fapi/v1/order", **order, type="LIMIT", price=price, timeInForce="GTC",
        newClientOrderId="web_4711",
    )  # fmt: skip
    by_hand(running, "/fapi/v1/order", **order, type="MARKET")
    with trader(config, tmp_path / "a", "--on-stop", "cancel_all") as started:
        until(lambda: len(entries(running)) >= 8, started.told, process=started.process)
        started.process.terminate()
        assert started.end() == 143, started.log
        log = started.log
    assert "1 open order(s) on the traded symbols are not from a trader (web_4711)" in log
    assert "BTCUSDT has a LONG position of 0.01; exits of this trader cover 0" in log
    assert open_ids(running) == {"web_4711"}


def test_a_trader_and_a_person_on_other_symbols_disturb_nobody(
    start_exchange: Start, tmp_path: Path
) -> None:
    """All three see each other's events, and the account has one listen key."""
    running = start_exchange()
    bitcoin = prepared(tmp_path / "btc", running)
    ether = prepared(tmp_path / "eth", running, symbol="ETHUSDT-PERP.BINANCE")
    with (
        trader(bitcoin, tmp_path / "a") as one,
        trader(ether, tmp_path / "b", "--on-stop", "cancel_all") as other,
    ):
        for each in (one, other):
            until(each.is_live, each.told, process=each.process)
        until(lambda: {o["symbol"] for o in entries(running)} == {"BTCUSDT", "ETHUSDT"}, "both")
        for number, symbol in enumerate(("SOLUSDT", "SOLUSDT")):
            by_hand(
                running, "/fapi/v1/order", symbol=symbol, side=("BUY", "SELL")[number],
                positionSide="LONG", quantity="1", type="MARKET", newClientOrderId=f"web_{number}",
            )  # fmt: skip
        other.process.terminate()
        assert other.end() == 143, other.log
        kept = {each["symbol"] for each in entries(running)}
        assert kept == {"BTCUSDT"}
        assert job("trader", "pause", "--state-dir", tmp_path / "a").code == 0
        until(lambda: one.believed() == len(open_ids(running)), one.told, process=one.process)
        assert entries(running) == []
        one.process.terminate()
        assert one.end() == 143, one.log
    for each in (one, other):
        assert "another trader" not in each.log
        assert "renewing the user data stream" not in each.log
        assert "ERROR" not in each.log.replace("stopped by a signal", ""), each.log


def test_a_persons_position_on_another_symbol_counts_in_the_equity(
    start_exchange: Start, tmp_path: Path
) -> None:
    running = start_exchange(volatility_bps=0.1)  # no rung is reached
    config = prepared(tmp_path, running)
    by_hand(
        running, "/fapi/v1/order", symbol="ETHUSDT", side="BUY", positionSide="LONG",
        quantity="20", type="MARKET", newClientOrderId="web_1",
    )  # fmt: skip
    began_ms = running.now_ms()
    with trader(config, tmp_path / "a") as started:
        until(started.is_live, started.told, process=started.process)
        shown = job("trader", "status", "--state-dir", tmp_path / "a", "--json")
        text = job("trader", "status", "--state-dir", tmp_path / "a").out
        wallet = Decimal(running.account()["wallet"])
        started.process.terminate()
        assert started.end() == 143, started.log
    (grid,) = shown.json["report"]["grids"]
    assert [Decimal(book["quantity"]) for book in grid["books"].values()] == [0, 0]
    assert Decimal(grid["equity"]) != wallet, "the position has cost the spread"
    assert Decimal(grid["unrealised"]) == 0, "it is not the grid's"
    assert grid["result_at_ms"] >= began_ms, "nothing was paid since, and yet it is newer"
    assert "equity, drawdown and result as of " in text


def test_multi_assets_mode_is_refused(start_exchange: Start, tmp_path: Path) -> None:
    running = start_exchange()
    config = prepared(tmp_path, running)
    by_hand(running, "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert "the account is in multi-assets mode" in refused(config, tmp_path / "a")
