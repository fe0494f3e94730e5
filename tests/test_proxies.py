"""The proxy variables: which one is in effect, which are refused, and that no message leaks."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmup_job.binance.proxies import check_proxies, common_proxy, proxy_for
from warmup_job.errors import ConfigError

REST, STREAM = "https://fapi.binance.com", "wss://fstream.binance.com"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def used(url: str = REST, **environ: str) -> str | None:
    """Return the address of the proxy for ``url``."""
    proxy = proxy_for(url, environ)
    return None if proxy is None else proxy.address


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (REST, {}, None),
        (REST, {"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        (REST, {"HTTP_PROXY": "http://a:1"}, None),
        ("http://x", {"HTTP_PROXY": "http://a:1"}, "http://a:1"),
        (STREAM, {"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ("ws://x", {"HTTP_PROXY": "http://a:1"}, "http://a:1"),
        (REST, {"ALL_PROXY": "http://a:1"}, "http://a:1"),
        (REST, {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2"}, "http://b:2"),
        (REST, {"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:2"}, "http://low:1"),
        (REST, {"https_proxy": "", "HTTPS_PROXY": "http://up:2"}, None),
        (REST, {"HTTPS_PROXY": "http://a"}, "http://a:80"),
        (REST, {"HTTPS_PROXY": " HTTP://A.b:3128/ "}, "http://a.b:3128"),
        (REST, {"HTTPS_PROXY": "http://[::1]:3128"}, "http://[::1]:3128"),
        (REST, {"HTTPS_PROXY": "http://[::1]"}, "http://[::1]:80"),
    ],
)
def test_proxies_variable_in_effect(
    url: str, environ: dict[str, str], expected: str | None
) -> None:
    assert used(url, **environ) == expected


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        (REST, "*", True),
        (REST, "fapi.binance.com", True),
        (REST, "binance.com", True),
        (REST, ".binance.com", True),
        (REST, "*.binance.com", True),
        (REST, "localhost,  .BINANCE.com", True),
        (REST, "nance.com", False),
        (REST, "fapi.binance.com:443", True),
        (REST, "fapi.binance.com:80", False),
        (REST, "", False),
        ("http://10.1.2.3:8080", "10.0.0.0/8,.svc", True),
        ("http://10.1.2.3:8080", "10.1.2.3", True),
        ("http://10.1.2.3:8080", "10.1.2.3:8080", True),
        ("http://10.1.2.3:8080", "10.1.2.3:80", False),
        ("http://11.1.2.3:8080", "10.0.0.0/8", False),
        ("http://[::1]:8080", "::1", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        (REST, "10.0.0.0/8,::1", False),
    ],
)
def test_proxies_no_proxy_matches_hosts_domains_and_networks(
    url: str, no_proxy: str, direct: bool
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        found = used(url, ALL_PROXY="http://a:1", **{name: no_proxy})
        assert (found is None) == direct, name


SECRET = "hunter2"
BAD = [
    f"user:{SECRET}@host:3128", f"https://user:{SECRET}@host:3128", f"socks5://u:{SECRET}@host",
    f"socks5h://u:{SECRET}@host", f"ftp://u:{SECRET}@host", f"http://u:{SECRET}@", "http://",
    f"http://u:{SECRET}@host:0", f"http://u:{SECRET}@host:65536", f"http://u:{SECRET}@host:x",
    f"http://u:{SECRET}@ho st:1", f"http://u:{SECRET}@host:1/path", f"http://u:{SECRET}@[::zz]:1",
    f"http://u:{SECRET}%0d%0aX: y@host:1", f"http://u%3Av:{SECRET}@host:1",
    f"http://u:{SECRET}%ff@host:1", f"http://u:{SECRET}@host:1#x",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("variable", VARIABLES)
def test_proxies_refused_variable_is_named_and_its_value_hidden(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_proxies([REST, STREAM], {variable: value})
    message = str(caught.value)
    assert variable in message
    assert SECRET not in message
    assert "user" not in message.replace("user or password", "").replace("the user", "")
    assert "host" not in message


@pytest.mark.parametrize("entry", ["http://x", "10.0.0.0/99", "a@b", "x:y"])
def test_proxies_bad_entry_of_no_proxy_is_refused(entry: str) -> None:
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": f"localhost,{entry}"}
    with pytest.raises(ConfigError, match="NO_PROXY") as caught:
        check_proxies([REST], environ)
    assert entry not in str(caught.value)


def test_proxies_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_proxies([REST], {"HTTP_PROXY": "a:1", "HTTPS_PROXY": "socks5://b"})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://a:1", "ALL_PROXY": "socks5://b:2"},
        {"ALL_PROXY": "socks5://b:2", "NO_PROXY": ".binance.com"},
        {"https_proxy": "http://a:1", "HTTPS_PROXY": "socks5://b:2"},
    ],
)
def test_proxies_variables_without_effect_are_not_checked(environ: dict[str, str]) -> None:
    check_proxies([REST, STREAM], environ)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=12)


@given(TEXT.filter(lambda text: ":" not in text and "%" not in text), TEXT)
@example("user", "pa#ss")
@example("us/er", "p@s/s?:ü€")
def test_proxies_special_character_in_a_password_is_sent_unchanged(
    user: str, password: str
) -> None:
    """Special characters also work unescaped; a percent sign must be escaped."""
    password = password.replace("%", "")
    proxy = proxy_for(REST, {"HTTPS_PROXY": f"http://{user}:{password}@host:1"})
    assert proxy is not None
    assert proxy.address == "http://host:1"
    assert proxy.authorization is not None
    sent = base64.b64decode(proxy.authorization.removeprefix("Basic ")).decode()
    assert sent == f"{user}:{password}"
    again = proxy_for(REST, {"HTTPS_PROXY": proxy.url})
    assert again == proxy
    assert repr(proxy) == "Proxy(variable='HTTPS_PROXY', address='http://host:1')"


@given(st.text(max_size=60), st.sampled_from((*VARIABLES, "NO_PROXY")))
def test_proxies_any_value_is_used_or_refused(value: str, variable: str) -> None:
    environ = {"HTTPS_PROXY": "http://a:1"} | {variable: value}
    try:
        check_proxies([REST, STREAM], environ)
        common_proxy(REST, STREAM, environ)
    except ConfigError as error:
        assert variable in str(error)  # noqa: PT017 - not raising is as good


def test_proxies_rest_and_websocket_of_a_trader_share_one_proxy() -> None:
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "fstream.binance.com"}
    with pytest.raises(ConfigError, match="one proxy for both"):
        common_proxy(REST, STREAM, environ)
    found = common_proxy(REST, STREAM, {"HTTPS_PROXY": "http://u:p@a:1"})
    assert found is not None
    assert found.url == "http://u:p@a:1"


def test_proxies_no_proxy_host_is_passed_to_nautilus() -> None:
    """Nautilus' REST client reads the environment by different rules."""
    environ = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*.binance.com"}
    for _ in range(2):
        assert common_proxy(REST, STREAM, environ) is None
        assert environ["NO_PROXY"] == environ["no_proxy"] == "*.binance.com,fapi.binance.com"
    untouched: dict[str, str] = {}
    assert common_proxy(REST, STREAM, untouched) is None
    assert untouched == {}
