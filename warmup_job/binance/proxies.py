"""Choose the proxy of a URL from the environment, in the same way for ccxt and Nautilus.

The libraries read the variables differently: aiohttp ignores ALL_PROXY and https:// proxies,
Nautilus' REST client has its own rules, and Nautilus' websocket reads none. So this module reads
them, and each library gets the result.

Only ``http://`` proxies are accepted. aiohttp cannot use SOCKS without another package, and
Nautilus' websocket ignores a SOCKS proxy and connects directly. Nautilus' websocket trusts public
certificate authorities only, so it cannot use most ``https://`` proxies. Traffic to Binance through
an ``http://`` proxy is encrypted by TLS anyway.
"""

from __future__ import annotations

import ipaddress
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from warmup_job.errors import ConfigError

_FORM = "write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"
_HOST = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]", re.ASCII
)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FOR_SCHEME = {
    "http": "http_proxy",
    "ws": "http_proxy",
    "https": "https_proxy",
    "wss": "https_proxy",
}
_SOCKS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
type _Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. Only `url` and `authorization` contain its password."""

    variable: str
    """The environment variable that configures it."""
    address: str
    """``http://HOST:PORT``."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address with user and password, percent-encoded."""
        if self.user is None:
            return self.address
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"http://{quote(self.user, safe='')}{secret}@{self.address.removeprefix('http://')}"

    @property
    def authorization(self) -> str | None:
        """The value of the Proxy-Authorization header; None: the proxy has no user."""
        if self.user is None:
            return None
        pair = f"{self.user}:{self.password or ''}".encode()
        return f"Basic {b64encode(pair).decode('ascii')}"


def check_proxies(urls: Iterable[str], environ: _Environ = os.environ) -> None:
    """Check every proxy variable that applies to ``urls``.

    Raises:
        ConfigError: It has every problem, one per line, without any part of the values.
    """
    problems = []
    try:
        direct = all(_is_direct(url, environ) for url in urls)
    except ConfigError as error:
        problems, direct = [str(error)], False
    names = [] if direct else ["http_proxy", "https_proxy"]
    if not direct and not all(_lookup(name, environ) for name in names):
        names.append("all_proxy")
    for name in names:
        try:
            found = _lookup(name, environ)
            if found is not None:
                _parse(*found)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))


def proxy_for(url: str, environ: _Environ = os.environ) -> Proxy | None:
    """Return the proxy for an http, https, ws or wss URL; None: connect directly.

    As in curl and Python, the scheme's own variable has priority over ALL_PROXY, and lower case
    over upper case. An empty variable counts as unset; an empty lower-case one hides the upper-case
    one.

    Raises:
        ConfigError: The variable in effect is invalid. The message has no part of its value.
    """
    found = _lookup(_FOR_SCHEME[urlsplit(url).scheme], environ) or _lookup("all_proxy", environ)
    if found is None or _is_direct(url, environ):
        return None
    return _parse(*found)


def common_proxy(
    rest_url: str, ws_url: str, environ: MutableMapping[str, str] = os.environ
) -> Proxy | None:
    """Return the proxy for both of a trader's URLs.

    Nautilus accepts one proxy for REST and websocket. Without one its REST client reads the
    environment by its own rules, so for a direct connection this adds the host to this process'
    NO_PROXY.

    Raises:
        ConfigError: The two URLs need different proxies.
    """
    proxy = proxy_for(rest_url, environ)
    if proxy_for(ws_url, environ) != proxy:
        raise ConfigError(
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY give the exchange's REST and "
            "websocket URLs different proxies, or only one of them a proxy. Nautilus accepts one "
            "proxy for both: set the variables so that both URLs get the same"
        )
    if proxy is None and any(
        _lookup(name, environ) for name in (*_FOR_SCHEME.values(), "all_proxy")
    ):
        host = urlsplit(rest_url).hostname or ""
        _, named = _lookup("no_proxy", environ) or ("", "")
        if host not in named.split(","):
            named = f"{named},{host}" if named else host
        environ["no_proxy"] = environ["NO_PROXY"] = named
    return proxy


def _lookup(name: str, environ: _Environ) -> tuple[str, str] | None:
    """Return the name and value of the variable that is set; None: it is unset or empty."""
    for each in (name, name.upper()):
        if each in environ:
            return (each, environ[each]) if environ[each].strip() else None
    return None


def _parse(variable: str, value: str) -> Proxy:
    scheme, separator, rest = value.strip().partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ConfigError(f"{variable} has no scheme: {_FORM}")
    if scheme == "https":
        raise ConfigError(
            f"{variable} is an https:// proxy, which is not supported: Nautilus' websocket trusts "
            f"public certificate authorities only; {_FORM} (traffic to Binance is encrypted anyway)"
        )
    if scheme in _SOCKS:
        raise ConfigError(
            f"{variable} is a SOCKS proxy, which is not supported: Nautilus' websocket would "
            f"ignore it and connect directly; {_FORM}"
        )
    # A password may hold "/", "#" or "@" unescaped: the host begins after the last "@".
    login, at, address = rest.rpartition("@")
    address = address.removesuffix("/")
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, "80"
    if scheme != "http" or not _HOST.fullmatch(host) or not _PORT.fullmatch(port):
        raise ConfigError(f"{variable} is not the URL of a proxy: {_FORM}")
    if host.startswith("[") and not _address(host[1:-1]):
        raise ConfigError(f"{variable} is not the URL of a proxy: {_FORM}")
    if not 0 < int(port) < 65_536:
        raise ConfigError(f"the port of {variable} is not between 1 and 65535: {_FORM}")
    user, password = _login(variable, login) if at else (None, None)
    return Proxy(variable, f"http://{host.lower()}:{int(port)}", user, password)


def _login(variable: str, login: str) -> tuple[str, str | None]:
    user, colon, password = login.partition(":")
    try:
        user, password = unquote(user, errors="strict"), unquote(password, errors="strict")
        (user + password).encode()
    except UnicodeError:
        raise ConfigError(f"user or password of {variable} is not UTF-8") from None
    if _CONTROL.search(user + password) or ":" in user:
        raise ConfigError(
            f"user or password of {variable} has a control character, or the user has a colon, "
            "which HTTP does not allow: change them"
        )
    return user, password if colon else None


def _is_direct(url: str, environ: _Environ) -> bool:
    """Return whether NO_PROXY includes the host of ``url``.

    Entries are separated by commas or spaces: ``*``, a host, a domain with or without a leading
    dot (its subdomains too), an IP address or network, each with or without a port.

    Raises:
        ConfigError: An entry has none of these forms.
    """
    found = _lookup("no_proxy", environ)
    if found is None:
        return False
    variable, value = found
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port
    default = 443 if parts.scheme in {"https", "wss"} else 80
    return any(
        _matches(variable, entry, host.lower(), port or default)
        for entry in re.split(r"[,\s]+", value)
        if entry
    )


def _matches(variable: str, entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry and "://" not in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise _bad_entry(variable) from None
        return address is not None and address in network
    alone = entry.strip("[]")
    if _address(alone):
        return address is not None and address == _address(alone)
    name, colon, entry_port = entry.rpartition(":")
    if not colon:
        name, entry_port = entry, str(port)
    name = name.strip("[]").removeprefix("*").removeprefix(".").rstrip(".").lower()
    if not _PORT.fullmatch(entry_port) or not (_HOST.fullmatch(name) or _address(name)):
        raise _bad_entry(variable)
    if int(entry_port) != port:
        return False
    if address is not None:
        return address == _address(name)
    return host == name or host.endswith(f".{name}")


def _bad_entry(variable: str) -> ConfigError:
    return ConfigError(
        f"an entry of {variable} is neither a host, a domain, an IP address or network nor *: "
        "write the entries without a scheme, separated by commas"
    )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
