"""Where each market is served, by environment.

The hosts are those that NautilusTrader's Binance adapter uses, so that a bot is warmed by the same
venue that it trades on (a test compares the two). Binance's futures testnet is served by the demo
hosts since it was merged into demo trading.
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


class Place(NamedTuple):
    """Whose host one of Binance's is."""

    market: Market
    environment: Environment

    def __str__(self) -> str:
        return f"Binance's {self.environment} for {'futures' if self.market == 'um' else 'spot'}"

    def is_in(self, environment: Environment) -> bool:
        """Whether it serves that environment: on futures the testnet is part of demo trading."""
        play = {"testnet", "demo"}
        both = self.market == "um" and {self.environment, environment} <= play
        return both or self.environment == environment


class Verdict(NamedTuple):
    """What is wrong with the URLs of one venue file, one line each, by the keys of the file."""

    rest: tuple[str, ...] = ()
    """Nothing can be fetched there."""
    live: tuple[str, ...] = ()
    """History and live bars would be of different markets: nobody may trade on them."""
    odd: tuple[str, ...] = ()


def place_of(url: str | None) -> Place | None:
    """What Binance serves at a REST or websocket URL; None: it is none of Binance's known hosts."""
    return None if url is None else _PLACES.get(_host(url))


def environment_of(
    said: Environment | None, base_url: str | None, ws_url: str | None
) -> Environment:
    """The environment of a venue: as it says itself, or that of its known hosts, or production."""
    place = place_of(base_url) or place_of(ws_url)
    return said or (place.environment if place else "production")


def judge(
    market: Market, said: Environment | None, said_by: str, base_url: str | None, ws_url: str | None
) -> Verdict:
    """Whether REST and websocket are of one market, as far as their hosts tell.

    A URL that is not given is that of the environment, which a known host of the other one tells.

    Args:
        said: the environment that the file names, by the key ``said_by``; None: it names none.
    """
    rest: list[str] = []
    live: list[str] = []
    places = {"api.base_url": place_of(base_url), "api.ws_url": place_of(ws_url)}
    for key, place in places.items():
        if place is None:
            continue
        if place.market != market:
            kind = "futures" if market == "um" else "spot"
            line = f"{key} is {place}, and venue.venue_type is {kind}: correct one of them"
            (rest if key == "api.base_url" else live).append(line)
        elif said is not None and not place.is_in(said):
            live.append(f"{key} is {place}, and {said_by}: correct one of them")
    there, streams = places.values()
    pair = there and streams and there.market == streams.market == market
    if pair and not live and there and streams and not there.is_in(streams.environment):
        live.append(
            f"api.base_url is {there}, and api.ws_url is {streams}: history and live bars would be "
            "of different markets; correct one of them"
        )
    elsewhere = f"Binance's {environment_of(said, base_url, ws_url)}"
    if base_url and not there and not ws_url:
        live.append(
            f"api.ws_url is missing: with api.base_url alone, history would come from "
            f"{_host(base_url)} and live bars from {elsewhere}; add the same exchange's websocket"
        )
    if ws_url and not streams and not base_url:
        live.append(
            f"api.base_url is missing: with api.ws_url alone, live bars would come from "
            f"{_host(ws_url)} and history from {elsewhere}; add the same exchange's REST address"
        )
    odd = []
    if base_url and ws_url and bool(there) != bool(streams):
        known, other = ("api.base_url", ws_url) if there else ("api.ws_url", base_url)
        odd.append(
            f"{known} is {there or streams}, and the other one is {_host(other)}: are history and "
            "live bars of one market?"
        )
    return Verdict(tuple(rest), tuple(live), tuple(odd))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _places() -> dict[str, Place]:
    found: dict[str, Place] = {}
    for hosts_of in (_HOSTS, _WEBSOCKET_HOSTS):
        for market, urls in hosts_of.items():
            # Where testnet and demo are one host, it goes by demo.
            found |= {_host(url): Place(market, environment) for environment, url in urls.items()}
    for table in (_ALSO_REST, _ALSO_WEBSOCKETS):
        found |= {host: Place(*key) for key, hosts in table.items() for host in hosts}
    return found


_PLACES = _places()


def public_url(url: str) -> str:
    """``url`` without a user's name and password, for logs, errors and manifests."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def account_ws_url(ws_url: str | None) -> str | None:
    """Where an Ed25519 key logs on by websocket, at an exchange that is none of Binance's hosts.

    None: the environment's own, which Nautilus knows.
    """
    if ws_url is None or place_of(ws_url) is not None:
        return None
    return f"{ws_url.rstrip('/')}/ws-fapi/v1"


def rest_url(market: Market, environment: Environment, base_url: str | None = None) -> str:
    """The REST base URL, without a trailing slash; ``base_url`` overrides the environment's."""
    return (base_url or _HOSTS[market][environment]).rstrip("/")


def websocket_url(market: Market, environment: Environment, ws_url: str | None = None) -> str:
    """The base URL of the streams; ``ws_url`` overrides the environment's."""
    return (ws_url or _WEBSOCKET_HOSTS[market][environment]).rstrip("/")
