"""Proxies, certificates and secrets: requirements of a company's network, and no leaks."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.commands import job, job_process, trade_until
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.proxies import forward_proxy, proxied, serving, tunnel_to
from tests.support.suite import HANG_S
from tests.support.waiting import until

pytestmark = pytest.mark.e2e
KEY, SECRET = "AKIA-not-for-your-eyes-1234", "s3cr3t-not-for-anyones-eyes-5678"


def run(config: Path, root: Path, **env: str) -> tuple[int, str]:
    done = job("run", "--config", config, "--root", root, env=env)
    assert "Traceback" not in done.err, done.err[-1500:]
    return done.code, done.err


LOGIN = "some one:pa#ss/w@rd?"
OF_LOGIN = "http://some%20one:pa#ss/w@rd?@"  # a common notation


def test_proxy_of_the_environment_is_used(exchange: Exchange, tmp_path: Path) -> None:
    """The password has special characters that are not escaped."""
    config = write_config(tmp_path, "http://exchange.invalid", warmup={"on_failure": "fail"})
    seen: list[str] = []
    with serving(forward_proxy(exchange, seen, LOGIN)) as port:
        code, log = run(config, tmp_path / "s", **proxied(f"{OF_LOGIN}127.0.0.1:{port}"))
    assert code == 0, log
    assert any("http://exchange.invalid/fapi/v1/klines" in line for line in seen)
    assert "pa#ss" not in log


def live_trader(config: Path, folder: Path, env: dict[str, str]) -> str:
    """Run a paper trader until it is live, stop it, and return its log."""
    log = folder / "log"
    with job_process(
        "--log-level", "DEBUG", "trade", "--config", config, "--root", folder / "s",
        "--state-dir", folder / "state", "--mode", "paper", "--node-log-level", "DEBUG",
        env=env, log=log,
    ) as process:  # fmt: skip
        until(
            lambda: "live: contiguous" in log.read_text() or process.poll() is not None,
            "live", most_s=90,
        )  # fmt: skip
        process.terminate()
        out, _ = process.communicate(timeout=HANG_S)
    output: str = out + log.read_text()
    assert "live: contiguous" in output, output[-3000:]
    return output


def test_trader_connects_its_websocket_through_the_proxy(
    exchange: Exchange, tmp_path: Path
) -> None:
    config = write_config(tmp_path, "http://exchange.invalid", ws_url="ws://exchange.invalid")
    seen: list[str] = []
    with serving(forward_proxy(exchange, seen, LOGIN)) as port:
        log = live_trader(config, tmp_path, proxied(f"{OF_LOGIN}127.0.0.1:{port}"))
    assert any(line.startswith("CONNECT exchange.invalid") for line in seen), seen
    assert any("GET http://exchange.invalid/fapi/v1/exchangeInfo" in line for line in seen)
    for secret in ("pa#ss", "pa%23ss", base64.b64encode(LOGIN.encode()).decode()):
        assert secret not in log


def test_no_proxy_is_respected(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(tmp_path, exchange.url, warmup={"on_failure": "fail"})
    variables = proxied("http://127.0.0.1:9", no_proxy="10.0.0.0/8,127.0.0.1")
    code, log = run(config, tmp_path / "s", **variables)
    assert code == 0, log


def test_trader_respects_no_proxy(exchange: Exchange, tmp_path: Path) -> None:
    """Also in a form that Nautilus' own REST client would not understand."""
    config = write_config(tmp_path, exchange.url, ws_url=exchange.ws_url)
    port = exchange.url.rpartition(":")[2]
    live_trader(config, tmp_path, proxied("http://127.0.0.1:9", no_proxy=f"127.0.0.1:{port}"))


@pytest.mark.parametrize("command", ["run", "trade"])
@pytest.mark.parametrize(
    "value", ["user:pa#ss@127.0.0.1:3128", "https://u:pa#ss@h:1", "socks5://u:pa#ss@h:1"]
)
def test_unusable_proxy_exits_with_2(
    exchange: Exchange, tmp_path: Path, command: str, value: str
) -> None:
    config = write_config(tmp_path, exchange.url, ws_url=exchange.ws_url)
    before = len(exchange.requests())
    more = ("--mode", "paper", "--state-dir", tmp_path / "state") if command == "trade" else ()
    done = job(command, "--config", config, "--root", tmp_path / "s", *more, env=proxied(value))
    assert done.code == 2
    assert "http_proxy" in done.err
    assert "Traceback" not in done.err, done.err[-1500:]
    assert "pa#ss" not in done.out + done.err
    assert len(exchange.requests()) == before


def test_proxy_refuses_the_password(exchange: Exchange, tmp_path: Path) -> None:
    """The job does not retry until the deadline, which would not help."""
    config = write_config(
        tmp_path, "http://exchange.invalid", warmup={"on_failure": "fail", "deadline": "10m"}
    )
    with serving(forward_proxy(exchange, [], LOGIN)) as port:
        code, log = run(config, tmp_path / "s", **proxied(f"http://u:hunter2@127.0.0.1:{port}"))
        secure = write_config(
            tmp_path, "https://exchange.invalid", warmup={"on_failure": "fail", "deadline": "10m"}
        )
        other, more = run(secure, tmp_path / "s", **proxied(f"http://u:hunter2@127.0.0.1:{port}"))
    assert (code, other) == (10, 10), log + more
    for text in (log, more):
        assert "407" in text
        assert "hunter2" not in text


def test_proxy_that_is_down_is_named(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, "http://exchange.invalid", warmup={"on_failure": "fail", "deadline": "40s"}
    )
    code, log = run(config, tmp_path / "s", **proxied("http://127.0.0.1:9"))
    assert code == 10
    assert "cannot connect to the proxy of http_proxy" in log


@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_certificate_authority_of_the_company_is_used(
    exchange: Exchange, tmp_path: Path, through_a_proxy: bool
) -> None:
    context, authority = certificate(tmp_path)
    with serving(tunnel_to(exchange), context) as port:
        url = f"https://localhost:{port}"
        config = write_config(tmp_path / "config", url, warmup={"on_failure": "fail"})
        env = {"SSL_CERT_FILE": str(authority)}
        if not through_a_proxy:
            code, log = run(config, tmp_path / "s", **proxied(""), **env)
        else:
            seen: list[str] = []
            there = replace(exchange, url=f"http://127.0.0.1:{port}")
            with serving(forward_proxy(there, seen, LOGIN)) as proxy:
                env |= proxied(f"{OF_LOGIN}127.0.0.1:{proxy}")
                code, log = run(config, tmp_path / "s", **env)
            assert set(seen) == {f"CONNECT localhost:{port} HTTP/1.1"}
    assert code == 0, log


@pytest.mark.parametrize(
    ("host", "days", "trusted", "words"),
    [
        ("localhost", (-1, 1), False, "self-signed certificate"),
        ("localhost", (-2, -1), True, "certificate has expired"),
        ("localhost", (1, 2), True, "certificate is not yet valid"),
        ("binance.example", (-1, 1), True, "not valid for 'localhost'"),
    ],
)
def test_certificate_is_not_accepted(
    exchange: Exchange, tmp_path: Path, host: str, days: tuple[int, int], trusted: bool, words: str
) -> None:
    """The job reports the certificate at once and does not retry until the deadline."""
    context, authority = certificate(tmp_path, host, days)
    with serving(tunnel_to(exchange), context) as port:
        config = write_config(
            tmp_path / "config",
            f"https://localhost:{port}",
            warmup={"on_failure": "fail", "deadline": "10m"},
        )
        env = {"SSL_CERT_FILE": str(authority) if trusted else ""}
        code, log = run(config, tmp_path / "s", **proxied(""), **env)
    assert code == 10, log
    assert words in log
    assert "SSL_CERT_FILE" in log


def test_secrets_are_in_no_log_and_no_file(exchange: Exchange, tmp_path: Path) -> None:
    """Check the most verbose log level, in success and in failure."""
    api = {
        "api_key": KEY,
        "api_secret": SECRET,
        "base_url": exchange.url,
        "ws_url": exchange.ws_url,
    }
    good = write_config(tmp_path / "good", exchange.url, venue={"api": api})
    bad = write_config(
        tmp_path / "bad", exchange.url, venue={"api": api | {"base_url": "http://127.0.0.1:9"}}
    )
    root = tmp_path / "snapshot"
    output = ""
    for config in (good, bad):
        for command in (
            ("plan",),
            ("run", "--root", root, "--json", "--deadline", "5s" if config == bad else "2m"),
        ):
            done = job("--log-level", "DEBUG", command[0], "--config", config, *command[1:])
            output += done.out + done.err
    assert (root / "current").is_symlink()
    traded = trade_until(
        '"live: ', "--config", good, "--root", root, "--mode", "paper",
        "--node-log-level", "DEBUG", "--json", env={"WARMUP_LOG_LEVEL": "DEBUG"},
    )  # fmt: skip
    output += traded.out + traded.err
    for path in root.rglob("*"):
        if path.is_file():
            output += path.read_bytes().decode("latin-1")
    assert KEY not in output
    assert SECRET not in output


def test_redirect_is_not_followed(exchange: Exchange, tmp_path: Path) -> None:
    """The client does not even follow one to a valid exchange, and sends no key with klines."""
    heads: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()).strip():
            heads.append(line)
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: " + exchange.url.encode() + b"/fapi/v1/time?x=y\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    api = {"api_key": KEY, "api_secret": SECRET}
    before = len(exchange.requests())
    with serving(redirect) as port:
        config = write_config(
            tmp_path, "", venue={"api": api | {"base_url": f"http://127.0.0.1:{port}"}},
            warmup={"deadline": "10m", "on_failure": "fail"},
        )  # fmt: skip
        code, log = run(config, tmp_path / "s", **proxied(""))
    assert code == 10
    assert "redirects to http://127.0.0.1" in log
    assert "x=y" not in log
    assert len(exchange.requests()) == before
    sent = b"".join(heads).decode()
    assert sent.count("GET ") == 1
    assert KEY not in sent
    assert "signature" not in sent
    assert "mbx-apikey" not in sent.lower()


def test_the_manifest_names_the_endpoint_without_credentials(
    exchange: Exchange, tmp_path: Path
) -> None:
    with_user = exchange.url.replace("http://", "http://user:hidden@")
    config = write_config(tmp_path, with_user, warmup={"on_failure": "fail"})
    done = job("run", "--config", config, "--root", tmp_path / "s", "--json")
    text = done.out + done.err + "".join(p.read_text() for p in (tmp_path / "s").rglob("*.json"))
    assert "hidden" not in text, json.dumps(text)[:500]
