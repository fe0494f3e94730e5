"""Every command and every piece of code in README.md and docs/ runs, or says why it cannot here.

The blocks of one page run in order, in one copy of the clone, against one local exchange.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.commands import clean_env
from tests.support.doc_blocks import RUNNING, SHOWN, blocks_of, program
from tests.support.exchange import Exchange
from tests.support.suite import HANG_S, REPO

pytestmark = pytest.mark.e2e

PAGES = [
    *(REPO / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((REPO / "docs").rglob("*.md")),
]
BLOCKS = {str(page.relative_to(REPO)): blocks_of(page) for page in PAGES}
PROGRAMS = {name: found for name, found in BLOCKS.items() if any(each.runs for each in found)}
COMMANDS = {"curl", "docker", "git", "kubectl", "make", "pip", "python", "uv", "warmup-job"}
_CURL = '''#!{python}
"""As much of curl as the pages use."""
import sys, urllib.request

rest, data, method = sys.argv[1:], None, None
while rest[0].startswith("-"):
    flag = rest.pop(0)
    if flag == "-d":
        data = rest.pop(0).encode()
    elif flag == "-X":
        method = rest.pop(0)
request = urllib.request.Request(rest[0], data=data, method=method)
print(urllib.request.urlopen(request).read().decode())
'''


def ids(name: str) -> str:
    return name


@pytest.mark.parametrize("name", BLOCKS, ids=ids)
def test_every_block_runs_or_says_why_not(name: str) -> None:
    for block in BLOCKS[name]:
        place = f"{name}:{block.line}"
        assert block.language in RUNNING | SHOWN, f"{place}: the block names no language"
        assert block.mark in {"", "file"} or block.language in RUNNING, (
            f"{place}: nothing would run"
        )
        assert not block.mark or block.argument, f"{place}: {block.mark} says nothing"
        if block.mark == "no-run":
            assert len(block.argument.split()) >= 3, f"{place}: no reason"
        if block.mark == "run by":
            test = REPO / block.argument
            assert test.is_file(), f"{place}: there is no {block.argument}"
        if block.language == "text" and name != "docs/reference/cli.md":  # that has usages
            assert block.code.split()[0] not in COMMANDS, f"{place}: commands are sh, not text"
        if block.language == "yaml":
            assert yaml.safe_load(block.code), place


def test_a_block_without_a_mark_runs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\necho one > a\n```\n\n<!-- no-run: it would be wrong here -->\n```sh\nfalse\n```\n"
        "Save as `b.py`:\n\n<!-- file: b.py -->\n```python\nprint('two')\n```\n"
        "```sh\npython3 b.py >> a; cat a\n```\n```python\nprint('three')\n```\n"
        '<!-- run until: four -->\n```sh\nsh -c \'trap "exit 143" TERM; echo four; '
        "while :; do sleep 0.1; done'   # Ctrl-C stops it\n```\n"
    )
    done = ran(program(blocks_of(page), sys.executable), tmp_path, dict(os.environ))
    assert (done.returncode, done.stdout) == (0, "one\ntwo\nthree\n"), done.stderr
    page.write_text(page.read_text() + "```sh\ntrue\nfalse\n```\n")
    done = ran(program(blocks_of(page), sys.executable), tmp_path, dict(os.environ))
    assert done.returncode == 1
    assert "the block at line 25 failed" in done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what a reader's clone has, and the commands on a path of its own."""
    here = tmp_path / "clone"
    for name in ("configs", "examples", "keys"):
        shutil.copytree(REPO / name, here / name)
    tools = here / ".venv/bin"
    tools.mkdir(parents=True)
    for name, text in {
        "warmup-job": f'#!/bin/sh\nexec "{sys.executable}" -m warmup_job "$@"\n',
        "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        "curl": _CURL.format(python=sys.executable),
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    return here


@pytest.mark.parametrize("name", PROGRAMS, ids=ids)
def test_the_blocks_of_a_page_run_as_written(
    name: str, clone: Path, start_exchange: Callable[..., Exchange]
) -> None:
    exchange = start_exchange(seed=7)
    text = program(PROGRAMS[name], "python").replace("http://127.0.0.1:8080", exchange.url)
    for port in (8080, 8081):  # here another program may listen there
        text = text.replace(f"port {port}", "port 0")
    env = clean_env(
        WARMUP_EXCHANGE_URL=exchange.url,
        WARMUP_EXCHANGE_WS_URL=exchange.ws_url,
        PATH=f"{clone / '.venv/bin'}:{os.environ['PATH']}",
        PYTHONPATH=str(REPO),
        HOME=str(clone),
        XDG_STATE_HOME=str(clone / ".local/state"),
    )
    done = ran(text, clone, env)
    assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"


def ran(text: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program of bash, and end what it leaves behind."""
    started = subprocess.Popen(
        ["bash", "-c", text], cwd=folder, env=env, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = started.communicate(timeout=HANG_S)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess([], started.returncode, out, err)
