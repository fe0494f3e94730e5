"""What live trading requires: of the configuration, of the account, of the histories."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import msgspec.structs
import pytest
from nautilus_trader.model.data import BarType

from tests.support.config_files import write_config
from warmup_job.acquire.judge import explain
from warmup_job.binance.futures_account import FuturesAccount
from warmup_job.config import load
from warmup_job.handoff.live_bars.stream_history import History
from warmup_job.market.interval import Interval
from warmup_job.plan.resolve import resolve
from warmup_job.plan.warmup_plan import WarmupPlan
from warmup_job.proof.certificate import Certificate
from warmup_job.regime.detector import Regime
from warmup_job.trader.live_requirements import (
    account_problems,
    history_problems,
    settings_problems,
)

GOOD = FuturesAccount(
    can_trade=True,
    hedge_mode=True,
    available={"USDT": Decimal(100)},
    max_leverage={"BTCUSDT": 20},
    margin_type={"BTCUSDT": "CROSSED"},
)


@pytest.fixture
def ready(tmp_path: Path) -> WarmupPlan:
    """Return a plan that meets every requirement of live trading."""
    path = write_config(
        tmp_path, "http://127.0.0.1:9", warmup={"require": "proven"},
        venue={"trading": {"hedge_mode": True, "leverage": 10}},
    )  # fmt: skip
    plan = resolve(load(path, environ={}))
    return msgspec.structs.replace(
        plan, venue=dataclasses.replace(plan.venue, api_key="key", api_secret="secret")
    )


def test_a_complete_configuration_has_no_problems(ready: WarmupPlan) -> None:
    assert settings_problems(ready) == []


def test_the_largest_allowed_leverage_is_no_problem(ready: WarmupPlan) -> None:
    venue = dataclasses.replace(ready.venue, leverage=ready.venue.max_leverage)
    assert settings_problems(msgspec.structs.replace(ready, venue=venue)) == []
    account = msgspec.structs.replace(GOOD, max_leverage={"BTCUSDT": venue.leverage})
    assert account_problems(venue, account) == []


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        ({"api_key": None}, "api.api_key in the venue file: it is not set"),
        ({"api_secret": ""}, "api.api_secret in the venue file: it is not set"),
        ({"api_key": "a key"}, "api.api_key in the venue file: it holds a blank"),
        ({"api_secret": "a secret"}, "api.api_secret in the venue file: it holds a blank"),
        ({"hedge_mode": False}, "trading.hedge_mode in the venue file: it is false"),
        ({"market": "spot"}, "live trading on spot: use --mode paper"),
        ({"market": "spot", "hedge_mode": False}, "live trading on spot: use --mode paper"),
        ({"leverage": 21}, "trading.leverage 21 is above risk.max_leverage 20"),
    ],
)
def test_each_setting_of_the_venue_is_a_problem_of_its_own(
    ready: WarmupPlan, venue: dict[str, Any], words: str
) -> None:
    (problem,) = settings_problems(
        msgspec.structs.replace(ready, venue=dataclasses.replace(ready.venue, **venue))
    )
    assert words in problem


def test_all_problems_of_a_configuration_are_reported_at_once(ready: WarmupPlan) -> None:
    venue = dataclasses.replace(
        ready.venue, api_key=None, api_secret=None, hedge_mode=False, leverage=125
    )
    problems = settings_problems(msgspec.structs.replace(ready, venue=venue, require_proof=False))
    assert len(problems) == 5
    assert "warmup.require" in problems[-1]


def test_a_key_is_never_quoted(ready: WarmupPlan) -> None:
    venue = dataclasses.replace(ready.venue, api_key="Hush Hush", api_secret="Hush\nHush")
    problems = settings_problems(msgspec.structs.replace(ready, venue=venue))
    assert len(problems) == 2
    assert "Hush" not in " ".join(problems)


def test_an_account_that_is_set_up_has_no_problems(ready: WarmupPlan) -> None:
    assert account_problems(ready.venue, GOOD) == []


def test_what_the_account_did_not_tell_is_no_problem_of_its_own(ready: WarmupPlan) -> None:
    """A refused request is in ``problems``; missing responses cause no further problems."""
    account = FuturesAccount(problems=("the key lacks a permission",))
    assert account_problems(ready.venue, account) == ["the key lacks a permission"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"can_trade": False}, "canTrade is false"),
        ({"hedge_mode": False}, "one-way mode"),
        ({"available": {"USDT": Decimal(0)}}, "available balance is zero"),
        ({"available": {}}, "available balance is zero"),
        ({"multi_assets": True}, "the account is in multi-assets mode"),
        ({"max_leverage": {"BTCUSDT": 9}}, "trading.leverage 10 is above what BTCUSDT allows (9)"),
        (
            {"margin_type": {"BTCUSDT": "ISOLATED"}},
            "margin type of BTCUSDT is ISOLATED, but trading.margin_type is CROSSED",
        ),
    ],
)
def test_each_setting_of_the_account_is_a_problem_of_its_own(
    ready: WarmupPlan, change: dict[str, Any], words: str
) -> None:
    (problem,) = account_problems(ready.venue, msgspec.structs.replace(GOOD, **change))
    assert words in problem


CERTIFICATE = Certificate(
    bars=10, lowest=1.0, highest=2.0, proven=True, exact=False, regime=Regime.UP,
    possible=(Regime.UP,), met_bar=5, ema_fast_error_bps=0.1, ema_slow_error_bps=0.1,
    adx_error=0.1, atr_error_bps=0.1, hysteresis_margin_bps=1.0, adx_margin=1.0,
)  # fmt: skip
UNPROVEN = msgspec.structs.replace(
    CERTIFICATE, proven=False, possible=(Regime.UP, Regime.DOWN), met_bar=None
)


def history(**changes: Any) -> History:
    """Return a stream of ten bars, the required number."""
    made = History(
        BarType.from_str("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"), Interval.parse("1m"),
        bars=[object()] * 10, wanted=10,  # only their number counts
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"wanted": 11, "from_listing": True}, None),
        ({"wanted": 11}, "BTCUSDT 1m: 10 bars of 11"),
        ({"bars": []}, "BTCUSDT 1m: its history could not be brought up to date"),
        ({"proof": object()}, "BTCUSDT 1m: its regime is not proven: no certificate"),
        ({"proof": object(), "certificate": CERTIFICATE}, None),
        (
            {"proof": object(), "certificate": UNPROVEN},
            f"BTCUSDT 1m: its regime is not proven: {explain(UNPROVEN)}",
        ),
    ],
)
def test_a_history_must_be_there_long_enough_and_proven(
    changes: dict[str, Any], words: str | None
) -> None:
    assert history_problems([history(**changes)]) == ([] if words is None else [words])
