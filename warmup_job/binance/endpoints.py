"""Know Binance's hosts by market and environment, and check a venue file's URLs against them.

The hosts are those of NautilusTrader's Binance adapter, so that history comes from the exchange
that the bot trades on (a test compares the two). The demo hosts also serve the futures testnet,
which Binance merged into demo trading.
"""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from warmup_job.market.pages import Market

Environment = Literal["production", "testnet", "demo"]

_HOSTS: dict[Market, dict[Environment, str]] = {
    "um": {
        "production": "https://fapi.binance.com",
        "testnet": "https://demo-fapi.binance.com",
        "demo": "https://demo-fapi.binance.com",
    },
    "spot": {
        "production": "https://api.binance.com",
        "testnet": "https://testnet.binance.vision",
        "demo": "https://demo-api.binance.com",
    },
}

_WEBSOCKET_HOSTS: dict[Market, dict[Environment, str]] = {
    "um": {
        "production": "wss://fstream.binance.com",
        "testnet": "wss://stream.binancefuture.com",
        "demo": "wss://demo-fstream.binance.com",
    },
    "spot": {
        "production": "wss://stream.binance.com:9443",
        "testnet": "wss://stream.testnet.binance.vision",
        "demo": "wss://demo-stream.binance.com",
    },
}
_ALSO_REST: dict[tuple[Market, Environment], tuple[str, ...]] = {
    ("um", "testnet"): ("testnet.binancefuture.com",),
    ("spot", "production"): (
        *(f"api{number}.binance.com" for number in range(1, 5)),
        "api-gcp.binance.com",
        "data-api.binance.vision",
    ),
}
_ALSO_WEBSOCKETS: dict[tuple[Market, Environment], tuple[str, ...]] = {
    ("um", "production"): ("fstream-auth.binance.com", "fstream-mm.binance.com"),
    ("um", "testnet"): ("fstream.binancefuture.com",),
    ("spot", "production"): ("data-stream.binance.vision",),
}


class BinanceHost(NamedTuple):
    """What a host of Binance serves."""

    market: Market
    environment: Environment

    def __str__(self) -> str:
        return f"Binance's {self.environment} for {'futures' if self.market == 'um' else 'spot'}"

    def is_in(self, environment: Environment) -> bool:
        """Return whether it serves the environment; on futures demo and testnet are the same."""
        demo = {"testnet", "demo"}
        same = self.market == "um" and {self.environment, environment} <= demo
        return same or self.environment == environment


class UrlProblems(NamedTuple):
    """Problems of a venue file's URLs, one line each; the lines name the file's keys."""

    rest: tuple[str, ...] = ()
    """Problems that prevent fetching."""
    live: tuple[str, ...] = ()
    """Problems that prevent live trading: history and live bars are of different markets."""
    warnings: tuple[str, ...] = ()
    """What may be a mistake."""


def known_host(url: str | None) -> BinanceHost | None:
    """Return what Binance serves at a REST or websocket URL; None: the host is not Binance's."""
    return None if url is None else _KNOWN_HOSTS.get(_host(url))


def environment_of(
    configured: Environment | None, base_url: str | None, ws_url: str | None
) -> Environment:
    """Return the configured environment, or that of the URLs' known hosts, or production."""
    host = known_host(base_url) or known_host(ws_url)
    return configured or (host.environment if host else "production")


def find_url_problems(
    market: Market,
    configured: Environment | None,
    setting: str,
    base_url: str | None,
    ws_url: str | None,
) -> UrlProblems:
    """Check that the REST and the websocket URL belong to the same market and environment.

    Args:
        market: The market of the venue file.
        configured: The environment that the file names; None: it names none.
        setting: The file's setting that names it, for the messages.
        base_url: ``api.base_url``; None: the environment's own.
        ws_url: ``api.ws_url``; None: the environment's own.
    """
    rest: list[str] = []
    live: list[str] = []
    hosts = {"api.base_url": known_host(base_url), "api.ws_url": known_host(ws_url)}
    for key, host in hosts.items():
        if host is None:
            continue
        if host.market != market:
            kind = "futures" if market == "um" else "spot"
            line = f"{key} is {host}, and venue.venue_type is {kind}: correct one of them"
            (rest if key == "api.base_url" else live).append(line)
        elif configured is not None and not host.is_in(configured):
            live.append(f"{key} is {host}, and {setting}: correct one of them")
    rest_host, ws_host = hosts.values()
    pair = rest_host and ws_host and rest_host.market == ws_host.market == market
    if pair and not live and rest_host and ws_host and not rest_host.is_in(ws_host.environment):
        live.append(
            f"api.base_url is {rest_host}, and api.ws_url is {ws_host}: history and live bars "
            "would be of different markets; correct one of them"
        )
    default = f"Binance's {environment_of(configured, base_url, ws_url)}"
    if base_url and not rest_host and not ws_url:
        live.append(
            f"api.ws_url is missing: with api.base_url alone, history would come from "
            f"{_host(base_url)} and live bars from {default}; add the same exchange's websocket"
        )
    if ws_url and not ws_host and not base_url:
        live.append(
            f"api.base_url is missing: with api.ws_url alone, live bars would come from "
            f"{_host(ws_url)} and history from {default}; add the same exchange's REST address"
        )
    warnings = []
    if base_url and ws_url and bool(rest_host) != bool(ws_host):
        known, other = ("api.base_url", ws_url) if rest_host else ("api.ws_url", base_url)
        warnings.append(
            f"{known} is {rest_host or ws_host}, and the other URL is {_host(other)}: check that "
            "history and live bars are of one market"
        )
    return UrlProblems(tuple(rest), tuple(live), tuple(warnings))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _all_hosts() -> dict[str, BinanceHost]:
    found: dict[str, BinanceHost] = {}
    for hosts_of in (_HOSTS, _WEBSOCKET_HOSTS):
        for market, urls in hosts_of.items():
            # A host that serves both testnet and demo counts as demo.
            found |= {
                _host(url): BinanceHost(market, environment) for environment, url in urls.items()
            }
    for table in (_ALSO_REST, _ALSO_WEBSOCKETS):
        found |= {host: BinanceHost(*key) for key, hosts in table.items() for host in hosts}
    return found


_KNOWN_HOSTS = _all_hosts()


def public_url(url: str) -> str:
    """Return ``url`` without user and password, for logs, errors and manifests."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def account_ws_url(ws_url: str | None) -> str | None:
    """Return the websocket API URL for an Ed25519 login at an exchange that is not Binance's.

    None means the environment's own URL, which Nautilus knows.
    """
    if ws_url is None or known_host(ws_url) is not None:
        return None
    return f"{ws_url.rstrip('/')}/ws-fapi/v1"


def rest_url(market: Market, environment: Environment, base_url: str | None = None) -> str:
    """Return the REST base URL without a trailing slash; ``base_url`` overrides the default."""
    return (base_url or _HOSTS[market][environment]).rstrip("/")


def websocket_url(market: Market, environment: Environment, ws_url: str | None = None) -> str:
    """Return the base URL of the websocket streams; ``ws_url`` overrides the default."""
    return (ws_url or _WEBSOCKET_HOSTS[market][environment]).rstrip("/")
