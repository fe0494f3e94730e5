"""The command line where nautilus_trader is not installed, as in the job's image."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.commands import Result, job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.init_folders import OWN, init
from tests.support.suite import PACKAGE, REPO
from tests.support.without_nautilus import LOCK, link_packages, locked, python_without_nautilus

pytestmark = pytest.mark.e2e

EXAMPLES = "nautilus_trader.examples.strategies"
MAY_NEED_NAUTILUS = (
    "warmup_job.catalog.detector_bars",
    "warmup_job.catalog.instruments",
    "warmup_job.catalog.nautilus_bars",
    "warmup_job.catalog.nautilus_catalog",
    "warmup_job.catalog.symbol_entries",
    "warmup_job.doctor.account_check",
    "warmup_job.doctor.strategy_check",
    "warmup_job.handoff",
    "warmup_job.hedge_grid",
    "warmup_job.init_files.templates",
    "warmup_job.trader",
)
"""What the trader's commands import. All other modules are the job's."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_packages(tmp_path_factory.mktemp("job") / "packages")


@pytest.fixture
def config(exchange: Exchange, tmp_path: Path) -> Path:
    root = {"root": str(tmp_path / "snapshot")}
    return write_config(tmp_path, exchange.url, ws_url=exchange.ws_url, snapshot=root)


def warmup_job(packages: Path, *arguments: object) -> Result:
    done = python_without_nautilus(packages, "-m", "warmup_job", *arguments)
    assert "Traceback" not in done.err, done.err[-3000:]
    return done


def test_job_lock_has_the_versions_of_the_full_lock() -> None:
    """So that both images write the same bytes, and the full one has only files on top."""
    few, full = locked(LOCK), locked(REPO / "requirements.lock")
    assert {name: full.get(name) for name in few} == few
    assert set(full) - set(few) > {"nautilus-trader", "pandas"}


def test_every_module_of_the_job_can_be_imported(packages: Path) -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(each.relative_to(PACKAGE.parent).with_suffix("").parts) for each in files]
    modules = [
        name.removesuffix(".__init__")
        for name in names
        if not name.startswith(MAY_NEED_NAUTILUS) and name != "warmup_job.__main__"
    ]
    assert len(modules) > 200
    script = (
        "import importlib, json\n"
        "wrong = {}\n"
        f"for name in {modules!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except Exception as error: wrong[name] = repr(error)\n"
        "print(json.dumps(wrong))\n"
    )
    done = python_without_nautilus(packages, "-c", script)
    assert done.code == 0, done.err
    assert done.json == {}


def test_installation_has_no_nautilus_and_no_pandas(packages: Path) -> None:
    for name in ("nautilus_trader", "pandas", "pytest"):
        done = python_without_nautilus(packages, "-c", f"import {name}")
        assert f"No module named '{name}'" in done.err


def test_run_publishes_and_every_command_reads_it(packages: Path, config: Path) -> None:
    planned = warmup_job(packages, "plan", "--config", config)
    assert (planned.code, "BTCUSDT 1m" in planned.out) == (0, True), planned.err
    first = warmup_job(packages, "run", "--config", config, "--json")
    assert first.code == 0, first.err
    again = warmup_job(packages, "run", "--config", config, "--json", "--full")
    assert again.code == 0, again.err
    root = config.parent / "snapshot"
    for command in (
        ("verify", root, "--max-age", "1h"),
        ("verify", "--config", config),
        ("inspect", root),
        ("chart", root, "--output", config.parent / "chart.html"),
        ("doctor", "--config", config),
    ):
        done = warmup_job(packages, *command)
        assert done.code == 0, (command, done.out, done.err)
    # A reader with Nautilus takes it for its own: the versions in the manifest are the same.
    read = job("verify", "--config", config)
    assert read.code == 0, read.out


def test_doctor_reports_no_error_unless_real_orders_are_to_be_sent(
    packages: Path, config: Path
) -> None:
    done = warmup_job(packages, "doctor", "--config", config, "--json")
    assert done.code == 0, done.out
    found = {each["check"]: each for each in done.json["checks"]}
    assert found["versions"]["verdict"] == "ok"
    assert "without nautilus_trader" in found["versions"]["text"]
    assert found["strategy"]["verdict"] == found["indicators"]["verdict"] == "skipped"

    live = warmup_job(packages, "doctor", "--config", config, "--mode", "live", "--json")
    assert live.code == 2, live.out
    (failed,) = [each for each in live.json["checks"] if each["exit_code"] == 2]
    assert (failed["check"], "full image" in failed["remedy"]) == ("versions", True)


@pytest.mark.parametrize("command", ["trade", "up"])
def test_trading_is_refused_with_one_line(packages: Path, config: Path, command: str) -> None:
    done = warmup_job(packages, command, "--config", config, "--mode", "paper")
    assert (done.code, done.out) == (2, "")
    (message,) = done.messages
    assert message.startswith(f"{command} needs nautilus_trader, which is not installed here: use")
    assert not (config.parent / "snapshot").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "trade"),
        (["trade", "--help"], "--stop-after"),
        (["--version"], version("warmup-job")),
        (["completion", "bash"], "complete -o"),
        (["trader", "--help"], "flatten"),
    ],
)
def test_help_version_and_completion_work(packages: Path, arguments: list[str], words: str) -> None:
    done = warmup_job(packages, *arguments)
    assert done.code == 0, done.err
    assert words in done.out


def test_strategy_of_ones_own_is_left_to_the_trader(
    packages: Path, exchange: Exchange, tmp_path: Path
) -> None:
    made = init(tmp_path / "mine", symbols="BTCUSDT,ETHUSDT", strategy=OWN)
    assert made.code == 0, made.err
    arguments = ("-m", "warmup_job", "plan", "--config", tmp_path / "mine/warmup.yaml")
    env = {"WARMUP_EXCHANGE_URL": exchange.url, "WARMUP_EXCHANGE_WS_URL": exchange.ws_url}
    done = python_without_nautilus(packages, *arguments, env=env)
    assert done.code == 0, done.err
    (message,) = done.messages
    assert message.endswith("so the trader is the first to import MyStrategy")


@pytest.mark.parametrize("strategy", [OWN, f"{EXAMPLES}.ema_cross:EMACross"])
def test_init_refuses_a_strategy_that_it_would_have_to_import(
    packages: Path, tmp_path: Path, strategy: str
) -> None:
    """And makes no module of the name nautilus_trader, which would hide the real one."""
    assert init(tmp_path, strategy=OWN).code == 0
    (tmp_path / "warmup.yaml").unlink()
    before = files_below(tmp_path)
    answers = ("--market", "futures", "--environment", "local", "--symbols", "BTCUSDT")
    done = warmup_job(packages, "init", tmp_path, *answers, "--force", "--strategy", strategy)
    assert done.code == 2
    (message,) = done.messages
    assert "needs nautilus_trader, which is not installed here: use the full image" in message
    assert files_below(tmp_path) == before


def files_below(folder: Path) -> list[Path]:
    return [each for each in sorted(folder.rglob("*.*")) if each.suffix != ".pyc"]
