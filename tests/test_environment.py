"""Unknown WARMUP_… variables cause a warning; known ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from warmup_job.config import unknown_variables

KNOWN = {"WARMUP_MAX_BARS", "WARMUP_KEEP", "WARMUP_EXCHANGE_SEED"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "WARMUP_MAX_BAR",
            "WARMUP_MAX_BAR: unknown variable, ignored; did you mean WARMUP_MAX_BARS?",
        ),
        ("WARMUP_KEPE", "WARMUP_KEPE: unknown variable, ignored; did you mean WARMUP_KEEP?"),
        ("WARMUP_COLOUR", "WARMUP_COLOUR: unknown variable, ignored"),
        ("WARMUP_a\nb", r"'WARMUP_a\nb': unknown variable, ignored"),
    ],
)
def test_environment_variable_that_nothing_reads_is_reported(name: str, line: str) -> None:
    assert unknown_variables({name: "Hush"}, KNOWN) == [line]


@pytest.mark.parametrize(
    "environ",
    [
        {"WARMUP_KEEP": "3"},
        {"WARMUP_KEPE": ""},
        {"WARM_UP": "1", "OTHER": "1"},
        {"WARMUP_TEST_SCALE": "3", "WARMUP_IMAGE": "i", "WARMUP_EXCHANGE_URL": "u"},
        {
            "WARMUP_MARKET_SERVICE_HOST": "10.0.0.1",
            "WARMUP_MARKET_SERVICE_PORT_HTTP": "80",
            "WARMUP_MARKET_PORT": "tcp://10.0.0.1:80",
            "WARMUP_MARKET_PORT_80_TCP_ADDR": "10.0.0.1",
        },
    ],
)
def test_environment_variables_that_are_read_are_not_reported(environ: dict[str, str]) -> None:
    assert unknown_variables(environ, KNOWN) == []


@pytest.mark.e2e
@pytest.mark.parametrize("command", ["plan", "run", "trade", "up"])
def test_environment_unknown_variable_is_a_warning_of_the_command(
    exchange: Exchange, tmp_path: Path, command: str
) -> None:
    config = write_config(
        tmp_path,
        exchange.url,
        ws_url=exchange.ws_url,
        venue={"symbols": ["${WARMUP_MY_SYMBOL:-A}"]},
        snapshot={"root": str(tmp_path / "snapshot")},
    )
    environ = {
        "WARMUP_MAX_BRAS": "Hush", "WARMUP_MY_SYMBOL": "BTCUSDT", "WARMUP_UNTIL": "-1m",
        "WARMUP_EXCHANGE_SEED": "3", "WARMUP_LOG_LEVEL": "info",
    }  # fmt: skip
    more = ("--mode", "paper", "--stop-after", "100ms") if command in {"trade", "up"} else ()
    done = job(command, "--config", config, *more, env=environ)
    warnings = [line for line in done.messages if "unknown variable" in line]
    assert warnings == ["WARMUP_MAX_BRAS: unknown variable, ignored; did you mean WARMUP_MAX_BARS?"]
    assert "Hush" not in done.err


@pytest.mark.e2e
def test_environment_local_exchange_knows_its_variables() -> None:
    environ = {"WARMUP_EXCHANGE_SEDE": "3", "WARMUP_EXCHANGE_PORT": "x", "WARMUP_MINE": "1"}
    done = job("exchange", env=environ)
    assert done.code == 2  # the port is no number; nothing is started
    done = job("exchange", "--now", "nonsense", env=environ | {"WARMUP_EXCHANGE_PORT": "0"})
    warnings = [line for line in done.messages if "unknown variable" in line]
    assert warnings == [
        "WARMUP_EXCHANGE_SEDE: unknown variable, ignored; did you mean WARMUP_EXCHANGE_SEED?"
    ]
