"""`warmup-job init`: what it writes runs unchanged, and it never replaces what the user has."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import Result, clean_env, job, trade_until
from tests.support.exchange import running_exchange
from tests.support.init_folders import GRID, NONE, OWN, init
from tests.support.needs_nautilus import WITHOUT_NAUTILUS, needs_nautilus
from tests.support.suite import HANG_S, REPO
from warmup_job.errors import ConfigError
from warmup_job.init_files.render import render
from warmup_job.init_files.symbol_check import plausible_symbols

PLACES = ["production", "testnet", "demo", "local"]
EXISTING = """
from decimal import Decimal
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

class CrossConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    bar_type: BarType
    slow_bar_type: BarType
    trade_size: Decimal
    colour: str

class Cross(Strategy):
    pass
"""


def written(folder: Path) -> dict[str, str]:
    """Return the text of every file by its path in the folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def next_commands(done: Result) -> list[list[str]]:
    """Return the arguments of the commands that init says to type next."""
    assert done.code == 0, done.err
    lines = done.out.partition("\nNext:\n")[2].splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    assert {command[0] for command in commands} == {"warmup-job"}
    return [command[1:] for command in commands]


# --- everything that it writes can be used ------------------------------------------------------


@pytest.mark.parametrize("strategy", [GRID, OWN, NONE])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("market", ["futures", "spot"])
def test_init_writes_what_plan_can_use(
    tmp_path: Path, market: str, place: str, strategy: str
) -> None:
    folder = tmp_path / "bot"
    done = init(
        folder, market=market, environment=place, symbols="BTCUSDT,ETHUSDT", strategy=strategy
    )
    if (market, strategy) == ("spot", GRID):
        assert done.code == 2
        assert "choose --market futures, a strategy of your own, or --strategy none" in done.err
        assert not folder.exists()
        return
    assert len(next_commands(done)) == 2
    planned = job("plan", "--config", folder / "warmup.yaml", "--json")
    assert planned.code == 0, planned.err
    if strategy == OWN and WITHOUT_NAUTILUS:  # as tests/e2e/test_without_nautilus.py
        (message,) = planned.messages
        assert message.endswith("so the trader is the first to import MyStrategy")
    else:
        assert planned.messages == []  # no warning
    streams = {(each["symbol"], each["interval"]) for each in planned.json["streams"]}
    intervals = ["1m", "15m"] if strategy == OWN else ["1m"]
    assert streams == {(name, each) for name in ("BTCUSDT", "ETHUSDT") for each in intervals}
    venue = yaml.safe_load((folder / "venue.yaml").read_text())
    assert venue["venue"]["venue_type"] == market
    if place == "local":
        assert "127.0.0.1:8080" in venue["api"]["base_url"]
    else:
        assert venue["api"]["environment"] == place
        assert venue["api"]["api_key"].startswith("${BINANCE")
    assert (folder / "my_strategy.py").exists() == (strategy == OWN)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("market", "strategy"), [("futures", GRID), ("futures", OWN), ("spot", OWN), ("futures", NONE)]
)
def test_init_the_next_two_commands_work(tmp_path: Path, market: str, strategy: str) -> None:
    """Started from another folder, without any variable but the exchange's address."""
    first, second = next_commands(init(tmp_path / "my bot", market=market, strategy=strategy))
    with running_exchange(port=0) as exchange:
        env = exchange.env()
        del env["WARMUP_STATE_DIR"]
        done = job(*first, env=env)
        assert done.code == 0, done.err
        assert "published" in done.out
        if strategy == NONE:
            assert job(*second, env=env).code == 0
            refused = job("trade", *first[1:], "--mode", "paper", env=env)
            assert refused.code == 2
            assert "nothing to trade: add `strategy: FILE`" in refused.err
            return
        assert second[0] == "trade"
        traded = trade_until("live: contiguous", *second[1:], env=env)
    assert traded.code == 143, traded.err
    assert "started warm" in traded.out
    assert "COLD" not in traded.err
    assert "does not declare" not in traded.err
    beside = {path.name for path in (tmp_path / "my bot/.warmup").iterdir()}
    assert beside == {"snapshot", "state"}


def test_init_folder_that_is_moved_keeps_working(tmp_path: Path) -> None:
    assert init(tmp_path / "first", strategy=OWN).code == 0
    shutil.move(tmp_path / "first", tmp_path / "second")
    planned = job("plan", "--config", tmp_path / "second/warmup.yaml")
    assert planned.code == 0, planned.err
    assert "BTCUSDT 15m" in planned.out


def test_init_verify_of_bars_alone_finds_that_one_stream_is_missing(tmp_path: Path) -> None:
    config = tmp_path / "warmup.yaml"
    assert init(tmp_path).code == 0
    with running_exchange(port=0) as exchange:
        assert job("run", "--config", config, env=exchange.env()).code == 0
    text = config.read_text()
    config.write_text(
        text.replace("bars: 1000}", "bars: 1000}\n    - {symbol: XRPUSDT, interval: 1h}")
    )
    done = job("verify", "--config", config)
    assert done.code == 20
    assert "XRPUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL" in done.out
    done = job("verify")
    assert done.code == 2
    assert "verify needs a volume: write its folder, or --config warmup.yaml" in done.err


# --- a strategy of the user's own ---------------------------------------------------------------


@needs_nautilus
def test_init_leaves_a_strategy_that_exists_and_fills_in_its_configuration(tmp_path: Path) -> None:
    module = tmp_path / "bots/cross.py"
    module.parent.mkdir()
    module.write_text(EXISTING)
    missing = init(tmp_path, strategy="bots.cross:Cross")
    assert missing.code == 2
    assert "CrossConfig names 2 bar types (bar_type, slow_bar_type)" in missing.err
    intervals = ("--intervals", "5m,1h")
    missing = init(tmp_path, *intervals, strategy="bots.cross:Cross")
    assert missing.code == 2
    assert "CrossConfig has fields without a default: add --set colour=VALUE" in missing.err
    assert [*written(tmp_path)] == ["bots/cross.py"]
    done = init(tmp_path, *intervals, "--set", "colour=blue", strategy="bots.cross:Cross")
    assert done.code == 0, done.err
    assert f"{module} exists and stays as it is" in done.out
    assert module.read_text() == EXISTING
    assert yaml.safe_load((tmp_path / "strategy.yaml").read_text()) == {
        "strategy_path": "bots.cross:Cross",
        "config_path": "bots.cross:CrossConfig",
        "import_from": ".",
        "config": {
            "instrument_id": "BTCUSDT-PERP.BINANCE",
            "bar_type": "BTCUSDT-PERP.BINANCE-5-MINUTE-LAST-EXTERNAL",
            "slow_bar_type": "BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL",
            "trade_size": 0.004,
            "colour": "blue",
        },
    }
    planned = job("plan", "--config", tmp_path / "warmup.yaml")
    assert planned.code == 0, planned.err
    assert "BTCUSDT 5m" in planned.out
    assert "BTCUSDT 1h" in planned.out


@needs_nautilus
def test_init_uses_a_strategy_that_is_installed(tmp_path: Path) -> None:
    path = "nautilus_trader.examples.strategies.ema_cross:EMACross"
    assert init(tmp_path, strategy=path).code == 0
    assert "import_from" not in (tmp_path / "strategy.yaml").read_text()
    assert job("plan", "--config", tmp_path / "warmup.yaml").code == 0


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        pytest.param(
            "nautilus_trader.mine:Mine",
            "the package nautilus_trader is installed and has no module",
            marks=needs_nautilus,
        ),
        ("loguru.mine:Mine", "the package loguru is installed and has no module loguru.mine"),
        ("random:Mine", "has no class Mine: correct --strategy, or add the class"),
        ("mine", "'mine' is none of hedge-grid, none, and a class such as my_strategy:MyStrategy"),
        ("broken:Mine", "broken cannot be imported (SyntaxError: "),
    ],
)
def test_init_strategy_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, strategy: str, words: str
) -> None:
    (tmp_path / "broken.py").write_text("this is no Python")
    done = init(tmp_path, strategy=strategy)
    assert done.code == 2
    (message,) = done.messages
    assert words in message
    assert [*written(tmp_path)] == ["broken.py"]


# --- what exists --------------------------------------------------------------------------------


@needs_nautilus
def test_init_replaces_nothing_without_force_and_never_the_code(tmp_path: Path) -> None:
    assert init(tmp_path, "--compose", strategy=OWN).code == 0
    (tmp_path / "warmup.yaml").write_text("mine")
    (tmp_path / "my_strategy.py").write_text(f"{(tmp_path / 'my_strategy.py').read_text()}# mine\n")
    before = written(tmp_path)
    refused = init(tmp_path, "--compose", strategy=GRID)
    assert refused.code == 2
    assert "these files exist: compose.yaml, strategy.yaml, venue.yaml, warmup.yaml" in refused.err
    assert written(tmp_path) == before
    done = init(tmp_path, "--compose", "--force", "--intervals", "1m,15m", strategy=OWN)
    assert done.code == 0, done.err
    assert (tmp_path / "warmup.yaml").read_text() != "mine"
    assert (tmp_path / "my_strategy.py").read_text() == before["my_strategy.py"]


def test_init_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = init(tmp_path / "file/bot")
    assert done.code == 2
    assert "cannot be written (Not a directory): choose a folder" in done.err


@pytest.mark.parametrize("strategy", [NONE, OWN])
def test_init_folder_that_cannot_even_be_looked_for_is_one_clear_line(
    tmp_path: Path, strategy: str
) -> None:
    # As in a folder that may not be searched, but so for root too.
    done = init(tmp_path / ("f" * 300), strategy=strategy)
    assert done.code == 2
    assert "(File name too long): choose a folder that you can write" in done.err


def test_init_does_not_write_through_a_link_to_nothing(tmp_path: Path) -> None:
    (folder := tmp_path / "bot").mkdir()
    (folder / "venue.yaml").symlink_to(tmp_path / "shared.yaml")
    done = init(folder)
    assert done.code == 2
    assert "these files exist: venue.yaml" in done.err
    assert not (tmp_path / "shared.yaml").exists()


# --- the questions ------------------------------------------------------------------------------


def test_init_without_a_terminal_names_the_options_that_are_missing(tmp_path: Path) -> None:
    done = job("init", tmp_path)
    assert done.code == 2
    (message,) = done.messages
    assert message == (
        "init can ask questions only on a terminal: add --market (futures or spot), --environment "
        "(production, testnet, demo or local), --symbols (e.g. BTCUSDT), --strategy (hedge-grid, "
        "package.module:Class or none)"
    )
    done = job("init", tmp_path, "--market", "spot", "--symbols", "X", "--strategy", "none")
    assert "add --environment (production, testnet, demo or local)" in done.messages[0]


def on_a_terminal(folder: Path, typed: str, *options: str) -> tuple[int, str]:
    """Run init on a terminal; return its exit code and what the terminal shows."""
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "warmup_job", "init", str(folder), *options],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=REPO, env=clean_env(),
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(terminal, typed.encode())
        shown = b""
        while True:
            try:
                part = os.read(terminal, 65_536)
            except OSError:  # the process has closed it
                break
            shown += part
        code = process.wait(HANG_S)
    os.close(terminal)
    return code, shown.decode()


def test_init_asks_three_questions_and_has_a_default_for_each(tmp_path: Path) -> None:
    code, shown = on_a_terminal(tmp_path / "bot", "\n\n\n")
    assert code == 0, shown
    for number in ("1. Market", "2. Symbols", "3. Strategy"):
        assert number in shown
    config = yaml.safe_load((tmp_path / "bot/warmup.yaml").read_text())
    assert config["strategy"] == "strategy.yaml"
    venue = yaml.safe_load((tmp_path / "bot/venue.yaml").read_text())
    assert (venue["venue"]["venue_type"], venue["api"]["environment"]) == ("futures", "production")


def test_init_asks_again_after_an_answer_that_cannot_be_used(tmp_path: Path) -> None:
    typed = "moon local\nspot local\nBTCUSD\nbtcusdt\nBTCUSDT\nmine\nhedge-grid\nnone\n"
    code, shown = on_a_terminal(tmp_path / "bot", typed)
    assert code == 0, shown
    for hint in (
        "e.g. futures production",
        "did you mean BTCUSDT?",
        "a class such as",
        "--market futures",
    ):
        assert hint in shown
    assert "BTCUSDT" in (tmp_path / "bot/warmup.yaml").read_text()


@pytest.mark.parametrize(
    ("typed", "market", "place"),
    [("spot", "spot", "production"), ("testnet", "futures", "testnet")],
)
def test_init_takes_what_an_answer_omits_from_the_default_that_it_shows(
    tmp_path: Path, typed: str, market: str, place: str
) -> None:
    code, shown = on_a_terminal(tmp_path / "bot", f"{typed}\n\nnone\n")
    assert code == 0, shown
    venue = yaml.safe_load((tmp_path / "bot/venue.yaml").read_text())
    assert (venue["venue"]["venue_type"], venue["api"]["environment"]) == (market, place)


def test_init_asks_only_what_the_options_leave_open(tmp_path: Path) -> None:
    options = ("--market", "spot", "--environment", "demo", "--strategy", "none")
    code, shown = on_a_terminal(tmp_path / "bot", "ETHUSDC\n", *options)
    assert code == 0, shown
    assert "2. Symbols" in shown
    assert "1. Market" not in shown
    assert "3. Strategy" not in shown


# --- symbols and sizes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "market", "hint"),
    [
        ("BTCUSD", "um", "did you mean BTCUSDT?"),
        ("BTC", "um", "did you mean BTCUSDT?"),
        ("btcusdt", "um", "did you mean BTCUSDT?"),
        ("BTC/USDT", "spot", "did you mean BTCUSDT?"),
        ("BTC-USDT", "spot", "did you mean BTCUSDT?"),
        ("ETHTRY", "um", "does not end in a quote asset of Binance's futures"),
        ("USDT", "spot", "does not end in a quote asset"),
        ("  ,", "um", "no symbol is named"),
    ],
)
def test_init_text_that_cannot_be_a_symbol_is_refused(text: str, market: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        plausible_symbols(text, market)
    assert hint in str(raised.value)


def test_init_symbols_and_nautilus_ids_are_accepted() -> None:
    names = "BTCUSDT, ETHUSDT-PERP.BINANCE,BTCUSDT,币安人生USDT,BTCUSDT_260327"
    assert plausible_symbols(names, "um") == (
        "BTCUSDT", "ETHUSDT", "币安人生USDT", "BTCUSDT_260327",
    )  # fmt: skip
    assert plausible_symbols("ETHTRY,ETHBTC", "spot") == ("ETHTRY", "ETHBTC")


def test_init_grid_of_an_unknown_symbol_asks_for_its_quantity(tmp_path: Path) -> None:
    refused = init(tmp_path, symbols="BTCUSDT,NEWUSDT", strategy=GRID)
    assert refused.code == 2
    assert "add --base-qty NEWUSDT=QUANTITY" in refused.err
    done = init(tmp_path, "--base-qty", "NEWUSDT=70", symbols="BTCUSDT,NEWUSDT", strategy=GRID)
    assert done.code == 0, done.err
    text = (tmp_path / "strategy_NEWUSDT.yaml").read_text()
    grid = yaml.safe_load(text)
    assert (grid["grid"]["base_qty"], grid["position"]["max_position_size"]) == (70, 1750)
    assert job("plan", "--config", tmp_path / "warmup.yaml").code == 0


# --- templates ----------------------------------------------------------------------------------


def test_init_template_keeps_the_blocks_whose_condition_is_true() -> None:
    text = "a\n<<if yes>>\nb <<name>>\n<<end>>\n<<if not yes>>\nc\n<<end>>\n<<: *d\n"
    assert render(text, {"yes": True, "name": "x"}) == "a\nb x\n<<: *d\n"
    assert render(text, {"yes": "", "name": "x"}) == "a\nc\n<<: *d\n"
    with pytest.raises(KeyError):
        render("<<other>>", {})
