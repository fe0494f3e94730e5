"""Endless responses, plain and compressed: they are cut off before they fill the memory."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest

from tests.support.commands import clean_env
from tests.support.config_files import write_config
from tests.support.exchange import Exchange
from tests.support.proxies import Handler, pipe, proxied, serving
from tests.support.suite import REPO

pytestmark = pytest.mark.e2e
MIB = 1024 * 1024
LIMIT_MIB = 512  # memory limit of the job's container
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""A small parent process: a process starts with its parent's peak of memory."""


def packer() -> zlib._Compress:
    return zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)


@cache
def bomb() -> bytes:
    """Return less than one MiB that decompresses to 600 MiB."""
    packing, piece = packer(), b" " * MIB
    return b"".join([*(packing.compress(piece) for _ in range(600)), packing.flush()])


def spoiling(exchange: Exchange, path: str, how: str, sent: list[int]) -> Handler:
    """Forward to the exchange, but send endless bytes for ``path``; ``sent`` counts them."""
    host, port = exchange.url.removeprefix("http://").split(":")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if f"/{path}" not in head.decode("latin-1").split()[1]:
            there_in, there_out = await asyncio.open_connection(host, int(port))
            there_out.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            await asyncio.gather(pipe(reader, there_out), pipe(there_in, writer))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        if how != "plain":
            writer.write(b"Content-Encoding: gzip\r\n")
        packing, piece = packer(), b" " * 65_536
        with contextlib.suppress(ConnectionError):
            if how == "bomb":
                writer.write(f"Content-Length: {len(bomb())}\r\n\r\n".encode() + bomb())
                await writer.drain()
            else:
                writer.write(b"\r\n")
            while how != "bomb":
                data = piece if how == "plain" else packing.compress(piece)
                writer.write(data)
                sent.append(len(data))
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    return handle


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("time", "plain"), ("exchangeInfo", "gzip"), ("exchangeInfo", "bomb"), ("klines", "plain"),
        ("klines", "bomb"),
    ],
)  # fmt: skip
def test_endless_answer_is_cut_off(exchange: Exchange, tmp_path: Path, path: str, how: str) -> None:
    """The job exits with 10 at once, and within the memory of its container."""
    sent: list[int] = []
    with serving(spoiling(exchange, path, how, sent)) as port:
        config = write_config(
            tmp_path,
            f"http://127.0.0.1:{port}",
            warmup={"on_failure": "fail", "deadline": "10m"},
        )
        log = tmp_path / "log"
        arguments = ["run", "--config", str(config), "--root", str(tmp_path / "s")]
        with log.open("w") as stderr:
            process = subprocess.run(
                [sys.executable, "-c", MEASURE, sys.executable, "-m", "warmup_job", *arguments],
                cwd=REPO, env=clean_env(**proxied("")), stdout=subprocess.PIPE, stderr=stderr,
                text=True, check=False,
            )  # fmt: skip
    output = log.read_text()
    assert process.returncode == 10, output
    assert "Traceback" not in output
    assert "KiB" in output
    assert int(process.stdout.split()[-1]) / 1024 < LIMIT_MIB
    assert sum(sent) < 32 * MIB  # for a plain response: the allowed size and socket buffers
