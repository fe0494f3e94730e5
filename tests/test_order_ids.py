"""Order ids: within Binance's limit, told apart by trader, kept by the state folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.model.identifiers import StrategyId, TraderId

from warmup_job.handoff.identity_file import adopt, begin_run
from warmup_job.handoff.outgoing_orders.order_ids import (
    TraderIdentity,
    tag_of_instruments,
)
from warmup_job.handoff.state_dir import StateDir
from warmup_job.hedge_grid.grid_order_ids import leg_and_key
from warmup_job.market.client_order_ids import base36, parse_client_order_id

BINANCE = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")


def nautilus_id(identity: TraderIdentity, count: int = 0) -> str:
    factory = OrderFactory(TraderId(identity.trader_id), StrategyId("HedgeGridV1-000"), LiveClock())
    factory.set_client_order_id_count(count)
    return str(factory.generate_client_order_id().value)


def started(folder: Path, prefix: str = "abc") -> TraderIdentity:
    return begin_run(StateDir(folder, "live"), "WARMUP", prefix)


def test_order_ids_longest_one_is_what_binance_accepts(tmp_path: Path) -> None:
    key = nautilus_id(started(tmp_path), count=998).removeprefix("O-")
    longest = f"Szzz-{key}"
    assert len(longest) == 36
    assert BINANCE.match(longest)


@pytest.mark.parametrize("kind", ["E", "T1", "S12", "Sa", "Tz0k", "F", "O"])
def test_order_ids_tell_kind_and_trader(tmp_path: Path, kind: str) -> None:
    identity = started(tmp_path)
    parts = parse_client_order_id(f"{kind}-{nautilus_id(identity).removeprefix('O-')}")
    assert parts is not None
    assert (parts.kind, parts.tag) == (kind, identity.tag)
    purposes = {"E": "entry", "T": "take_profit", "S": "stop_loss", "F": "close"}
    assert parts.purpose == purposes.get(kind[0])


@pytest.mark.parametrize(
    "other",
    ["web_8f3bd2c1", "ios_x", "autoclose-1795809584", "E-1", "adl_autoclose", "O-20261127-1-a-b-c"],
)
def test_order_ids_of_people_and_of_binance_are_nobodys(other: str) -> None:
    assert parse_client_order_id(other) is None
    assert not TraderIdentity().owns(other)


def test_order_ids_are_recognised_whatever_tag_binance_accepts_for_the_strategy() -> None:
    factory = OrderFactory(TraderId("WARMUP-001abc1"), StrategyId("HedgeGridV1-btc_1"), LiveClock())
    key = factory.generate_client_order_id().value.removeprefix("O-")
    assert TraderIdentity(folder="abc", run="1").owns(f"E-{key}")
    assert leg_and_key(f"S1-{key}") == ("S", key)


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (9, "9"), (10, "a"), (35, "z"), (36, "10")])
def test_order_ids_numbers_are_in_base_36(number: int, text: str) -> None:
    assert base36(number) == text


def test_order_ids_of_a_restarted_trader_are_its_own_and_differ(tmp_path: Path) -> None:
    first, second = started(tmp_path), started(tmp_path)
    assert first.tag != second.tag
    assert second.owns(nautilus_id(first))
    renamed = started(tmp_path, prefix="x")
    assert renamed.owns(nautilus_id(first))


def test_order_ids_of_two_state_folders_belong_to_two_traders(tmp_path: Path) -> None:
    one, other = started(tmp_path / "a"), started(tmp_path / "b")
    assert not one.owns(nautilus_id(other))
    assert not one.owns(nautilus_id(TraderIdentity()))


def test_order_ids_of_the_former_version_belong_to_the_folder_that_it_used(tmp_path: Path) -> None:
    former = nautilus_id(TraderIdentity(prefix="001"))
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "HedgeGridV1-000.json").write_text("{}")
    assert started(tmp_path).owns(former)
    assert started(tmp_path).owns(former), "also after the next start"


def test_order_ids_that_were_taken_over_stay_the_traders_own(tmp_path: Path) -> None:
    gone = started(tmp_path / "a")
    state_dir = StateDir(tmp_path / "b", "live")
    taken = adopt(state_dir, started(tmp_path / "b"), [gone.tag])
    assert taken.owns(nautilus_id(gone))
    assert started(tmp_path / "b").owns(nautilus_id(gone))


def test_order_ids_tag_depends_on_the_instruments_and_not_on_their_order() -> None:
    one = tag_of_instruments(["BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE"])
    assert one == tag_of_instruments(["ETHUSDT-PERP.BINANCE", "BTCUSDT-PERP.BINANCE"])
    assert one != tag_of_instruments(["BTCUSDT-PERP.BINANCE"])
    assert re.fullmatch("[a-z0-9]{3}", one)


def test_order_ids_paper_trader_without_a_folder_has_an_identity_too(tmp_path: Path) -> None:
    state_dir = StateDir(tmp_path / "gone", "paper", usable=False)
    assert len(begin_run(state_dir, "WARMUP", "abc").tag) == 7
    assert not (tmp_path / "gone").exists()
