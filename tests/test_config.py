"""The configuration as a user sees it: which files load, which are refused, and the messages."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.suite import SCALE
from warmup_job.config import (
    OPTIONS,
    ImportedStrategy,
    StrategyConfigLoader,
    StrategyFile,
    VenueConfig,
    VenueConfigLoader,
    WarmupConfig,
    duration_ms,
    load,
    unknown_variables,
)
from warmup_job.config.folders import default_folder
from warmup_job.errors import ConfigError
from warmup_job.market.nearest_word import nearest
from warmup_job.market.symbol import venue_symbol
from warmup_job.plan.resolve import resolve
from warmup_job.plan.stream_pages import pages_at

REPOSITORY = Path(__file__).parent.parent

VENUE = """
venue: {name: BINANCE, venue_type: futures, account_type: PERPETUAL_LINEAR}
"""

FULL_VENUE = """
venue:
  name: BINANCE
  venue_type: futures
  account_type: PERPETUAL_LINEAR
api:
  api_key: ${BINANCE_API_KEY}
  api_secret: ${BINANCE_API_SECRET}
  testnet: true
  base_url: https://testnet.binancefuture.com
  ws_url: null
trading:
  hedge_mode: true
  leverage: 10
  margin_type: ISOLATED
risk:
  max_leverage: 25
  min_order_size_usdt: 7.5
  max_order_size_usdt: 50000.0
precision:
  price_precision: 1
  quantity_precision: 3
  min_notional: 5.0
rate_limits:
  orders_per_second: 10
  orders_per_minute: 200
  weight_per_minute: 2400
websocket:
  ping_interval: 20
  reconnect_timeout: 45
  max_reconnect_attempts: 7
symbols:
  - BTCUSDT-PERP
  - ETHUSDT-PERP
"""

STRATEGY = """
strategy:
  name: hedge_grid_v1
  instrument_id: BTCUSDT-PERP.BINANCE
grid:
  grid_step_bps: 25.0
  grid_levels_long: 5
  grid_levels_short: 6
  base_qty: 0.001
  qty_scale: 1.1
exit:
  tp_steps: 2
  sl_steps: 5
rebalance:
  recenter_trigger_bps: 100.0
  max_inventory_quote: 10000.10
execution:
  maker_only: true
  use_post_only_retries: false
  retry_attempts: 2
  retry_delay_ms: 50
  optimization_mode: true
  retry_max_price_deviation_bps: 90
  balance_check_interval_seconds: 30
  tp_sl_adjustment_buffer_bps: 2.5
  max_bar_staleness_seconds: 120
  order_diff_price_tolerance_bps: 2
  order_diff_qty_tolerance_pct: 0.02
funding:
  funding_window_minutes: 480
  funding_max_cost_bps: 10.0
regime:
  adx_len: 14
  ema_fast: 12
  ema_slow: 26
  atr_len: 15
  hysteresis_bps: 50.0
position:
  max_position_size: 0.3
  max_leverage_used: 5.0
  emergency_liquidation_buffer: 0.05
  max_position_pct: 0.1
policy:
  strategy: throttled-counter
  counter_levels: 3
  counter_qty_scale: 0.5
risk_management:
  max_errors_per_minute: 5
  circuit_breaker_cooldown_seconds: 60
  circuit_breaker_window_seconds: 10
  max_drawdown_pct: 12.5
  enable_position_validation: false
  enable_circuit_breaker: false
  enable_drawdown_protection: false
operations:
  kill_switch: {enabled: true, max_loss_pct: 5}
  alerts:
    slack_webhook: ${SLACK_WEBHOOK_OF_THE_TRADER}
"""

NO_TIME = "is not a duration: write 60s, 5m, 1h30m, 250ms or a number of seconds"
NO_SLASH = "is not a symbol: Binance's symbols have no slash"
NO_TEXT = "is not text; put it in quotes if it is meant to be"

Load = Callable[..., WarmupConfig]


@pytest.fixture
def venue(tmp_path: Path) -> Callable[..., VenueConfig]:
    def load_venue(text: str, **environ: str) -> VenueConfig:
        (tmp_path / "v.yaml").write_text(text, encoding="utf-8")
        return VenueConfigLoader.load(tmp_path / "v.yaml", environ)

    return load_venue


@pytest.fixture
def strategy(tmp_path: Path) -> Callable[..., StrategyFile]:
    def load_strategy(text: str, **environ: str) -> StrategyFile:
        (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
        return StrategyConfigLoader.load(tmp_path / "s.yaml", environ)

    return load_strategy


@pytest.fixture
def joined(tmp_path: Path) -> Load:
    """Load a warmup.yaml with ``text`` after its venue and strategy lines."""
    (tmp_path / "v.yaml").write_text(VENUE)
    (tmp_path / "s.yaml").write_text(STRATEGY.partition("operations:")[0])

    def load_joined(
        text: str = "", overrides: dict[str, str] | None = None, **environ: str
    ) -> WarmupConfig:
        path = tmp_path / "warmup.yaml"
        path.write_text(f"venue: v.yaml\nstrategy: s.yaml\n{text}\n", encoding="utf-8")
        return load(path, environ=environ, overrides=overrides)

    return load_joined


def complaints(tmp_path: Path, call: Callable[[], object]) -> list[str]:
    """Return the lines of the ConfigError that ``call`` raises, without the test's folder."""
    with pytest.raises(ConfigError) as caught:
        call()
    return [line.strip() for line in str(caught.value).replace(f"{tmp_path}/", "").splitlines()]


# --- existing files -----------------------------------------------------------------------------


def test_config_full_venue_file_loads_unchanged(venue: Callable[..., VenueConfig]) -> None:
    config = venue(FULL_VENUE, BINANCE_API_KEY="k", BINANCE_API_SECRET="s")
    assert (config.api.api_key, config.api.api_secret) == ("k", "s")
    assert config.api.base_url == "https://testnet.binancefuture.com"
    assert config.api.ws_url is None
    assert (config.market, config.environment) == ("um", "testnet")
    assert config.trading.leverage == 10
    assert config.trading.margin_type == "ISOLATED"
    assert config.risk.min_order_size_usdt == Decimal("7.5")
    assert config.precision.price_precision == 1
    assert config.rate_limits.weight_per_minute == 2400
    assert config.websocket.reconnect_timeout == 45
    assert config.symbols == ("BTCUSDT-PERP", "ETHUSDT-PERP")
    assert config.warnings == ()


def test_config_venue_file_needs_only_its_venue(venue: Callable[..., VenueConfig]) -> None:
    config = venue(VENUE)
    assert (config.api.api_key, config.environment) == (None, "production")
    assert (config.trading.hedge_mode, config.trading.leverage) == (False, 1)
    assert config.risk.max_leverage == 20
    assert config.risk.max_order_size_usdt == 100_000
    assert config.precision.price_precision == 2
    assert config.precision.min_notional == 5
    limits = config.rate_limits
    assert (limits.orders_per_second, limits.orders_per_minute) == (5, 100)
    assert limits.weight_per_minute == 1200
    assert (config.websocket.ping_interval, config.websocket.reconnect_timeout) == (30, 60)
    assert config.symbols == ()


def test_config_full_strategy_file_loads_unchanged(strategy: Callable[..., StrategyFile]) -> None:
    config = strategy(STRATEGY)  # also without the variables of its operations section
    assert config.strategy.instrument_id == "BTCUSDT-PERP.BINANCE"
    assert (config.grid.grid_levels_long, config.grid.grid_levels_short) == (5, 6)
    assert (config.regime.adx_len, config.regime.ema_fast, config.regime.atr_len) == (14, 12, 15)
    assert config.regime.hysteresis_bps == 50.0
    assert isinstance(config.regime.hysteresis_bps, float)
    assert config.execution.retry_delay_ms == 50
    assert config.risk_management.max_drawdown_pct == 12.5
    assert config.risk_management.enable_circuit_breaker is False
    assert config.warnings == ()


def test_config_optional_parts_of_a_strategy_file_have_defaults(
    strategy: Callable[..., StrategyFile],
) -> None:
    short = STRATEGY[: STRATEGY.index("risk_management:")]
    start, end = short.index("execution:"), short.index("funding:")
    config = strategy((short[:start] + short[end:]).replace("  max_position_pct: 0.1\n", ""))
    assert config.execution.retry_attempts == 3
    assert config.execution.max_bar_staleness_seconds == 300
    assert config.execution.tp_sl_adjustment_buffer_bps == 5
    assert config.position.max_position_pct == Decimal("0.95")
    assert config.risk_management.circuit_breaker_cooldown_seconds == 300


def test_config_numbers_that_go_into_orders_are_exact_decimals(
    strategy: Callable[..., StrategyFile],
) -> None:
    text = STRATEGY.replace("base_qty: 0.001", "base_qty: 0.1234567890123456789012345")
    config = strategy(text)
    assert str(config.grid.base_qty) == "0.1234567890123456789012345"
    assert str(config.rebalance.max_inventory_quote) == "10000.10"
    assert config.grid.qty_scale == Decimal("1.1")
    assert config.position.max_position_size * 3 == Decimal("0.9")
    assert str(strategy(STRATEGY.replace("0.001", "1e-3")).grid.base_qty) == "0.001"
    assert str(strategy(STRATEGY.replace("0.001", '"0.001"')).grid.base_qty) == "0.001"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs/venues").glob("*.yaml")), ids=str)
def test_config_committed_venues_load_without_warnings(path: Path) -> None:
    config = VenueConfigLoader.load(path, {})
    assert config.warnings == ()
    public = "local-key" if path.name == "simulated.yaml" else None
    assert config.api.api_key == public
    assert config.market == ("spot" if "spot" in path.name else "um")


@pytest.mark.parametrize(
    ("name", "environment", "root"),
    [("warmup", "production", "/snapshot"), ("demo", "testnet", ".demo/snapshot")],
)
def test_config_committed_configurations_load(name: str, environment: str, root: str) -> None:
    config = load(REPOSITORY / f"configs/{name}.yaml", environ={})
    assert config.warnings == ()
    assert config.venue.environment == environment
    folder = REPOSITORY / root if root[0] == "." else Path(root)
    assert config.snapshot.root == folder
    (strategy,) = config.strategies
    assert isinstance(strategy, StrategyFile)
    assert strategy.regime.ema_slow == 50


def test_config_demo_uses_the_exchange_of_its_variables() -> None:
    environ = {"WARMUP_EXCHANGE_URL": "http://exchange:9000"}
    api = load(REPOSITORY / "configs/demo.yaml", environ=environ).venue.api
    assert (api.base_url, api.ws_url) == ("http://exchange:9000", "ws://127.0.0.1:8080")


def test_config_warmup_yaml_shows_the_defaults(joined: Load) -> None:
    shown, plain = load(REPOSITORY / "configs/warmup.yaml", environ={}), joined()
    assert (shown.warmup, shown.snapshot, shown.trade) == (
        plain.warmup,
        plain.snapshot,
        plain.trade,
    )


def test_config_every_key_and_variable_is_documented() -> None:
    from warmup_job.config.fields import Section, keys_of, section_type
    from warmup_job.config.warmup_file import WarmupFile

    words = (REPOSITORY / "docs/reference/configuration.md").read_text(encoding="utf-8")

    def check(kind: type[Section]) -> None:
        for key, field in keys_of(kind).items():
            assert f"`{key}`" in words, key
            inner = section_type(field.type)
            if inner:
                check(inner)

    for kind in (VenueConfig, StrategyFile, ImportedStrategy, WarmupFile):
        check(kind)
    for option in OPTIONS:
        assert f"`WARMUP_{option.upper()}`" in words


# --- our own keys -------------------------------------------------------------------------------


def test_config_with_only_venue_and_strategy_is_complete(joined: Load, tmp_path: Path) -> None:
    config = joined()
    warmup = config.warmup
    assert (warmup.streams, warmup.require, warmup.on_failure) == ((), "proven", "proceed")
    assert (warmup.max_bars, warmup.max_gap_bars, warmup.budget_share) == (3000, 0, 0.5)
    assert (warmup.deadline_ms, config.snapshot.max_age_ms) == (60_000, 600_000)
    assert (config.snapshot.root, config.snapshot.keep) == (Path("/snapshot"), 3)
    assert config.trade.state_dir == Path("/state")
    assert config.trade.starting_balances == ("10000 USDT",)
    assert (config.path, config.warnings) == (tmp_path / "warmup.yaml", ())


def test_config_without_a_strategy_names_bars(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(VENUE)
    path = tmp_path / "warmup.yaml"
    path.write_text("venue: v.yaml\nwarmup: {streams: [{symbol: BTCUSDT, interval: 1h, bars: 9}]}")
    assert load(path, environ={}).strategies == ()
    path.write_text("venue: v.yaml\nwarmup: {max_bars: 900}")
    (line,) = complaints(tmp_path, lambda: load(path, environ={}))
    assert "neither a strategy file (`strategy`) nor bars to download (`warmup.streams`)" in line


def test_config_copied_to_another_folder_names_the_file_that_was_meant(
    joined: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined()
    copy = tmp_path / "elsewhere/mine.yaml"
    copy.parent.mkdir()
    copy.write_text("venue: v.yaml\nstrategy: s.yaml\n")
    monkeypatch.chdir(tmp_path)
    _, *lines = complaints(tmp_path, lambda: load(copy, environ={}))
    said = "(paths in mine.yaml are relative to its own folder; did you mean"
    assert [line.partition("directory ")[2] for line in lines] == [
        f"{said} venue: ../v.yaml?)", f"{said} strategy: ../s.yaml?)",
    ]  # fmt: skip
    copy.write_text("venue: ../v.yaml\nstrategy: ../s.yaml\n")
    assert load(copy, environ={}).strategies


def test_config_folders_in_a_file_are_beside_it_and_in_an_option_in_the_current_directory(
    joined: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    text = "snapshot: {root: ./bars}\ntrade: {state_dir: ../state}"
    config = joined(text)
    assert config.snapshot.root == tmp_path / "bars"
    assert config.trade.state_dir == tmp_path.parent / "state"
    config = joined(text, overrides={"root": "there"}, WARMUP_STATE_DIR="state")
    assert (config.snapshot.root, config.trade.state_dir) == (Path("there"), Path("state"))


def test_config_folder_of_the_current_directory_that_is_not_used_any_more_is_named(
    joined: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "state").mkdir(parents=True)
    monkeypatch.chdir(other)
    (warning,) = joined("trade: {state_dir: state}").warnings
    assert f"so it is {tmp_path}/state; the folder {other}/state" in warning
    (tmp_path / "state").mkdir()
    assert joined("trade: {state_dir: state}").warnings == ()


def test_config_default_folders_are_the_mounted_ones_or_the_users(
    joined: Load, tmp_path: Path
) -> None:
    def folders(**environ: str) -> tuple[Path, ...]:
        keys = ("snapshot.root", "trade.state_dir")
        return tuple(default_folder(key, environ, tmp_path) for key in keys)

    home = Path("/home/me/.local/state/warmup-job")
    assert folders(HOME="/home/me") == (home / "snapshot", home / "state")
    xdg = Path("/x/warmup-job")
    assert folders(HOME="/home/me", XDG_STATE_HOME="/x") == (xdg / "snapshot", xdg / "state")
    # The specification: a relative path is to be ignored.
    assert folders(HOME="/home/me", XDG_STATE_HOME="x")[0] == home / "snapshot"
    assert folders() == (tmp_path / "snapshot", tmp_path / "state")
    (tmp_path / "snapshot").mkdir()
    assert folders(HOME="/home/me") == (tmp_path / "snapshot", home / "state")
    if not Path("/snapshot").exists():
        assert joined(XDG_STATE_HOME="/x").snapshot.root == xdg / "snapshot"


def test_config_import_from_is_a_folder_beside_the_strategy_file(
    joined: Load, tmp_path: Path
) -> None:
    text = "strategy_path: mine:Mine\nconfig_path: mine:MineConfig\nimport_from: code\n"
    (tmp_path / "mine.yaml").write_text(text)
    options = {"strategy": f"{tmp_path}/mine.yaml"}
    (line,) = complaints(tmp_path, lambda: joined(overrides=options))
    assert line.startswith("mine.yaml: import_from: code is not a folder: write the one")
    (tmp_path / "code").mkdir()
    (strategy,) = joined(overrides=options).strategies
    assert isinstance(strategy, ImportedStrategy)
    assert strategy.import_from == tmp_path / "code"


def test_config_streams_are_read(joined: Load) -> None:
    config = joined(
        "warmup: {streams: [{symbol: BTCUSDT-PERP.BINANCE, interval: 1m, bars: 500},"
        " {symbol: 币安人生USDT, interval: 1M}]}"
    )
    first, second = config.warmup.streams
    assert (first.symbol, first.interval, first.bars) == ("BTCUSDT", "1m", 500)
    assert (second.symbol, second.interval, second.bars) == ("币安人生USDT", "1M", "auto")


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("60s", 60_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("250ms", 250),
        ("1m250ms", 60_250),
        ("1d", 86_400_000),
        ("1.5s", 1500),
        (90, 90_000),
        ("90", 90_000),
        (Decimal("0.25"), 250),
    ],
)
def test_config_durations_are_read(written: object, ms: int) -> None:
    assert duration_ms(written) == ms


@pytest.mark.parametrize(
    "written", ["", "0s", 0, -1, "-5m", "m5", "1:30", "30m1h", "0.1ms", "5 m", True, None, "4000d"]
)
def test_config_bad_durations_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|ten years"):
        duration_ms(written)


def test_config_market_comes_from_the_venue_file(venue: Callable[..., VenueConfig]) -> None:
    def market(kind: str, account: str) -> str:
        return venue(f"venue: {{name: B, venue_type: {kind}, account_type: {account}}}").market

    assert market("futures", "PERPETUAL_LINEAR") == "um"
    assert market("spot", "CASH") == "spot"
    assert market("spot", "MARGIN") == "spot"
    for kind, account in (("options", "CASH"), ("futures", "PERPETUAL_INVERSE"), ("spot", "CASH2")):
        with pytest.raises(ConfigError, match=r"not supported|is not one of"):
            market(kind, account)


def test_config_unsupported_market_is_reported_for_the_venue_file(
    joined: Load, tmp_path: Path
) -> None:
    (tmp_path / "v.yaml").write_text(VENUE.replace("LINEAR", "INVERSE"))
    (line,) = complaints(tmp_path, joined)
    assert line == (
        "v.yaml: venue: futures with PERPETUAL_INVERSE is not supported: venue_type futures goes "
        "with account_type PERPETUAL_LINEAR, spot with CASH or MARGIN"
    )


def test_config_environment_comes_from_the_venue_file(
    venue: Callable[..., VenueConfig], tmp_path: Path
) -> None:
    assert venue(VENUE + "api: {environment: demo}").environment == "demo"
    assert venue(VENUE + "api: {environment: demo, testnet: true}").environment == "demo"
    assert venue(VENUE + "api: {environment: testnet}").environment == "testnet"
    assert venue(VENUE + "api: {testnet: true}").environment == "testnet"
    assert venue(VENUE + "api: {testnet: false}").environment == "production"
    both = VENUE + "api: {testnet: true, environment: production}"
    assert complaints(tmp_path, lambda: venue(both)) == [
        "v.yaml: api.environment: production contradicts testnet: true"
    ]


@pytest.mark.parametrize(
    "name", ["BTCUSDT", "BTCUSDT-PERP", "BTCUSDT.BINANCE", "BTCUSDT-PERP.BINANCE"]
)
def test_config_symbol_is_accepted_under_each_of_its_names(name: str) -> None:
    assert venue_symbol(name) == "BTCUSDT"


def test_config_symbols_keep_the_characters_that_binance_uses() -> None:
    assert venue_symbol("BTCUSDT_260626.BINANCE") == "BTCUSDT_260626"
    assert venue_symbol("币安人生USDT-PERP.BINANCE") == "币安人生USDT"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "-PERP", ".BINANCE", "BTCUSDT.", "../x", "BTC/USDT", "a\\b", "BTC USDT",
     "BTC\n", "\0", "a.b.c", "BTCUSDT\u2028"],
)  # fmt: skip
def test_config_bad_symbols_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a symbol"):
        venue_symbol(name)


@pytest.mark.parametrize("name", ["btcusdt", "BTCUSDt-PERP", "btcusdt-PERP.BINANCE", "币安rUSDT"])
def test_config_lower_case_symbol_error_names_the_upper_case_one(name: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {name.upper()}\\?"):
        venue_symbol(name)


# --- the environment ----------------------------------------------------------------------------


def test_config_variables_in_values_are_substituted(venue: Callable[..., VenueConfig]) -> None:
    text = """
venue: {name: "${NAME:-BINANCE}_$${NAME}_$5", venue_type: "${KIND}", account_type: CASH}
api: {testnet: "${TESTNET:-true}", base_url: "${URL:-}", api_key: "${KEY}"}
trading: {leverage: "${LEVERAGE}", hedge_mode: "${HEDGE:-off}"}
risk: {min_order_size_usdt: "${SIZE:-0.10}"}
"""
    config = venue(text, KIND="spot", LEVERAGE="7", KEY="0123", NAME="")
    assert config.venue.name == "BINANCE_${NAME}_$5"
    assert config.venue.venue_type == "spot"
    assert config.api.testnet is True
    assert config.trading.hedge_mode is False
    assert config.api.base_url is None
    assert config.api.api_key == "0123"  # a key of digits stays text
    assert config.trading.leverage == 7
    assert str(config.risk.min_order_size_usdt) == "0.10"
    assert venue(text, KIND="spot", LEVERAGE="7", TESTNET="false").api.testnet is False


def test_config_unset_variables_are_reported(
    venue: Callable[..., VenueConfig], tmp_path: Path
) -> None:
    text = VENUE + "api: {api_key: '${K}', api_secret: '${S}', base_url: '${URL}'}"
    text += "\ntrading: {leverage: '${', margin_type: '${A:-${B}}'}"
    broken = "${ without a name and a }: write ${VAR}, ${VAR:-default} or $${"
    assert complaints(tmp_path, lambda: venue(text)) == [
        "3 problems in v.yaml:",
        "v.yaml: api.base_url: the environment variable URL is not set",
        f"v.yaml: trading.leverage: {broken}",
        f"v.yaml: trading.margin_type: {broken}",
    ]
    api = venue(text[: text.index(", base_url")] + "}").api
    assert (api.api_key, api.api_secret) == (None, None)


def test_config_keys_are_not_substituted(venue: Callable[..., VenueConfig]) -> None:
    assert [w.split(": ", 1)[1] for w in venue(VENUE + "'${X}': 1").warnings] == [
        "${X}: unknown key, ignored"
    ]


def test_config_process_environment_is_read_at_the_call(
    monkeypatch: pytest.MonkeyPatch, joined: Load, tmp_path: Path
) -> None:
    joined()
    monkeypatch.setenv("WARMUP_KEEP", "9")
    assert load(tmp_path / "warmup.yaml").snapshot.keep == 9
    monkeypatch.setenv("NAME_OF_IT", "X")
    (tmp_path / "v.yaml").write_text(VENUE.replace("BINANCE", "'${NAME_OF_IT}'"))
    assert VenueConfigLoader.load(tmp_path / "v.yaml").venue.name == "X"


def test_config_every_option_overrides_its_key(joined: Load, tmp_path: Path) -> None:
    (tmp_path / "v2.yaml").write_text(VENUE.replace("BINANCE", "OTHER"))
    (tmp_path / "s2.yaml").write_text(STRATEGY.replace("hedge_grid_v1", "other"))
    options = {
        "venue": f"{tmp_path}/v2.yaml",
        "strategy": f"{tmp_path}/s2.yaml",
        "streams": "BTCUSDT:1m:500, ETHUSDT-PERP.BINANCE:1h:auto,X:1d",
        "require": "bars",
        "indicators": "ema:200,mine:10:80",
        "max_bars": "77",
        "max_gap_bars": "2",
        "budget_share": "0.25",
        "deadline": "2m",
        "on_failure": "fail",
        "root": "there",
        "keep": "5",
        "max_age": "90",
        "state_dir": "/elsewhere",
        "http_port": "8090",
        "http_host": "::1",
        "on_stop": "keep",
        "on_gap": "cancel_all",
        "silence": "30s",
        "first_bar": "on_bar",
        "replay_history": "on_bar",
        "trader_id": "GRID-2",
        "order_id_tag": "a1",
        "wait_for_snapshot": "90s",
    }
    assert set(options) == set(OPTIONS)
    variables = {f"WARMUP_{name.upper()}": value for name, value in options.items()}
    for config in (joined(overrides=options), joined(**variables)):
        assert config.venue.venue.name == "OTHER"
        assert [each.strategy.name for each in config.strategies] == ["other"]  # type: ignore[union-attr]
        streams = [(s.symbol, s.interval, s.bars) for s in config.warmup.streams]
        assert streams == [("BTCUSDT", "1m", 500), ("ETHUSDT", "1h", "auto"), ("X", "1d", "auto")]
        assert (config.warmup.max_bars, config.warmup.max_gap_bars) == (77, 2)
        assert (config.warmup.budget_share, config.warmup.deadline_ms) == (0.25, 120_000)
        assert (config.warmup.on_failure, config.warmup.require) == ("fail", "bars")
        assert (config.snapshot.root, config.snapshot.keep) == (Path("there"), 5)
        assert config.snapshot.max_age_ms == 90_000
        assert config.trade.state_dir == Path("/elsewhere")
        assert (config.trade.http_port, config.trade.http_host) == (8090, "::1")
        assert (config.trade.on_stop, config.trade.on_gap) == ("keep", "cancel_all")
        assert config.trade.silence_ms == 30_000
        assert (config.trade.first_bar, config.trade.replay) == ("on_bar", "on_bar")
        assert (config.trade.trader_id, config.trade.order_id_tag) == ("GRID-2", "a1")
        assert config.trade.wait_for_snapshot_ms == 90_000


@pytest.mark.parametrize("written", [0, "0", "0s"])
def test_config_trader_need_not_wait_for_a_snapshot(joined: Load, written: object) -> None:
    assert joined("").trade.wait_for_snapshot_ms == 0
    assert joined(f"trade: {{wait_for_snapshot: {written}}}").trade.wait_for_snapshot_ms == 0
    with pytest.raises(ConfigError, match="wait_for_snapshot: 'soon' is not a duration"):
        joined("trade: {wait_for_snapshot: soon}")


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("order_id_tag", "abcd", "is not one to three letters or digits"),
        ("order_id_tag", "a-b", "is not one to three letters or digits"),
        ("order_id_tag", "ü", "is not one to three letters or digits"),
        ("trader_id", "-A", "is not 1 to 32 letters, digits, - and _"),
        ("trader_id", "A" * 33, "is not 1 to 32 letters, digits, - and _"),
        ("trader_id", "A B", "is not 1 to 32 letters, digits, - and _"),
    ],
)
def test_config_names_that_no_order_id_can_have_are_refused(
    joined: Load, key: str, value: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        joined(overrides={key: value})


def test_config_precedence_is_option_variable_file_default(joined: Load) -> None:
    text = "snapshot: {keep: 4}\nwarmup: {max_bars: 400}"
    assert joined("").snapshot.keep == 3
    assert joined(text).snapshot.keep == 4
    assert joined(text, WARMUP_KEEP="5").snapshot.keep == 5
    assert joined(text, WARMUP_KEEP="5", overrides={"keep": "6"}).snapshot.keep == 6
    assert joined(text, WARMUP_KEEP="5").warmup.max_bars == 400
    assert joined(text, WARMUP_KEEP="").snapshot.keep == 4  # set to nothing: not set


def test_config_paths_are_relative_to_the_file_and_in_options_to_the_working_directory(
    joined: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined()
    here = tmp_path / "here"
    here.mkdir()
    (here / "v.yaml").write_text(VENUE.replace("BINANCE", "HERE"))
    monkeypatch.chdir(here)
    assert joined().venue.venue.name == "BINANCE"
    assert joined(WARMUP_VENUE="v.yaml").venue.venue.name == "HERE"


def test_config_bad_option_is_named_in_the_error(joined: Load, tmp_path: Path) -> None:
    def call() -> object:
        return joined(
            WARMUP_MAX_BARS="x",
            WARMUP_KEEP="0",
            WARMUP_VENUE="nowhere.yaml",
            WARMUP_DEADLINE="soon",
            WARMUP_STREAMS="A:1m:0,B/C:1h",
            overrides={"max_age": "-1", "rooot": "x", "on_failure": "shrug"},
        )

    assert complaints(tmp_path, call) == [
        "9 problems in warmup.yaml:",
        "--rooot: unknown option",
        "WARMUP_STREAMS[0].bars: 0 is below 1",
        f"WARMUP_STREAMS[1].symbol: 'B/C' {NO_SLASH}; did you mean BC?",
        "WARMUP_MAX_BARS: 'x' is not a whole number",
        f"WARMUP_DEADLINE: 'soon' {NO_TIME}",
        "--on-failure: 'shrug' is not one of proceed, fail",
        "WARMUP_KEEP: 0 is below 1",
        f"--max-age: '-1' {NO_TIME}",
        "WARMUP_VENUE: nowhere.yaml: cannot be read: No such file or directory",
    ]


# --- problems and their messages ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "written", "complaint"),
    [
        ("max_position_pct", "65.0", "65.0 is above 1: use a fraction, 0.65 means 65 %"),
        ("max_position_pct", "65", "65 is above 1: use a fraction, 0.65 means 65 %"),
        ("max_position_pct", "65%", "'65%' is not a number: use a fraction, 0.65 means 65 %"),
        ("max_position_pct", "-1", "-1 is below 0.1"),
        ("max_position_pct", "6500", "6500 is above 1"),  # 65 is no fraction either
        (
            "emergency_liquidation_buffer", "12.5",
            "12.5 is above 1: use a fraction, 0.125 means 12.5 %",
        ),
        ("counter_qty_scale", "50", "50 is above 1: use a fraction, 0.5 means 50 %"),
        ("order_diff_qty_tolerance_pct", "1", "1.0 is above 0.5: use a fraction, 0.01 means 1 %"),
        ("max_drawdown_pct", "0.2", "0.2 is below 1: it is a percentage, 20 means 20 %"),
        ("max_drawdown_pct", "20%", "'20%' is not a number: it is a percentage, 20 means 20 %"),
        ("grid_step_bps", "1%", "'1%' is not a number"),
    ],
)  # fmt: skip
def test_config_share_in_the_other_notation_is_refused(
    strategy: Callable[..., StrategyFile], tmp_path: Path, key: str, written: str, complaint: str
) -> None:
    text = re.sub(rf"{key}: \S+", f"{key}: {written}", STRATEGY)
    (line,) = complaints(tmp_path, lambda: strategy(text))
    assert line.partition(f"{key}: ")[2] == complaint


def test_config_budget_share_is_a_fraction(joined: Load, tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, lambda: joined(WARMUP_BUDGET_SHARE="50"))
    assert line == "WARMUP_BUDGET_SHARE: 50.0 is above 1: use a fraction, 0.5 means 50 %"


def test_config_every_share_declares_its_notation() -> None:
    from msgspec import Meta

    from warmup_job.config.fields import (
        FRACTION,
        PERCENT,
        Section,
        keys_of,
        section_type,
        unwrapped,
    )

    def shares(kind: type[Section]) -> set[str]:
        found = set()
        for key, field in keys_of(kind).items():
            inner = section_type(field.type)
            found |= shares(inner) if inner else set()
            marks = unwrapped(field.type)[1]
            has_unit = FRACTION in marks or PERCENT in marks
            for mark in marks:
                if isinstance(mark, Meta) and (
                    has_unit or key.endswith(("_pct", "_share")) or mark.le == 1
                ):
                    assert has_unit, key
                    found.add(key)
        return found

    assert shares(StrategyFile) == {
        "max_position_pct", "max_margin_pct", "emergency_liquidation_buffer", "counter_qty_scale",
        "order_diff_qty_tolerance_pct", "max_drawdown_pct",
    }  # fmt: skip


def test_config_mark_prices_on_spot_are_refused(joined: Load, tmp_path: Path) -> None:
    spot = VENUE.replace("futures", "spot").replace("PERPETUAL_LINEAR", "CASH")
    (tmp_path / "v.yaml").write_text(spot)
    streams = "[{symbol: A, interval: 1s}, {symbol: B, interval: 1m, price: mark}]"
    assert complaints(tmp_path, lambda: joined(f"warmup: {{streams: {streams}}}")) == [
        "warmup.yaml: warmup.streams[1].price: spot has no mark prices; write last"
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("grid_levels_long: 5", "grid_levels_long: 0", "grid.grid_levels_long: 0 is below 1"),
        ("grid_levels_long: 5", "grid_levels_long: 101", "grid.grid_levels_long: 101 is above 100"),
        (
            "grid_levels_long: 5",
            "grid_levels_long: 5.5",
            "grid.grid_levels_long: 5.5 is not a whole number",
        ),
        (
            "grid_levels_long: 5",
            "grid_levels_long: many",
            "grid.grid_levels_long: 'many' is not a whole number",
        ),
        (
            "grid_levels_long: 5",
            "grid_levels_long: true",
            "grid.grid_levels_long: true is not a whole number",
        ),
        (
            "grid_levels_long: 5",
            "grid_levels_long:",
            "grid.grid_levels_long: the value is empty; omit the key to use its default",
        ),
        (
            "grid_levels_long: 5",
            "grid_level_long: 5",
            "grid.grid_level_long: unknown key; did you mean grid_levels_long?",
        ),
        ("  grid_levels_long: 5\n", "", "grid.grid_levels_long: missing"),
        ("base_qty: 0.001", "base_qty: 0", "grid.base_qty: 0 is not above 0"),
        ("base_qty: 0.001", "base_qty: .nan", "grid.base_qty: '.nan' is not a number"),
        ("base_qty: 0.001", "base_qty: [1]", "grid.base_qty: a list is not a number"),
        (
            "qty_scale: 1.1",
            "qty_scale: 3.000000000000000000001",
            "grid.qty_scale: 3.000000000000000000001 is above 3",
        ),
        ("tp_steps: 2", "tp_steps: 16", "exit.tp_steps: 16 is above 3 × sl_steps (5)"),
        ("ema_slow: 26", "ema_slow: 12", "regime.ema_slow: 12 is not above ema_fast (12)"),
        (
            "hysteresis_bps: 50.0",
            "hysteresis_bps: 1000.5",
            "regime.hysteresis_bps: 1000.5 is above 1000",
        ),
        (
            "maker_only: true",
            "maker_only: perhaps",
            "execution.maker_only: 'perhaps' is neither true nor false",
        ),
        (
            "strategy: throttled-counter",
            "strategy: yolo",
            "policy.strategy: 'yolo' is not one of core-and-scalp, throttled-counter",
        ),
        ("name: hedge_grid_v1", "name: 7", f"strategy.name: 7 {NO_TEXT}"),
        ("name: hedge_grid_v1", "name: ''", "strategy.name: empty"),
        (
            "name: hedge_grid_v1",
            'name: "a\\nb"',
            "strategy.name: holds a line break or another character that cannot be shown",
        ),
        ("exit:", "exits:", "exits: unknown key; did you mean exit?"),
        ("exit:\n  tp_steps: 2\n  sl_steps: 5\n", "", "exit: missing; it needs tp_steps, sl_steps"),
        ("exit:\n  tp_steps: 2\n  sl_steps: 5\n", "exit: 5\n", "exit: 5 is not a mapping"),
        (
            "emergency_liquidation_buffer: 0.05",
            "emergency_liquidation_buffer: 0.0499",
            "position.emergency_liquidation_buffer: 0.0499 is below 0.05",
        ),
    ],
)
def test_config_one_problem_is_one_line(
    strategy: Callable[..., StrategyFile], tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in STRATEGY
    text = STRATEGY.replace(old, new, 1)
    assert complaints(tmp_path, lambda: strategy(text)) == [f"s.yaml: {complaint}"]


@pytest.mark.parametrize(
    ("step", "stop_steps", "buffer", "distance"),
    [("5", 1, "5", "5.00"), ("5", 4, "20", "19.99"), ("25", 1, "50", "25.00")],
)
def test_config_stop_within_the_buffer_is_a_problem_that_shows_the_numbers(
    strategy: Callable[..., StrategyFile],
    tmp_path: Path,
    step: str,
    stop_steps: int,
    buffer: str,
    distance: str,
) -> None:
    """Otherwise each fill is closed at market as soon as it has happened."""
    text = STRATEGY.replace("grid_step_bps: 25.0", f"grid_step_bps: {step}")
    text = text.replace("tp_steps: 2", "tp_steps: 1")
    text = text.replace("sl_steps: 5", f"sl_steps: {stop_steps}")
    text = text.replace("buffer_bps: 2.5", f"buffer_bps: {buffer}")
    (complaint,) = complaints(tmp_path, lambda: strategy(text))
    assert complaint == (
        f"s.yaml: exit.sl_steps: the stop loss is {distance} bps from the entry (sl_steps "
        f"{stop_steps}, grid.grid_step_bps {step}), which is within "
        f"execution.tp_sl_adjustment_buffer_bps ({buffer}): every fill would be closed at market "
        "at once; raise sl_steps or lower the buffer"
    )


def test_config_stop_just_beyond_the_buffer_is_accepted(
    strategy: Callable[..., StrategyFile],
) -> None:
    text = STRATEGY.replace("sl_steps: 5", "sl_steps: 1").replace("tp_steps: 2", "tp_steps: 1")
    assert strategy(text.replace("buffer_bps: 2.5", "buffer_bps: 24.9")).exit.sl_steps == 1


def test_config_indicators_are_read(joined: Load) -> None:
    both = "[{kind: ema, period: 200}, {kind: mine, period: 5, bars: 80}]"
    config = joined(f"warmup: {{indicators: {both}}}")
    first, second = config.warmup.indicators
    assert (first.kind, first.period, first.bars, first.interval) == ("ema", 200, 0, "1m")
    assert (second.kind, second.bars) == ("mine", 80)
    assert joined(WARMUP_INDICATORS="ema:200,mine:5:80").warmup.indicators == (first, second)


def test_config_unknown_indicator_needs_a_count(joined: Load, tmp_path: Path) -> None:
    (complaint,) = complaints(
        tmp_path, lambda: joined("warmup: {indicators: [{kind: rsi, period: 14}]}")
    )
    assert complaint == (
        "warmup.yaml: warmup.indicators[0].bars: missing; how many rsi needs is not known (it is "
        "known of sma, ema, wilder, atr, adx, and of Nautilus' classes for them)"
    )


@pytest.mark.parametrize("kind", ["EMA", "ExponentialMovingAverage", "exponential-moving_average"])
def test_config_indicator_is_accepted_in_each_spelling(joined: Load, kind: str) -> None:
    config = joined(f"warmup: {{indicators: [{{kind: {kind}, period: 5}}]}}")
    assert config.warmup.indicators == joined(WARMUP_INDICATORS="ema:5").warmup.indicators


def test_config_indicator_without_a_name_is_refused(joined: Load, tmp_path: Path) -> None:
    assert complaints(
        tmp_path, lambda: joined("warmup: {indicators: [{kind: --, period: 5}]}")
    ) == ["warmup.yaml: warmup.indicators[0].kind: '--' is not the name of an indicator"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("warmup: {streams: [{interval: 1m}]}", "warmup.streams[0].symbol: missing"),
        (
            "warmup: {streams: [{symbol: A, interval: 1m, bars: x}]}",
            "warmup.streams[0].bars: 'x' is not a whole number, nor auto",
        ),
        (
            "warmup: {streams: [{symbol: NO, interval: 1m}]}",
            f"warmup.streams[0].symbol: false {NO_TEXT}",
        ),
        ("warmup: {streams: {symbol: A}}", "warmup.streams: a mapping is not a list"),
        (
            "warmup: {streams: BTCUSDT}",
            "warmup.streams: 'BTCUSDT' is not SYMBOL:INTERVAL or SYMBOL:INTERVAL:BARS",
        ),
        (
            "warmup: {budget_share: 1.01}",
            "warmup.budget_share: 1.01 is above 1: use a fraction, 0.0101 means 1.01 %",
        ),
        ("warmup: {budget_share: 0}", "warmup.budget_share: 0.0 is not above 0"),
        (
            "warmup: {streams: [{symbol: BTCUSDT, interval: 7m}]}",
            (
                "warmup.streams[0].interval: Binance has no kline interval '7m'; the next ones "
                "are 5m and 15m (it has 1s, 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, "
                "1w, 1M)"
            ),
        ),
        (
            "warmup: {streams: [{symbol: BTCUSDT, interval: 1s}]}",
            "warmup.streams[0].interval: futures have no interval 1s, only spot; the next is 1m",
        ),
        (
            "warmup: {streams: [{symbol: btcusdt, interval: 1m}]}",
            (
                "warmup.streams[0].symbol: 'btcusdt' is not a symbol: Binance's symbols are in "
                "upper case; did you mean BTCUSDT?"
            ),
        ),
        (
            "warmup: {indicators: [{kind: ema, period: 5, interval: 7d}]}",
            (
                "warmup.indicators[0].interval: Binance has no kline interval '7d'; did you mean "
                "1w? (it has 1s, 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h, 1d, 3d, 1w, 1M)"
            ),
        ),
        ("warmup: {max_bars: 1e30}", "warmup.max_bars: 1E+30 is too large"),
        ("warmup: {deadline: 1:30}", f"warmup.deadline: '1:30' {NO_TIME}"),
        (
            "trade: {starting_balances: [10]}",
            "trade.starting_balances[0]: 10 is not an amount and a currency such as 10000 USDT",
        ),
        ("snapshot: 5", "snapshot: 5 is not a mapping"),
    ],
)
def test_config_problems_of_the_joining_file_are_reported(
    joined: Load, tmp_path: Path, text: str, complaint: str
) -> None:
    assert complaints(tmp_path, lambda: joined(text)) == [f"warmup.yaml: {complaint}"]


def test_config_option_does_not_hide_a_problem_of_its_section(joined: Load, tmp_path: Path) -> None:
    assert complaints(tmp_path, lambda: joined("snapshot: 5", WARMUP_KEEP="4")) == [
        "warmup.yaml: snapshot: 5 is not a mapping"
    ]
    assert joined("snapshot:", WARMUP_KEEP="4").snapshot.keep == 4


def test_config_reports_the_problems_of_all_files_at_once(joined: Load, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text(
        VENUE + "rate_limits: {weight_per_minut: 5, orders_per_second: 0}\napi: {base_url: ftp://x}"
    )
    (tmp_path / "s.yaml").write_text(
        STRATEGY.replace("tp_steps: 2", "tp_steps: 16").replace("ema_slow: 26", "ema_slow: 10")
    )
    assert complaints(tmp_path, lambda: joined("snapshot: {keep: 0, kep: 1}\nwarmup: []")) == [
        "8 problems in warmup.yaml:",
        "warmup.yaml: warmup: a list is not a mapping",
        "warmup.yaml: snapshot.kep: unknown key; did you mean keep?",
        "warmup.yaml: snapshot.keep: 0 is below 1",
        "v.yaml: api.base_url: not a URL that begins with http:// or https://",
        "v.yaml: rate_limits.weight_per_minut: unknown key; did you mean weight_per_minute?",
        "v.yaml: rate_limits.orders_per_second: 0 is below 1",
        "s.yaml: exit.tp_steps: 16 is above 3 × sl_steps (5)",
        "s.yaml: regime.ema_slow: 10 is not above ema_fast (12)",
    ]


def test_config_unknown_key_without_a_similar_one_is_a_warning(
    joined: Load, tmp_path: Path
) -> None:
    (tmp_path / "v.yaml").write_text(VENUE + "telemetry: {a: 1}\ntrading: {colour: red}")
    config = joined("hooks: [1, 2]")
    assert [warning.replace(f"{tmp_path}/", "") for warning in config.warnings] == [
        "warmup.yaml: hooks: unknown key, ignored",
        "v.yaml: telemetry: unknown key, ignored",
        "v.yaml: trading.colour: unknown key, ignored",
    ]
    assert len(config.venue.warnings) == 2


def test_config_keys_are_text_even_if_they_look_like_numbers(
    venue: Callable[..., VenueConfig],
) -> None:
    text = VENUE + '7: a\non: b\n~: c\n1.50: d\n"e\\nf": g\n"": h'
    assert [w.split(": ")[1] for w in venue(text).warnings] == [
        "7", "on", "~", "1.50", r"'e\nf'", "''"
    ]  # fmt: skip


def test_config_range_limits_are_accepted(strategy: Callable[..., StrategyFile]) -> None:
    text = STRATEGY.replace("tp_steps: 2", "tp_steps: 15").replace("1.1", "3.0")
    text = text.replace("hysteresis_bps: 50.0", "hysteresis_bps: 1000")
    text = text.replace("grid_levels_long: 5", "grid_levels_long: 100")
    text = text.replace("ema_fast: 12", "ema_fast: 25")
    config = strategy(text.replace("grid_levels_short: 6", "grid_levels_short: 1"))
    assert config.exit.tp_steps == 15
    assert config.grid.qty_scale == 3
    assert (config.grid.grid_levels_long, config.grid.grid_levels_short) == (100, 1)
    assert (config.regime.hysteresis_bps, config.regime.ema_fast) == (1000, 25)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("weight_per_minut", "weight_per_minute"),
        ("weight_per_min", "weight_per_minute"),
        ("Weight-Per-Minute", "weight_per_minute"),
        ("rsik", "risk"),
        ("rusk", "risk"),
        ("rask_", None),
        ("wexsxcxet", None),
        ("operations", None),
        ("", None),
        ("x" * 500, None),
    ],
)
def test_config_similar_keys_are_suggested(word: str, near: str | None) -> None:
    assert nearest(word, ["weight_per_minute", "risk", "websocket", "orders_per_second"]) == near


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "v.yaml: empty: sections such as `venue:` are expected"),
        ("- a", "v.yaml: not a mapping: sections such as `venue:` are expected"),
        ("a: 1\nb: [1", "v.yaml:2:6: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n b: 2", "v.yaml:2:3: mapping values are not allowed here"),
        ("a: *b", "v.yaml:1:4: found undefined alias 'b'"),
        ("a: &a [*a]", "v.yaml:1:4: an alias of what contains it"),
        ("a: !!python/object:os.system x", "v.yaml:1:4: a type (!…) that is not supported here"),
        ("a: !!timestamp x", "v.yaml:1:4: a type (!…) that is not supported here"),
        ("a: !!int x", "v.yaml:1:4: not a number"),
        ("a: !!bool x", "v.yaml:1:4: neither true nor false"),
        ("[a]: 1", "v.yaml:1:1: a key that is not text"),
        ("a: 1\n\u0001", "v.yaml:2:1: a character that YAML does not allow"),
        ('a: "\\UFFFFFFFF"', "v.yaml: not YAML"),
        (
            "a: 1\n---\nb: 1",
            "v.yaml:2:1: expected a single document in the stream but found another document",
        ),
        ("[" * 10_000, "v.yaml: nested too deeply"),
    ],
)
def test_config_invalid_yaml_is_refused(
    venue: Callable[..., VenueConfig], tmp_path: Path, text: str, complaint: str
) -> None:
    assert complaints(tmp_path, lambda: venue(text)) == [complaint]


def test_config_duplicate_key_is_refused(venue: Callable[..., VenueConfig], tmp_path: Path) -> None:
    text = VENUE + "trading:\n  leverage: 1\n  leverage: 20\nvenue: {}"
    assert complaints(tmp_path, lambda: venue(text)) == [
        "3 problems in v.yaml:",
        "v.yaml:5:3: leverage: the key occurs twice",
        "v.yaml:6:1: venue: the key occurs twice",
        "v.yaml: venue: missing; it needs name, venue_type, account_type",
    ]


def test_config_unreadable_files_are_reported(joined: Load, tmp_path: Path) -> None:
    missing = tmp_path / "no.yaml"
    reason = "cannot be read: No such file or directory"
    remedy = (
        " (paths in warmup.yaml are relative to its own folder: copy that file there too, correct "
        "the path, or let `warmup-job init` write a whole configuration)"
    )
    assert complaints(tmp_path, lambda: load(missing, environ={})) == [f"no.yaml: {reason}"]
    (tmp_path / "v.yaml").unlink()
    (tmp_path / "s.yaml").unlink()
    (tmp_path / "s.yaml").mkdir()
    assert complaints(tmp_path, joined) == [
        "2 problems in warmup.yaml:",
        f"v.yaml: {reason}{remedy}",
        "s.yaml: cannot be read: Is a directory",
    ]
    (tmp_path / "v.yaml").write_bytes(b"a: 1\nb: \xff")
    assert complaints(tmp_path, lambda: VenueConfigLoader.load(tmp_path / "v.yaml", {})) == [
        "v.yaml:2: not UTF-8 text"
    ]
    lost = tmp_path / "x.yaml"
    lost.write_text("{}")
    neither = (
        "it names neither a strategy file (`strategy`) nor bars to download (`warmup.streams`)"
    )
    assert complaints(tmp_path, lambda: load(lost, environ={})) == [
        "2 problems in x.yaml:",
        "x.yaml: venue: missing",
        f"x.yaml: {neither}: write one of them",
    ]


def test_aliases_and_merges_work(venue: Callable[..., VenueConfig]) -> None:
    config = venue(VENUE + "risk: &r {max_leverage: 3}\ntrading: {<<: {leverage: 4}, leverage: 5}")
    assert (config.risk.max_leverage, config.trading.leverage) == (3, 5)


# --- secrets ------------------------------------------------------------------------------------


def test_config_secrets_are_never_shown(venue: Callable[..., VenueConfig], joined: Load) -> None:
    from rich.console import Console

    secret = "Hush" * 16
    config = venue(FULL_VENUE, BINANCE_API_KEY=secret, BINANCE_API_SECRET=secret)
    out = io.StringIO()
    Console(file=out, width=1000).print(config, config.api)
    for text in (repr(config), str(config), f"{config.api!s} {config.api!r}", out.getvalue()):
        assert "Hush" not in text
        assert "api_key='***'" in text
        assert "api_secret='***'" in text
    assert "api_key=None" in repr(venue(VENUE))


@pytest.mark.parametrize(
    "api",
    [
        "{api_key: [SECRET]}",
        "{api_key: {SECRET: 1}}",
        '{api_key: "SECRET\\n"}',
        "{api_key: '${SECRET'}",
        "{api_key: *SECRET}",
        "{api_key: !SECRET x}",
        "{api_key: !SECRET!x x}",
        "{api_key: 1, SECRET}",
        "{api_key: SECRET, api_key: SECRET, testnet: 5}",
        "{api_key: 'SECRET",
        "{api_key: SECRET: x}",
        "SECRET",
        "{base_url: 'ftp://me:SECRET@there'}",
    ],
)
def test_config_errors_contain_no_secrets(venue: Callable[..., VenueConfig], api: str) -> None:
    secret = "Hush" * 16
    with pytest.raises(ConfigError) as caught:
        venue(VENUE + "trading: {leverage: 0}\napi: " + api.replace("SECRET", secret))
    assert "Hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"wss://{'a' * 64}.com", "the host's name has an empty or too long part"),
        ("wss://me:Hush@a..b", "the host's name has an empty or too long part"),
        ("wss://me:Hush@host/\u00e4", "the path has letters outside ASCII: write them percent-"),
    ],
)
def test_config_refuses_a_url_that_no_connection_can_use(
    venue: Callable[..., VenueConfig], tmp_path: Path, url: str, problem: str
) -> None:
    (line,) = complaints(tmp_path, lambda: venue(VENUE + f"api: {{ws_url: '{url}'}}"))
    assert line.startswith(f"v.yaml: api.ws_url: {problem}")
    assert "Hush" not in line
    assert venue(VENUE + "api: {ws_url: 'wss://b\u00fccher.example./a'}").api.ws_url


def test_config_secret_of_digits_must_be_quoted_and_is_not_shown(
    venue: Callable[..., VenueConfig], tmp_path: Path
) -> None:
    assert complaints(tmp_path, lambda: venue(VENUE + "api: {api_key: 1234567}")) == [
        "v.yaml: api.api_key: not text (put it in quotes)"
    ]


def test_config_warning_shows_no_value_in_the_place_of_a_key(
    venue: Callable[..., VenueConfig],
) -> None:
    (warning,) = venue(VENUE + "api: {api_key: k, " + "Hush" * 16 + "}").warnings
    assert warning.endswith("api.<a key of 64 characters>: unknown key, ignored")


def test_config_errors_do_not_quote_values_of_variables(
    venue: Callable[..., VenueConfig], tmp_path: Path
) -> None:
    text = VENUE.replace("BINANCE", "'${KEY}'") + "symbols: ['${KEY}/']"
    text += "\ntrading: {leverage: '${KEY}', margin_type: '${KEY}', hedge_mode: 'a${KEY}'}"
    assert complaints(tmp_path, lambda: venue(text, KEY="Hush")) == [
        "4 problems in v.yaml:",
        "v.yaml: trading.hedge_mode: what 'a${KEY}' stands for is neither true nor false",
        "v.yaml: trading.leverage: what '${KEY}' stands for is not a whole number",
        "v.yaml: trading.margin_type: what '${KEY}' stands for is not one of CROSSED, ISOLATED",
        f"v.yaml: symbols[0]: what '${{KEY}}/' stands for {NO_SLASH}",
    ]
    config = venue(text[: text.index("symbols")], KEY="Hush")
    assert type(config.venue.name) is str


# --- always a ConfigError -----------------------------------------------------------------------

_YAMLISH = st.text(
    st.sampled_from([*"abc:-?[]{},&*!|>'\"%@`#~<=$.0123456789_ \n\t\\Ux/\ufeff\x85\u2028\ud7ff"])
)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates(), st.binary()
)
_KEYS = st.sampled_from(
    ["venue", "api", "symbols", "warmup", "strategy", "streams", "deadline", "leverage", "trading",
     "testnet", "base_url", "grid", "base_qty", "exit", "name", "max_bars", "snapshot", "root"]
)  # fmt: skip
_ODD = ("${", "1e99", "-0", ".5", "0x10", "1_0", "65%", "null", "~", "∞")
_TEXTS = (
    "0", "-1", "1e99", "65%", "BTCUSDT:1m", "btcusdt:1m:5", "BTCUSDT:7m", "ema:5", "--:5",
    "RSI:5:9", "1h30m", "9" * 30, "v.yaml", "s.yaml,s.yaml", "..", "\n", "proceed",
)  # fmt: skip
_JOINED = "venue: v.yaml\nstrategy: s.yaml\nwarmup: {max_bars: 900}\nsnapshot: {keep: 2}\n"
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(
    max_examples=150 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=_YAMLISH | st.text())
@example(text="a: !!float abc")
@example(text="%YAML 1." + "9" * 5000 + "\n--- a")
@example(text="? !<tag:yaml.org,2002:merge> a\n: b")
@example(text="venue: '\\0'\nstrategy: " + "x" * 5000)
@example(text='venue: "\\ud800"\nstrategy: ~')
@example(text="a: !!str {=: x}")
@example(text="=: <<\n<<: =")
def test_config_any_text_is_refused_with_a_config_error(tmp_path: Path, text: str) -> None:
    _only_config_errors(tmp_path / "any.yaml", text)


@settings(
    max_examples=150 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tree=_TREES)
def test_config_any_content_is_refused_with_a_config_error(tmp_path: Path, tree: object) -> None:
    import yaml

    _only_config_errors(tmp_path / "any.yaml", yaml.safe_dump(tree))


@settings(
    max_examples=150 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=200), place=st.integers(0, 2000))
@example(content=b"\xff\xfe", place=0)
@example(content=b"\x00", place=40)
@example(content="\ud800".encode("utf-8", "surrogatepass"), place=40)
def test_config_any_bytes_in_a_good_file_are_read_or_refused(
    tmp_path: Path, content: bytes, place: int
) -> None:
    """A damaged file gives a `ConfigError` or a configuration, and nothing else."""
    for name, text in (("v.yaml", FULL_VENUE), ("s.yaml", STRATEGY), ("warmup.yaml", _JOINED)):
        (tmp_path / name).write_text(text)
    for name in ("v.yaml", "s.yaml", "warmup.yaml"):
        whole = (tmp_path / name).read_bytes()
        at = place % len(whole)
        (tmp_path / name).write_bytes(whole[:at] + content + whole[at + len(content) :])
        _config_or_error(tmp_path / "warmup.yaml", {})
        (tmp_path / name).write_bytes(whole)


@settings(
    max_examples=150 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_config_any_value_of_any_key_is_read_or_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Valid files in which one value is an arbitrary tree."""
    import yaml

    files = {"v.yaml": FULL_VENUE, "s.yaml": STRATEGY, "warmup.yaml": _JOINED}
    trees = {name: yaml.safe_load(text) for name, text in files.items()}
    name = data.draw(st.sampled_from(sorted(files)))
    section = data.draw(st.sampled_from(sorted(trees[name])))
    value = data.draw(_TREES | st.sampled_from(_ODD))
    inside = trees[name][section]
    if isinstance(inside, dict) and data.draw(st.booleans()):
        inside[data.draw(st.sampled_from(sorted(inside)))] = value
    else:
        trees[name][section] = value
    for each, tree in trees.items():
        (tmp_path / each).write_text(yaml.safe_dump(tree), encoding="utf-8")
    _config_or_error(tmp_path / "warmup.yaml", {"BINANCE_API_KEY": "Hush\nHush"})


_VARIABLES = st.sampled_from(
    [*(f"WARMUP_{name.upper()}" for name in OPTIONS), "BINANCE_API_KEY", "WARMUP_CONFIG",
     "WARMUP_KEPE", "WARMUP_X_SERVICE_HOST"]
)  # fmt: skip


@settings(
    max_examples=300 * SCALE,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(environ=st.dictionaries(_VARIABLES, st.text(max_size=40) | st.sampled_from(_TEXTS)))
@example(environ={"WARMUP_STREAMS": "::", "WARMUP_INDICATORS": ",:,"})
@example(environ={"WARMUP_VENUE": "\0", "WARMUP_ROOT": "~nobody/x"})
def test_config_any_environment_is_read_or_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    for name, text in (("v.yaml", FULL_VENUE), ("s.yaml", STRATEGY), ("warmup.yaml", _JOINED)):
        (tmp_path / name).write_text(text)
    _config_or_error(tmp_path / "warmup.yaml", environ | {"BINANCE_API_SECRET": "Hush\nHush"})
    for line in unknown_variables(environ, {f"WARMUP_{name.upper()}" for name in OPTIONS}):
        assert line.isprintable()


def _config_or_error(path: Path, environ: dict[str, str]) -> None:
    """Check for a ConfigError or a configuration; with a configuration, continue the start."""
    try:
        config = load(path, environ=environ)
        plan = resolve(config)
        for stream in plan.streams:
            assert stream.bars >= 1
            assert pages_at(stream, plan.venue.market, 1_700_000_000_000).pages
        lines = [*config.warnings, *plan.trade_problems, repr(config), repr(plan)]
    except ConfigError as error:
        lines = [str(error)]
    for line in lines:
        line.encode()  # can be printed
        assert "Hush" not in line


def _only_config_errors(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for call in (load, VenueConfigLoader.load, StrategyConfigLoader.load):
        try:
            call(path, environ={})
        except ConfigError as error:
            str(error).encode()  # can be printed
        else:  # only a venue file is valid with so little
            assert call == VenueConfigLoader.load


def test_config_imports_no_heavy_library() -> None:
    code = (
        "import sys, warmup_job.config\n"
        "print(*{'ccxt', 'nautilus_trader', 'pandas', 'numpy', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_config_keys_without_effect_are_named_in_one_warning(joined: Load, tmp_path: Path) -> None:
    assert not any("no effect" in each for each in joined().warnings)
    (tmp_path / "venue.yaml").write_text(
        VENUE + "precision: {price_precision: 1}\nsymbols: [BTCUSDT]\nwebsocket: {}\n"
    )
    (tmp_path / "grid.yaml").write_text(
        STRATEGY.replace("kill_switch: {enabled: true, max_loss_pct: 5}", "restart: always")
    )
    (warning,) = (
        each
        for each in joined(overrides={
            "venue": str(tmp_path / "venue.yaml"), "strategy": str(tmp_path / "grid.yaml")
        }).warnings
        if "no effect" in each
    )  # fmt: skip
    assert "venue.yaml: precision.price_precision, symbols" in warning
    assert "grid.yaml: operations.restart, operations.alerts" in warning


@pytest.mark.parametrize(
    ("switch", "refused"),
    [
        ("{enabled: true, max_loss_pct: 5}", "its limits (max_loss_pct) would not protect you"),
        ("{daily_loss_limit_pct: 3}", "its limits (daily_loss_limit_pct) would not protect you"),
        ("true", "its limits would not protect you"),
        ("{enabled: false, max_loss_pct: 5}", ""),
        ("{}", ""),
    ],
)
def test_config_kill_switch_that_is_not_off_is_refused_by_trade(
    joined: Load, tmp_path: Path, switch: str, refused: str
) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(STRATEGY.replace("{enabled: true, max_loss_pct: 5}", switch))
    problems = joined(overrides={"strategy": str(path)}).live_problems
    if not refused:
        assert problems == ()
        return
    (problem,) = problems
    assert problem.startswith(f"{path}: operations.kill_switch: ")
    assert refused in problem
    assert "set risk_management.max_drawdown_pct" in problem


def test_renamed_option_keeps_the_flag_and_the_variable_of_its_key() -> None:
    replay, silence = OPTIONS["replay_history"], OPTIONS["silence"]
    assert (replay.flag, replay.variable) == ("--replay-history", "WARMUP_REPLAY_HISTORY")
    assert (replay.former_flag, replay.former_variable) == ("--replay", "WARMUP_REPLAY")
    assert (silence.former_flag, silence.former_variable) == (None, None)
    two_words = msgspec.structs.replace(replay, path=("trade", "old_name"))
    assert (two_words.former_flag, two_words.former_variable) == ("--old-name", "WARMUP_OLD_NAME")
