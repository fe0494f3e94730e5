"""The streams of the configured strategies, and the number of bars of each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.suite import REPO
from warmup_job.catalog.names import bar_stream_of
from warmup_job.config import WarmupConfig, load
from warmup_job.errors import ConfigError
from warmup_job.plan.resolve import resolve

CROSS = "nautilus_trader.examples.strategies.ema_cross"
MINUTES = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"


def crossing(**config: Any) -> dict[str, Any]:
    """Return a strategy file for Nautilus' own EMA cross example."""
    fields = {
        "instrument_id": "BTCUSDT-PERP.BINANCE",
        "bar_type": MINUTES,
        "trade_size": "0.010",
    }
    return {
        "strategy_path": f"{CROSS}:EMACross",
        "config_path": f"{CROSS}:EMACrossConfig",
        "config": fields | config,
    }


def configured(folder: Path, *files: dict[str, Any], **changes: Any) -> WarmupConfig:
    """Write a joining file for these strategy files; an empty one is HedgeGridV1's."""
    names = []
    for at, file in enumerate(files):
        name = f"s{at}.yaml"
        grid = (REPO / "configs/strategies/hedge_grid_v1.yaml").read_text()
        text = json.dumps(file) if file else grid
        (folder / name).write_text(text)
        names.append(name)
    path = write_config(folder, "http://127.0.0.1:9", **changes)
    joined = json.loads(path.read_text()) | {"strategy": names}
    path.write_text(json.dumps(joined))
    return load(path, environ={})


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        (MINUTES, ("BTCUSDT-PERP.BINANCE", "1m")),
        ("ETHUSDT.BINANCE-4-HOUR-LAST-EXTERNAL", ("ETHUSDT.BINANCE", "4h")),
        ("币安-PERP.BINANCE-1-DAY-LAST-EXTERNAL", ("币安-PERP.BINANCE", "1d")),
        (
            "BTCUSDT-PERP.BINANCE-7-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL",
            ("BTCUSDT-PERP.BINANCE", "1m"),
        ),
        ("BTCUSDT-PERP.BINANCE-7-MINUTE-LAST-EXTERNAL", None),
        ("BTCUSDT-PERP.BINANCE-100-TICK-LAST-INTERNAL", None),
        ("BTCUSDT-PERP.BINANCE-1-MINUTE-MARK-EXTERNAL", None),
        ("BTCUSDT-PERP.BYBIT-1-MINUTE-LAST-EXTERNAL", None),
        ("BTCUSDT-PERP.BINANCE", None),
    ],
)
def test_plan_streams_bar_type_names_the_klines(name: str, stream: tuple[str, str] | None) -> None:
    found = bar_stream_of(name)
    assert (found and (found[0], found[1].name)) == stream


def test_plan_streams_has_every_bar_type_of_a_strategys_config(tmp_path: Path) -> None:
    also = ["BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL", "not a bar type"]
    config = configured(
        tmp_path,
        crossing(others=also, deep={"pair": "ETHUSDT-PERP.BINANCE"}),
        warmup={"streams": [{"symbol": "ETHUSDT", "interval": "5m"}], "require": "bars"},
    )
    (one,) = resolve(config).strategies
    assert (one.class_name, one.detector) == ("EMACross", None)
    assert set(one.instrument_ids) == {"BTCUSDT-PERP.BINANCE", "ETHUSDT-PERP.BINANCE"}
    assert [str(stream) for stream in one.streams] == ["BTCUSDT 1m", "BTCUSDT 1h", "ETHUSDT 5m"]


def test_plan_streams_of_several_strategies(tmp_path: Path) -> None:
    other = crossing(instrument_id="ETHUSDT-PERP.BINANCE", bar_type=MINUTES.replace("BTC", "ETH"))
    declared = [{"kind": "ema", "period": 20}]
    warmup = {"require": "proven", "indicators": declared}
    plan = resolve(configured(tmp_path, {}, other, warmup=warmup))
    plans = {str(each.stream): each for each in plan.streams}
    assert set(plans) == {"BTCUSDT 1m", "ETHUSDT 1m"}
    assert plans["BTCUSDT 1m"].detector is not None
    assert plans["ETHUSDT 1m"].detector is None  # it does not use our regime
    assert all(each.needs_proof for each in plans.values())
    assert [str(each.stream) for each in plan.strategy_streams] == list(plans)
    assert [each.class_name for each in plan.strategies] == ["HedgeGridV1", "EMACross"]


def test_plan_streams_each_strategy_has_an_id(tmp_path: Path) -> None:
    other = crossing(instrument_id="ETHUSDT-PERP.BINANCE", bar_type=MINUTES.replace("BTC", "ETH"))
    declared = [{"kind": "ema", "period": 20}]
    plan = resolve(configured(tmp_path, {}, other, warmup={"indicators": declared}))
    from warmup_job.trader.strategies import make_strategies

    ids = [str(strategy.id) for strategy in make_strategies(plan.strategies)]
    assert ids == ["HedgeGridV1-000", "EMACross-001"]


def test_plan_streams_two_grids_on_one_instrument_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="share its LONG and SHORT positions"):
        resolve(configured(tmp_path, {}, {}))


def test_plan_streams_required_proof_needs_a_detector(tmp_path: Path) -> None:
    config = configured(tmp_path, crossing(), warmup={"require": "proven"})
    with pytest.raises(ConfigError, match=r"warmup\.indicators"):
        resolve(config)


def test_plan_streams_declared_indicators_set_the_bar_counts(tmp_path: Path) -> None:
    declared = [{"kind": "ema", "period": 300}, {"kind": "mine", "period": 1, "bars": 700}]
    config = configured(tmp_path, crossing(), warmup={"require": "proven", "indicators": declared})
    plan = resolve(config)
    (stream,) = plan.streams
    assert stream.bar_counts[:3] == (700, 998, 1497)
    assert stream.needs_bounds
    assert plan.snapshot_requirements.certified == frozenset()


def test_plan_streams_strategy_of_another_market_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, crossing(), venue={"market": "spot"})
    with pytest.raises(ConfigError, match="does not belong to the venue's market"):
        resolve(config)


def test_plan_streams_strategy_without_bars_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, crossing(bar_type="BTCUSDT-PERP.BINANCE-100-TICK-LAST-INTERNAL"))
    with pytest.raises(ConfigError, match="unknown which bars it needs"):
        resolve(config)


def test_plan_streams_numbers_reach_the_strategy_digit_for_digit(tmp_path: Path) -> None:
    text = json.dumps(crossing()).replace('"0.010"', "0.0100000000000000000001")
    (tmp_path / "exact.yaml").write_text(text)
    config = load(
        configured(tmp_path, crossing()).path,
        environ={},
        overrides={"strategy": str(tmp_path / "exact.yaml")},
    )
    from warmup_job.trader.strategies import make_strategies

    (strategy,) = make_strategies(resolve(config).strategies)
    assert str(strategy.config.trade_size) == "0.0100000000000000000001"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy_path": "no.such:Class"}, "strategy_path: there is no module no to import"),
        ({"config_path": f"{CROSS}_.x:A"}, f"config_path: there is no module {CROSS}_ to import"),
        ({"strategy_path": f"{CROSS}:EMACros"}, "has no class EMACros; did you mean EMACross?"),
        ({"config": {"bar_type": MINUTES}}, "missing required field `instrument_id`"),
        ({"strategy_path": f"{CROSS}:EMACrossConfig"}, "is no Strategy of Nautilus'"),
        ({"config_path": f"{CROSS}:EMACross"}, "is no StrategyConfig of Nautilus'"),
        ({"config_path": f"{CROSS}:Strategy"}, "is no StrategyConfig of Nautilus'"),
    ],
)
def test_plan_streams_strategy_that_cannot_be_created_is_one_clear_line(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    from warmup_job.trader.strategies import make_strategies

    config = configured(tmp_path, crossing() | changes)
    with pytest.raises(ConfigError) as raised:
        make_strategies(resolve(config).strategies)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_plan_streams_a_constructor_that_fails_does_not_show_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "picky.py").write_text(
        "from nautilus_trader.config import StrategyConfig\n"
        "from nautilus_trader.model.data import BarType\n"
        "from nautilus_trader.trading.strategy import Strategy\n"
        "class PickyConfig(StrategyConfig, frozen=True):\n"
        "    bar_type: BarType\n"
        "    token: str\n"
        "class Picky(Strategy):\n"
        "    def __init__(self, config):\n"
        "        raise ValueError(f'the token {config.token} is no good')\n"
    )
    path = configured(tmp_path, crossing()).path
    file = {"strategy_path": "picky:Picky", "config_path": "picky:PickyConfig"}
    fields = {"bar_type": MINUTES, "token": "${TOKEN}"}
    (tmp_path / "s0.yaml").write_text(json.dumps(file | {"config": fields}))
    config = load(path, environ={"TOKEN": "Hush-Hush"})
    from warmup_job.trader.strategies import make_strategies

    with pytest.raises(ConfigError, match=r"the token \$\{TOKEN\} is no good"):
        make_strategies(resolve(config).strategies)


MINE = """
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.trading.strategy import Strategy

print("printed while it is imported")


class MineConfig(StrategyConfig, frozen=True):
    bar_type: BarType
    token: str = ""

    def __post_init__(self):
        if self.token:
            raise ValueError(f"the token {self.token} is\\nno good")


class Mine(Strategy):
    pass
"""


@needs_nautilus
@pytest.mark.e2e
@pytest.mark.parametrize("command", ["plan", "run", "trade"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("unfound", "there is no module mine to import mine:Mine from: name the folder that holds"),
        ("import no_such_package", "mine:Mine needs the module no_such_package: install it"),
        ("raise RuntimeError('line\\nline')", "cannot be imported (RuntimeError: line line)"),
        ("raise SystemExit(3)", "mine:Mine cannot be imported (SystemExit: 3)"),
        ("this is no Python", "mine:Mine cannot be imported (SyntaxError: "),
        ("token", "refuses its config (ValidationError: the token ${TOKEN} is no good): correct"),
    ],
)
def test_plan_streams_every_command_reports_a_strategy_that_cannot_start(
    tmp_path: Path, command: str, change: str, words: str
) -> None:
    """Before the exchange is asked for anything (there is none at its address), and whatever
    `on_failure` says."""
    file = {"strategy_path": "mine:Mine", "config_path": "mine:MineConfig"}
    fields = {"bar_type": MINUTES} | ({"token": "${TOKEN}"} if change == "token" else {})
    config = configured(tmp_path, crossing(), snapshot={"root": str(tmp_path / "snapshot")}).path
    (tmp_path / "s0.yaml").write_text(json.dumps(file | {"config": fields}))
    code = tmp_path / "code"
    code.mkdir()
    if change != "unfound":
        (code / "mine.py").write_text(f"{MINE}\n{'' if change == 'token' else change}\n")
    mode = ("--mode", "paper") if command == "trade" else ()
    done = job(
        command, "--config", config, *mode, env={"PYTHONPATH": str(code), "TOKEN": "Hush-Hush"}
    )
    assert done.code == 2, done.err
    assert any(words in line for line in done.messages), done.err
    assert "Hush" not in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not (tmp_path / "snapshot").exists()


@pytest.mark.e2e
def test_plan_streams_output_of_an_imported_strategy_is_not_on_stdout(
    exchange: Exchange, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    file = {
        "strategy_path": "mine:Mine", "config_path": "mine:MineConfig",
        "config": {"bar_type": MINUTES},
    }  # fmt: skip
    (tmp_path / "own.yaml").write_text(json.dumps(file))
    config = write_config(tmp_path, exchange.url, snapshot={"root": str(tmp_path / "snapshot")})
    environ = {"PYTHONPATH": str(tmp_path), "WARMUP_STRATEGY": str(tmp_path / "own.yaml")}
    (stream,) = job("plan", "--config", config, "--json", env=environ).json["streams"]
    assert stream["symbol"] == "BTCUSDT"
    done = job("run", "--config", config, "--json", env=environ)
    assert done.code == 0, done.err
    assert done.json["published"] is True


@pytest.mark.parametrize(
    "spec",
    ["7-MINUTE-LAST-EXTERNAL", "9-TICK-LAST-EXTERNAL", "1-HOUR-LAST-INTERNAL@7-HOUR-EXTERNAL"],
)
def test_plan_streams_bar_type_without_klines_is_refused(tmp_path: Path, spec: str) -> None:
    other = f"BTCUSDT-PERP.BINANCE-{spec}"
    config = configured(tmp_path, crossing(second=other))
    with pytest.raises(ConfigError, match=f"EMACross: Binance has no klines for {other}.*its inte"):
        resolve(config)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategy_path: nope\nconfig_path: a.b:C", "strategy_path: 'nope' is not package"),
        ("strategy_path: a.b:C", "config_path: missing"),
        ("strategy_path: a.b:C\nconfig_path: a.b:D\nconfig: 7", "config: 7 is not a mapping"),
        ("strategy_path: a.b:C\nconfig_path: a.b:D\nconfig: {x: '${NONE}'}", "NONE is not set"),
    ],
)
def test_plan_streams_imported_strategy_file_is_checked(
    tmp_path: Path, text: str, words: str
) -> None:
    configured(tmp_path, {})
    (tmp_path / "s0.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "warmup.yaml", environ={})
    assert words in str(raised.value)


def test_plan_streams_variables_reach_a_strategys_config(tmp_path: Path) -> None:
    path = configured(tmp_path, crossing()).path
    noted = crossing(note=["${TOKEN}", {"in": "${TOKEN:-none}"}])
    (tmp_path / "s0.yaml").write_text(json.dumps(noted))
    config = load(path, environ={"TOKEN": "t0"})
    (strategy,) = config.strategies
    assert strategy.config["note"] == ["t0", {"in": "t0"}]  # type: ignore[union-attr]


def proving(folder: Path, exchange: Exchange, periods: list[int], **warmup: Any) -> Path:
    """The grid's configuration with averages declared, and cross.yaml, another strategy's file."""
    (folder / "cross.yaml").write_text(json.dumps(crossing()))
    declared = [{"kind": "ema", "period": period} for period in periods]
    demands = {"require": "proven", "on_failure": "fail", "indicators": declared}
    return write_config(folder, exchange.url, warmup=demands | warmup)


def test_plan_streams_job_counts_the_averages_of_an_imported_strategy(
    exchange: Exchange, tmp_path: Path
) -> None:
    """There is no regime to prove: as many bars as its averages need, and no certificate."""
    config, root = proving(tmp_path, exchange, [10, 40]), tmp_path / "snapshot"
    done = job(
        "run", "--config", config, "--strategy", tmp_path / "cross.yaml", "--root", root, "--json"
    )
    assert done.code == 0, done.err
    (stream,) = done.json["manifest"]["streams"]
    assert (stream["detector"], stream["certificate"]) == (None, None)
    needed = [each["bars_needed"] for each in stream["indicators"]]
    assert 40 < needed[0] < needed[1] <= stream["bar_count"] == 499
    assert job("verify", root).code == 0
    assert job("verify", root, "--config", config).code == 20  # that is the grid's


def test_plan_streams_job_with_unproven_averages_exits_with_14(
    exchange: Exchange, tmp_path: Path
) -> None:
    config = proving(tmp_path, exchange, [400], max_bars=600)
    done = job(
        "run", "--config", config, "--strategy", tmp_path / "cross.yaml",
        "--root", tmp_path / "snapshot",
    )  # fmt: skip
    assert done.code == 14
    assert re.search(r"ema 400 needs \d{4} bars, but there are 600", " ".join(done.messages))
