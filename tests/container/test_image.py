"""What is in the image, and what is not."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import Engine, checked
from tests.support.suite import REPO, VERSION
from tests.support.without_nautilus import locked

MARKER = "a-secret-that-lay-about-3c9e"


def test_image_has_labels_and_runs_as_non_root(engine: Engine) -> None:
    config = engine.client.images.get(engine.image).attrs["Config"]
    labels = {name.removeprefix("org.opencontainers.image."): value
              for name, value in config["Labels"].items()}  # fmt: skip
    assert labels["version"] == VERSION
    assert {"title", "description", "licenses", "revision", "base.name"} <= set(labels)
    assert re.fullmatch(r"[1-9]\d*:0", config["User"])
    assert config["Healthcheck"]["Test"] == [
        "CMD",
        "python",
        "-m",
        "warmup_job.process.healthcheck",
    ]
    done = engine.run("--version", network="none")
    assert VERSION in done.out


def test_image_compiles_nothing_at_its_start(engine: Engine) -> None:
    """Its file system is read-only: what has no bytecode is compiled at each start anew."""
    code = (
        "import warmup_job.cli.group, warmup_job.trader.session, warmup_job.job.run_job, "
        "warmup_job.binance.client, "
        "nautilus_trader.live.node, nautilus_trader.adapters.binance, pyarrow.parquet, "
        "nautilus_trader.adapters.sandbox.execution, nautilus_trader.backtest.node"
    )
    done = engine.run("-v", "-c", code, entrypoint="python", network="none")
    assert done.code == 0, done.err[-2000:]
    sources = re.findall(r"^# code object from '?(.*\.py)'?$", done.err, re.MULTILINE)
    assert sources == []
    assert "nautilus_trader/live/node" in done.err


def test_image_contains_only_what_runs(engine: Engine) -> None:
    listed = engine.run(
        "-c",
        "import os; [print(d + '/' + f) for t in ('/opt', '/app') for d, _, fs in os.walk(t) "
        "for f in fs]",
        entrypoint="python", network="none",
    ).out.split()  # fmt: skip
    ends = {Path(name).suffix for name in listed if not name.startswith("/app")}
    assert not ends & {".pyx", ".pxd", ".h", ".cpp", ".a", ".pyi"}
    assert not [name for name in listed if "/tests/" in name]
    assert not [name for name in listed if "/ccxt/" in name and "kraken" in name]
    assert "/app/configs/strategies/hedge_grid_v1.yaml" in listed
    done = engine.run("-c", "import this_is_not_there", entrypoint="python", network="none")
    assert done.code == 1


def test_image_of_the_same_tree_has_the_same_layers(
    engine: Engine, tree: Path, tmp_path: Path
) -> None:
    """Whatever the umask was that it was checked out with."""
    checked("chmod", "-R", "go-rwx", str(tree))
    checked("docker", "build", "-q", "--no-cache", "-t", "warmup-job:again", ".", cwd=tree)
    first, again = (layers(name, tmp_path) for name in (engine.image, "warmup-job:again"))
    different = [layer ^ other for layer, other in zip(first, again, strict=True)]
    assert different
    assert not any(different), different


def layers(image: str, folder: Path) -> list[set[tuple[object, ...]]]:
    """What is in each layer, with all that a file has. An engine may write it in any order."""
    saved = folder / "image.tar"
    checked("docker", "save", "-o", str(saved), image)
    found = []
    with tarfile.open(saved) as whole:
        manifest = whole.extractfile("manifest.json")
        assert manifest is not None
        (described,) = json.load(manifest)
        for name in described["Layers"]:
            with tarfile.open(fileobj=whole.extractfile(name)) as layer:
                found.append({attributes(layer, member) for member in layer})
    saved.unlink()
    return found


def attributes(layer: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    content = layer.extractfile(member) if member.isfile() else None
    return (
        member.name, member.type, oct(member.mode), member.uid, member.gid, member.mtime,
        member.linkname, content and hashlib.sha256(content.read()).hexdigest(),
    )  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """This tree, with keys lying about in it."""
    made = tmp_path / "tree"
    names = checked("git", "ls-files", "-co", "--exclude-standard").splitlines()
    for name in names:
        if (REPO / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes((REPO / name).read_bytes())
    for name in (
        ".env",
        "keys/live.env",
        "configs/keys.env",
        "configs/keys.env.bak",
        "configs/.env.live",
        "snapshot/key",
        "warmup_job/x.env",
    ):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(f"BINANCE_API_SECRET={MARKER}\n")
    return made


def test_image_contains_no_keys(tree: Path, tmp_path: Path) -> None:
    checked("docker", "build", "-q", "-t", "warmup-job:keys", ".", cwd=tree)
    output = checked("docker", "history", "--no-trunc", "warmup-job:keys")
    output += checked("docker", "image", "inspect", "warmup-job:keys")
    assert MARKER not in output
    archive = tmp_path / "image.tar"
    checked("docker", "save", "-o", str(archive), "warmup-job:keys")
    names = []
    for name, body in files_of(archive):
        names.append(name)
        assert MARKER.encode() not in body, name
    assert "app/configs/venues/simulated.yaml" in names
    assert not [name for name in names if ".env" in name]


def files_of(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below 1 MB of every layer of a saved image."""
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for layer in json.load(manifest)[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                for each in files:
                    if each.isfile() and each.size < 1_000_000:
                        body = files.extractfile(each)
                        yield each.name, body.read() if body else b""


@pytest.mark.parametrize("end", ["", "-job"])
def test_image_has_a_bill_of_materials(
    engine: Engine, job_image: str, tmp_path: Path, end: str
) -> None:
    checked("docker", "build", "--target", "sbom", "--output", str(tmp_path), ".")
    listed = json.loads((tmp_path / f"sbom{end}.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    named = {
        each["name"].lower().replace("_", "-"): each["version"] for each in listed["components"]
    }
    lock = locked(REPO / f"requirements{end}.lock")
    assert {"ccxt", "pyarrow"} <= set(named)
    assert ("nautilus-trader" in named) == (end == "")
    for name, version in named.items():
        assert lock[name] == version
    installed = engine.run(
        "-c",
        "from importlib.metadata import distributions; "
        "[print(d.name.lower().replace('_', '-')) for d in distributions()]",
        entrypoint="python", network="none", image=job_image if end else engine.image,
    ).out.split()  # fmt: skip
    assert set(installed) - {"warmup-job", "pip"} <= set(named)
