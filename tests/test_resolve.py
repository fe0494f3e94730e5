"""The resolved configuration: one plan, resolved once, independent of the time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.config_files import write_config
from warmup_job.cli.verify_command import verify
from warmup_job.config import load
from warmup_job.errors import ConfigError
from warmup_job.market.interval import Interval
from warmup_job.market.stream_id import StreamId
from warmup_job.plan.request_weights import RequestWeights, request_weights
from warmup_job.plan.resolve import resolve
from warmup_job.plan.stream_pages import pages_at
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.regime.detector import DetectorSettings

URL = "http://user:Hush@127.0.0.1:9"
MINUTE = Interval.parse("1m")
BTC_MINUTES = StreamId("BTCUSDT", MINUTE)
BTC_MINUTE_BARS = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
LATE_MS = 1_700_000_040_000
CROSS = "nautilus_trader.examples.strategies.ema_cross"


def resolved(folder: Path, **changes: Any) -> WarmupPlan:
    """The plan of HedgeGridV1's configuration with changed sections."""
    return resolve(load(write_config(folder, URL, **changes), environ={}))


def listed(symbol: str = "BTCUSDT", interval: str = "1m", **more: Any) -> dict[str, Any]:
    return {"symbol": symbol, "interval": interval} | more


def test_equal_configurations_have_equal_immutable_plans(tmp_path: Path) -> None:
    plan = resolved(tmp_path)
    assert plan == resolved(tmp_path)
    with pytest.raises(AttributeError):
        plan.root = tmp_path  # type: ignore[misc]


def test_without_listed_streams_the_job_fetches_what_the_strategy_needs(tmp_path: Path) -> None:
    plan = resolved(tmp_path)
    (stream,) = plan.streams
    assert stream.stream == BTC_MINUTES
    assert (stream.auto, stream.bars, stream.bar_counts[0]) == (True, 499, 70)
    assert stream.detector == DetectorSettings(20, 50, 14, 14, 10.0)
    assert plan.strategy_streams == plan.streams


def test_a_listed_stream_is_fetched_and_the_strategy_still_needs_its_own(tmp_path: Path) -> None:
    plan = resolved(tmp_path, warmup={"streams": [listed("ETHUSDT", "1h", bars=30)]})
    assert [str(each.stream) for each in plan.streams] == ["ETHUSDT 1h"]
    assert [str(each.stream) for each in plan.strategy_streams] == ["BTCUSDT 1m"]


def test_the_strategys_stream_takes_as_many_bars_as_the_list_says(tmp_path: Path) -> None:
    plan = resolved(tmp_path, warmup={"streams": [listed(bars=80)]})
    assert [each.bars for each in plan.strategy_streams] == [80]
    assert plan.snapshot_requirements.bars == {BTC_MINUTE_BARS: 80}


@pytest.mark.parametrize("numbers", [(80, 300), (300, 80), (300, "auto"), ("auto", 300)])
def test_of_a_stream_that_is_listed_twice_the_larger_request_counts(
    tmp_path: Path, numbers: tuple[object, ...]
) -> None:
    plan = resolved(tmp_path, warmup={"streams": [listed(bars=bars) for bars in numbers]})
    assert [(each.auto, each.bars) for each in plan.streams] == [
        (True, 499) if "auto" in numbers else (False, 300)
    ]


def test_mark_prices_are_a_separate_stream_without_a_proof(tmp_path: Path) -> None:
    streams = [listed(), listed(price="mark")]
    plan = resolved(tmp_path, warmup={"streams": streams, "require": "proven"})
    assert [each.stream for each in plan.streams] == [
        BTC_MINUTES,
        replace(BTC_MINUTES, price="mark"),
    ]
    assert [each.needs_proof for each in plan.streams] == [True, False]


@pytest.mark.parametrize("require", ["proven", "bars"])
def test_only_a_required_proof_makes_the_trader_require_a_certificate(
    tmp_path: Path, require: str
) -> None:
    plan = resolved(tmp_path, warmup={"require": require})
    assert plan.require_proof == (require == "proven")
    assert set(plan.snapshot_requirements.certified) == (
        {BTC_MINUTE_BARS} if plan.require_proof else set()
    )


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"warmup": {"deadline": "5s", "on_failure": "fail", "budget_share": 0.1}}, True),
        ({"snapshot": {"root": "/elsewhere", "keep": 9}, "trade": {"on_stop": "keep"}}, True),
        ({"warmup": {"max_bars": 2000}}, False),
        ({"warmup": {"streams": [listed(bars=80)]}}, False),
        ({"warmup": {"indicators": [{"kind": "ema", "period": 9}]}}, False),
    ],
)
def test_the_settings_digest_depends_only_on_settings_that_change_the_bars(
    tmp_path: Path, changes: dict[str, Any], same: bool
) -> None:
    plan, other = resolved(tmp_path / "a"), resolved(tmp_path / "b", **changes)
    assert (plan.settings_digest == other.settings_digest) is same
    assert plan.snapshot_requirements.settings_digest == plan.settings_digest


def test_policies_and_paths_are_those_of_the_files(tmp_path: Path) -> None:
    warmup = {"max_gap_bars": 7, "deadline": "90s", "on_failure": "fail"}
    trade = {"on_gap": "cancel_all", "silence": "2s", "first_bar": "on_bar", "replay": "on_bar"}
    plan = resolved(
        tmp_path, warmup=warmup, trade=trade, snapshot={"root": "/v", "keep": 2, "max_age": "5m"}
    )
    assert (plan.max_gap_bars, plan.deadline_ms, plan.on_failure) == (7, 90_000, "fail")
    assert (plan.root, plan.keep, plan.max_age_ms) == (Path("/v"), 2, 300_000)
    trader = plan.trader
    assert (trader.on_stop, trader.on_gap) == ("cancel_entries", "cancel_all")
    assert (trader.silence_ms, trader.first_bar, trader.replay) == (2_000, "on_bar", "on_bar")
    assert trader.state_dir == tmp_path / "state"


def test_the_venue_keeps_within_its_share_and_shows_no_secret(tmp_path: Path) -> None:
    keys = {"api_key": "Hush1", "api_secret": "Hush2", "base_url": URL}
    plan = resolved(
        tmp_path, venue={"api": keys, "trading": {"leverage": 3}}, warmup={"budget_share": 0.25}
    )
    venue = plan.venue
    assert (venue.market, venue.weight_per_minute, venue.weight_budget) == ("um", 2400, 600)
    assert (venue.rest_url, venue.endpoint) == (URL, "http://127.0.0.1:9")
    assert (venue.api_key, venue.api_secret, venue.leverage) == ("Hush1", "Hush2", 3)
    assert venue.websocket_url == "wss://fstream.binance.com"
    assert "Hush" not in repr(plan)


def test_the_grid_knows_the_order_sizes_that_the_venue_file_allows(tmp_path: Path) -> None:
    from warmup_job.hedge_grid.grid_config import HedgeGridV1Config, grid_settings
    from warmup_job.trader.imported_strategies import import_strategy

    sizes = {"min_order_size_usdt": 150, "max_order_size_usdt": 1_000}
    plan = resolved(tmp_path, venue={"risk": sizes})
    _, config = import_strategy(plan.strategies[0], 0)
    assert isinstance(config, HedgeGridV1Config)
    grid = grid_settings(config)
    assert not grid.takes_value(Decimal("149.99"))
    assert grid.takes_value(Decimal(150))
    assert grid.takes_value(Decimal(1_000))
    assert not grid.takes_value(Decimal("1000.01"))


def test_a_strategys_secrets_are_not_shown(tmp_path: Path) -> None:
    path = write_config(tmp_path, URL)
    (tmp_path / "strategy.yaml").write_text(
        f"strategy_path: {CROSS}:EMACross\nconfig_path: {CROSS}:EMACrossConfig\n"
        f"config: {{bar_type: {BTC_MINUTE_BARS}, token: '${{TOKEN}}'}}"
    )
    plan = resolve(load(path, environ={"TOKEN": "Hush"}))
    (strategy,) = plan.strategies
    assert strategy.fields["token"] == "Hush"
    assert (strategy.class_name, strategy.is_built_in) == ("EMACross", False)
    assert "Hush" not in repr(plan)


def test_a_strategy_stream_that_cannot_be_planned_stops_the_trader_but_not_the_job(
    tmp_path: Path,
) -> None:
    warmup = {"require": "proven", "streams": [listed("ETHUSDT", "1h", bars=30)]}
    path = write_config(tmp_path, URL, ws_url="ws://127.0.0.1:9", warmup=warmup)
    (tmp_path / "strategy.yaml").write_text(
        f"strategy_path: {CROSS}:EMACross\nconfig_path: {CROSS}:EMACrossConfig\n"
        f"config: {{bar_type: {BTC_MINUTE_BARS}}}"
    )
    plan = resolve(load(path, environ={}))
    assert [str(each.stream) for each in plan.streams] == ["ETHUSDT 1h"]
    assert len(plan.trade_problems) == 1
    assert "BTCUSDT 1m: it is unknown how many bars" in plan.trade_problems[0]
    # Nor can a snapshot be verified for the trader.
    with pytest.raises(ConfigError, match="it is unknown how many bars"):
        verify.main([str(tmp_path), "--config", str(path)], standalone_mode=False)

    from warmup_job.trader.run_trader import trade

    with pytest.raises(ConfigError, match="it is unknown how many bars"):
        asyncio.run(trade(plan, stop=asyncio.Event()))


def test_a_strategy_of_another_market_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"does not belong to the venue's market: its id there is BTCUSDT\.BINANCE",
    ):
        resolved(tmp_path, venue={"market": "spot"}, strategy={"symbol": "BTCUSDT-PERP.BINANCE"})


def test_pages_follow_the_clock_and_the_plan_does_not(tmp_path: Path) -> None:
    plan = resolved(tmp_path, warmup={"streams": [listed(bars=1500)]})
    (stream,) = plan.streams
    pages, later = (pages_at(stream, "um", LATE_MS + ms) for ms in (0, 120_000))
    assert pages.plan is later.plan is stream
    assert pages.last_open_ms == MINUTE.last_closed(LATE_MS)
    assert later.last_open_ms - pages.last_open_ms == 120_000
    assert pages.first_open_ms == pages.last_open_ms - 1499 * 60_000
    assert [page.limit for page in pages.pages] == [1500]
    assert pages.weight == 10
    assert pages.seconds(600) == 0.1
    assert pages.seconds(4) > 120


def test_request_weights_count_symbols_not_streams_and_bounds_only_for_a_proof(
    tmp_path: Path,
) -> None:
    symbols = [f"A{number}USDT" for number in range(100)]
    streams = [listed(name, interval, bars=99) for name in symbols for interval in ("1m", "1h")]
    plan = resolved(tmp_path, venue={"market": "spot"}, warmup={"streams": streams})
    requests = [pages_at(each, "spot", LATE_MS) for each in plan.streams]
    # https://developers.binance.com/docs/binance-spot-api-docs/rest-api: klines 2, exchangeInfo 20
    spent = request_weights("spot", requests)
    assert spent == RequestWeights(time=1, exchange_info=20, klines=200 * 2, bounds=200 * 2)
    assert spent.total == 821
    unproven = [replace(each, plan=replace(each.plan, needs_bounds=False)) for each in requests]
    assert request_weights("spot", unproven).bounds == 0
