"""Proxies, certificates and secrets: what a company's network asks for, and what must not leak."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import Exchange, job, trade_until, write_config

pytestmark = pytest.mark.e2e
KEY, SECRET = "AKIA-not-for-your-eyes-1234", "s3cr3t-not-for-anyones-eyes-5678"
type Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A TCP server in a thread; yields its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls), loop
    ).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:

        async def end() -> None:
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0.05)

        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def tunnel_to(exchange: Exchange, seen: list[str] | None = None) -> Handler:
    """Pass every connection on to the exchange; note the first line of what came."""
    host, port = exchange.url.removeprefix("http://").split(":")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_in, there_out = await asyncio.open_connection(host, int(port))
        if seen is not None:
            head = await reader.readuntil(b"\r\n")
            seen.append(head.decode())
            method, target, version = head.decode().split()
            path = "/" + target.split("/", 3)[3] if target.startswith("http") else target
            there_out.write(f"{method} {path} {version}\r\nConnection: close\r\n".encode())
        await asyncio.gather(pipe(reader, there_out), pipe(there_in, writer))

    return handle


def run(config: Path, root: Path, **env: str) -> tuple[int, str]:
    done = job("run", "--config", config, "--root", root, env=env)
    assert "Traceback" not in done.err
    return done.code, done.err


def test_a_proxy_of_the_environment_is_used(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://exchange.invalid", warmup={"on_failure": "fail"})
    seen: list[str] = []
    with serving(tunnel_to(exchange, seen)) as port:
        proxy = f"http://127.0.0.1:{port}"
        code, log = run(config, tmp_path / "s", HTTP_PROXY=proxy, http_proxy=proxy)
    assert code == 0, log
    assert any("http://exchange.invalid/fapi/v1/klines" in line for line in seen)


def test_no_proxy_is_respected(exchange: Exchange, tmp_path: Path) -> None:
    config = write_config(tmp_path, exchange.url, warmup={"on_failure": "fail"})
    code, log = run(
        config,
        tmp_path / "s",
        HTTP_PROXY="http://127.0.0.1:9",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )
    assert code == 0, log


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context for localhost, and the file of the authority that signed it."""
    now, key = dt.datetime.now(dt.UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a company's own authority")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    authority, private = folder / "ca.pem", folder / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    return context, authority


@pytest.mark.parametrize("trusted", [True, False])
def test_a_companys_own_certificate_authority(
    exchange: Exchange, tmp_path: Path, trusted: bool
) -> None:
    context, authority = certificate(tmp_path)
    with serving(tunnel_to(exchange), context) as port:
        config = write_config(
            tmp_path / "config",
            f"https://localhost:{port}",
            warmup={"on_failure": "fail", "deadline": "5s"},
        )
        env = {"SSL_CERT_FILE": str(authority)} if trusted else {"SSL_CERT_FILE": ""}
        code, log = run(config, tmp_path / "s", **env)
    assert code == (0 if trusted else 10), log
    if not trusted:
        assert "certificate" in log.lower()


def test_secrets_are_in_no_log_and_no_file(exchange: Exchange, tmp_path: Path) -> None:
    """At the most talkative level, in success and in failure."""
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
    said = ""
    for config in (good, bad):
        for command in (
            ("plan",), ("run", "--root", root, "--deadline", "2s", "--json"),
        ):  # fmt: skip
            done = job("--log-level", "DEBUG", command[0], "--config", config, *command[1:])
            said += done.out + done.err
    traded = trade_until(
        '"live: ', "--config", good, "--root", root, "--mode", "paper",
        "--node-log-level", "DEBUG", "--json", env={"WARMUP_LOG_LEVEL": "DEBUG"},
    )  # fmt: skip
    said += traded.out + traded.err
    for path in root.rglob("*"):
        if path.is_file():
            said += path.read_bytes().decode("latin-1")
    assert KEY not in said
    assert SECRET not in said


def test_a_redirect_takes_no_key_along(exchange: Exchange, tmp_path: Path) -> None:
    """Klines need no key, so none is sent, whatever the venue file holds."""
    heads: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()).strip():
            heads.append(line)
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: " + exchange.url.encode() + b"/fapi/v1/time\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    api = {"api_key": KEY, "api_secret": SECRET}
    with serving(redirect) as port:
        config = write_config(
            tmp_path, "", venue={"api": api | {"base_url": f"http://127.0.0.1:{port}"}},
            warmup={"deadline": "10s"},
        )  # fmt: skip
        run(config, tmp_path / "s")
    sent = b"".join(heads).decode()
    assert "GET /fapi/v1/time" in sent
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
