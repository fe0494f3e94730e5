"""A bot uses history of the venue that it trades on: our hosts are those of Nautilus' adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.support.commands import job
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from warmup_job.binance.endpoints import (
    Environment,
    UrlProblems,
    known_host,
    rest_url,
    websocket_url,
)
from warmup_job.config import VenueConfig
from warmup_job.config.venue_file import ApiSection, VenueSection
from warmup_job.market.pages import Market


def urls_of_nautilus(market: Market, environment: Environment) -> list[str]:
    """Return Nautilus' URLs: REST, and the websocket's market, private and public ones."""
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType, BinanceEnvironment
    from nautilus_trader.adapters.binance.common.urls import (
        get_http_base_url,
        get_ws_base_url,
        get_ws_private_base_url,
        get_ws_public_base_url,
    )

    accounts = {"um": BinanceAccountType.USDT_FUTURES, "spot": BinanceAccountType.SPOT}
    environments = {
        "production": BinanceEnvironment.LIVE,
        "testnet": BinanceEnvironment.TESTNET,
        "demo": BinanceEnvironment.DEMO,
    }
    return [
        url(accounts[market], environments[environment], is_us=False)
        for url in (
            get_http_base_url,
            get_ws_base_url,
            get_ws_private_base_url,
            get_ws_public_base_url,
        )
    ]


@pytest.mark.parametrize("market", get_args(Market))
@pytest.mark.parametrize("environment", get_args(Environment))
def test_endpoints_are_those_of_nautilus_live_node(
    market: Market, environment: Environment
) -> None:
    theirs, streams, *_ = urls_of_nautilus(market, environment)
    assert rest_url(market, environment) == theirs
    assert websocket_url(market, environment) == streams.removesuffix("/market")


def test_endpoints_base_url_overrides_the_default() -> None:
    assert rest_url("um", "production", "http://127.0.0.1:1/") == "http://127.0.0.1:1"


# -- REST and websocket of one market ------------------------------------------------------------

PRODUCTION, TESTNET = "https://fapi.binance.com", "https://testnet.binancefuture.com"
DEMO, LOCAL = "https://demo-fapi.binance.com", "http://user:Hush@10.0.0.1:8080"
WS, TESTNET_WS, DEMO_WS = (
    "wss://fstream.binance.com", "wss://stream.binancefuture.com", "wss://demo-fstream.binance.com"
)  # fmt: skip
LOCAL_WS = "ws://10.0.0.1:8080"


@pytest.mark.parametrize("market", get_args(Market))
@pytest.mark.parametrize("environment", get_args(Environment))
def test_endpoints_every_host_of_nautilus_is_known(
    market: Market, environment: Environment
) -> None:
    for url in urls_of_nautilus(market, environment):
        place = known_host(url)
        assert place is not None, url
        assert place.market == market
        assert place.is_in(environment)


def problems_of(market: Market, base: str | None, ws: str | None, **api: Any) -> UrlProblems:
    kinds: Any = {"um": ("futures", "PERPETUAL_LINEAR"), "spot": ("spot", "CASH")}[market]
    venue = VenueSection(name="BINANCE", venue_type=kinds[0], account_type=kinds[1])
    return VenueConfig(venue=venue, api=ApiSection(base_url=base, ws_url=ws, **api)).url_problems()


@pytest.mark.parametrize(
    ("market", "base", "ws", "api"),
    [
        ("um", None, None, {}),
        ("um", None, None, {"testnet": True}),
        ("um", PRODUCTION, None, {}),
        ("um", PRODUCTION, None, {"testnet": False}),
        ("um", TESTNET, None, {}),
        ("um", TESTNET, None, {"testnet": True}),
        ("um", DEMO, TESTNET_WS, {"testnet": True}),  # as in Nautilus' own tables
        ("um", DEMO, DEMO_WS, {"environment": "demo"}),
        ("um", None, TESTNET_WS, {}),
        ("um", f"{PRODUCTION}/", f"{WS}/market/ws", {}),
        ("um", LOCAL, LOCAL_WS, {"testnet": True}),
        ("spot", "https://api2.binance.com", "wss://stream.binance.com:9443", {}),
        ("spot", "https://testnet.binance.vision", None, {"testnet": True}),
    ],
)
def test_endpoints_of_another_market_are_recognised(
    market: Market, base: Any, ws: Any, api: dict[str, Any]
) -> None:
    assert problems_of(market, base, ws, **api) == UrlProblems()


@pytest.mark.parametrize(
    ("market", "base", "ws", "api", "line"),
    [
        (
            "um", TESTNET, None, {"testnet": False},
            ("api.base_url is Binance's testnet for futures, and api.testnet is false: correct one "
            "of them"),
        ),
        (
            "um", PRODUCTION, None, {"testnet": True},
            ("api.base_url is Binance's production for futures, and api.testnet is true: correct "
            "one of them"),
        ),
        (
            "um", None, WS, {"environment": "demo"},
            ("api.ws_url is Binance's production for futures, and api.environment is demo: correct "
            "one of them"),
        ),
        (
            "um", TESTNET, WS, {},
            ("api.base_url is Binance's testnet for futures, and api.ws_url is Binance's "
            "production for futures: history and live bars would be of different markets; correct "
            "one of them"),
        ),
        (
            "um", TESTNET, WS, {"testnet": True},
            ("api.ws_url is Binance's production for futures, and api.testnet is true: correct one "
            "of them"),
        ),
        (
            "um", LOCAL, None, {"testnet": True},
            ("api.ws_url is missing: with api.base_url alone, history would come from 10.0.0.1 and "
            "live bars from Binance's testnet; add the same exchange's websocket"),
        ),
        (
            "um", None, LOCAL_WS, {},
            ("api.base_url is missing: with api.ws_url alone, live bars would come from 10.0.0.1 "
            "and history from Binance's production; add the same exchange's REST address"),
        ),
        (
            "spot", None, WS, {},
            ("api.ws_url is Binance's production for futures, and venue.venue_type is spot: "
            "correct one of them"),
        ),
        (
            "spot", "https://testnet.binance.vision", None, {"environment": "demo"},
            ("api.base_url is Binance's testnet for spot, and api.environment is demo: correct one "
            "of them"),
        ),
    ],
)  # fmt: skip
def test_endpoints_that_cannot_be_traded_on_are_refused(
    market: Market, base: Any, ws: Any, api: dict[str, Any], line: str
) -> None:
    assert problems_of(market, base, ws, **api) == UrlProblems(live=(line,))


def test_endpoints_that_serve_no_klines_are_refused() -> None:
    line = (
        "api.base_url is Binance's production for spot, and venue.venue_type is futures: correct "
        "one of them"
    )
    assert problems_of("um", "https://api.binance.com", None) == UrlProblems(rest=(line,))


@pytest.mark.parametrize(
    ("base", "ws", "words"),
    [
        (PRODUCTION, LOCAL_WS, "api.base_url is Binance's production for futures, and the other"),
        (LOCAL, WS, "api.ws_url is Binance's production for futures, and the other URL is 10.0.0."),
    ],
)
def test_endpoints_that_may_be_a_relay_are_warned_of(base: str, ws: str, words: str) -> None:
    verdict = problems_of("um", base, ws)
    assert (verdict.rest, verdict.live) == ((), ())
    assert verdict.warnings[0].startswith(words)
    assert "Hush" not in verdict.warnings[0]


@pytest.mark.parametrize(
    ("base", "ws", "environment"),
    [
        (TESTNET, None, "testnet"),
        (None, DEMO_WS, "demo"),
        (LOCAL, LOCAL_WS, "production"),
        (PRODUCTION, None, "production"),
    ],
)
def test_endpoints_known_host_determines_the_environment(
    base: str | None, ws: str | None, environment: str
) -> None:
    venue = VenueSection(name="B", venue_type="futures", account_type="PERPETUAL_LINEAR")
    assert (
        VenueConfig(venue=venue, api=ApiSection(base_url=base, ws_url=ws)).environment
        == environment
    )


@pytest.mark.e2e
def test_endpoints_trader_refuses_what_the_job_warns_of(exchange: Exchange, tmp_path: Path) -> None:
    """The files of naut_hedgegrid have a base_url and no ws_url."""
    config = write_config(
        tmp_path, exchange.url, snapshot={"root": str(tmp_path / "snapshot")}, ws_url=None
    )
    words = "venue.yaml: api.ws_url is missing: with api.base_url alone"
    done = job("run", "--config", config)
    assert done.code == 0, done.err
    assert any(words in line for line in done.messages)
    before = len(exchange.requests())
    for mode in ("paper", "live"):
        refused = job("trade", "--config", config, "--mode", mode)
        assert refused.code == 2, refused.err
        assert words in refused.messages[-1]
    assert len(exchange.requests()) == before


@pytest.mark.e2e
def test_endpoints_job_refuses_the_rest_address_of_another_market(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://api.binance.com")
    for command in ("plan", "run"):
        done = job(command, "--config", config)
        assert done.code == 2, done.err
        assert "api.base_url is Binance's production for spot" in done.messages[-1]
