"""What ``import warmup_job`` offers other code: names, types, docstrings, help, and its cost."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import warmup_job
from tests.support.commands import job
from tests.support.exchange import Exchange
from tests.support.needs_nautilus import needs_nautilus
from tests.support.suite import HANG_S
from warmup_job import errors

SOURCE = ast.parse(inspect.getsource(warmup_job))


def printed(code: str) -> str:
    """Run code in a new interpreter; return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=HANG_S
    ).stdout


def test_public_names_of_the_type_checker_are_those_of_the_running_program() -> None:
    declared = {
        alias.asname or alias.name
        for block in SOURCE.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == set(warmup_job.__all__)
    for name in warmup_job.__all__:
        assert getattr(warmup_job, name) is not None


def test_public_names_include_every_error() -> None:
    own = {name for name, each in vars(errors).items() if inspect.isclass(each)}
    assert own <= set(warmup_job.__all__)
    assert all(getattr(warmup_job, name) is getattr(errors, name) for name in own)


def test_public_names_have_docstrings() -> None:
    for name in warmup_job.__all__:
        value = getattr(warmup_job, name)
        if inspect.isclass(value):
            assert vars(value).get("__doc__"), name  # its own, not its base's
        if inspect.isfunction(value):
            assert value.__doc__, name


def test_public_functions_state_every_type() -> None:
    for name in warmup_job.__all__:
        value = getattr(warmup_job, name)
        if inspect.isfunction(value):
            signature = inspect.signature(value)
            assert signature.return_annotation is not inspect.Signature.empty, name
            for each in signature.parameters.values():
                assert each.annotation is not inspect.Parameter.empty, f"{name}({each.name})"


@needs_nautilus
def test_public_names_are_all_explained_by_help() -> None:
    page = printed("import pydoc, warmup_job; print(pydoc.plain(pydoc.render_doc(warmup_job)))")
    first_screens = page.partition("PACKAGE CONTENTS")[0]
    named = set(first_screens.replace(",", " ").replace("(", " ").replace(")", " ").split())
    unexplained = {
        name for name in warmup_job.__all__ if name not in named and not name.endswith("Error")
    }
    assert unexplained == set()
    assert "class BinanceDataWarmer" in page
    assert "verify(" in page


def test_importing_the_package_loads_nothing_but_the_standard_library() -> None:
    """It then takes a few ms: nothing that takes long is loaded before it is used."""
    code = (
        "import sys, json; before = set(sys.modules); import warmup_job; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(printed(code))
    heavy = [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names]
    assert heavy == ["warmup_job"]
    assert len(loaded) < 40, loaded


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    unknown = "fetch_everything"
    with pytest.raises(AttributeError, match="has no attribute 'fetch_everything'"):
        getattr(warmup_job, unknown)


def test_the_errors_of_the_library_are_caught_by_their_public_names(tmp_path: Path) -> None:
    with pytest.raises(warmup_job.ConfigError, match="cannot be read"):
        warmup_job.load_config(tmp_path / "warmup.yaml")
    with pytest.raises(warmup_job.SnapshotError, match="holds no snapshot"):
        warmup_job.open_snapshot(str(tmp_path))
    with pytest.raises(warmup_job.WarmupError) as raised:
        warmup_job.verify(str(tmp_path), now_ms=0)
    assert raised.value.exit_code == 20


@pytest.mark.e2e
def test_a_published_snapshot_is_verified_and_read_through_public_names(
    exchange: Exchange, tmp_path: Path
) -> None:
    root = tmp_path / "snapshot"
    done = job("run", "--config", "configs/demo.yaml", "--root", root, env=exchange.env())
    assert done.code == 0, done.err
    now_ms = warmup_job.open_snapshot(root).manifest.created_at
    snapshot = warmup_job.verify(str(root), now_ms=now_ms)
    minute = warmup_job.Interval.parse("1m")
    stream = snapshot.stream(warmup_job.StreamId("BTCUSDT", minute))
    assert stream is not None
    assert snapshot.bars(stream).rows == stream.bar_count
    file = snapshot.folder / snapshot.manifest.files[0].path
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(warmup_job.SnapshotError, match="bytes, not") as raised:
        warmup_job.verify(root, now_ms=now_ms)
    assert len(raised.value.problems) == 1
