"""What deploys a folder of `warmup-job init`: compose file, Dockerfile, overlay; and the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.support.commands import job
from tests.support.init_folders import GRID, NONE, OWN, init
from tests.support.manifests import _kustomized
from tests.support.suite import REPO


@pytest.mark.parametrize("dockerfile", [False, True])
@pytest.mark.parametrize("strategy", [GRID, OWN, NONE])
def test_init_compose_file_runs_what_it_mounts(
    tmp_path: Path, strategy: str, dockerfile: bool
) -> None:
    also = ("--compose", "--dockerfile") if dockerfile else ("--compose",)
    assert init(tmp_path, *also, strategy=strategy).code == 0
    composed = yaml.safe_load((tmp_path / "compose.yaml").read_text())
    services = composed["services"]
    assert [*services] == ["exchange", "warmup", *(["trader"] if strategy != NONE else [])]
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert ("build" in service) == (dockerfile and name == "warmup")  # it is built once
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
        for mount in service.get("volumes", []):
            source, target, *_ = mount.split(":")
            if source.startswith("./"):
                assert (tmp_path / source).exists()
                assert target == f"/etc/warmup-job/{source[2:]}"
            else:
                assert source in composed["volumes"]
        assert service.get("depends_on", {}).keys() <= services.keys()
    mounted = " ".join(services["warmup"]["volumes"])
    assert ("my_strategy.py" in mounted) == (strategy == OWN and not dockerfile)
    variables = services["warmup"]["environment"]
    assert variables["WARMUP_EXCHANGE_URL"] == "http://exchange:8080"
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", tmp_path / "Dockerfile"],
        capture_output=True, text=True, check=False,
    ) if dockerfile else None  # fmt: skip
    assert done is None or done.returncode == 0, done and done.stdout


@pytest.mark.parametrize("strategy", [OWN, NONE])
def test_init_dockerfile_copies_every_file_that_the_configuration_needs(
    tmp_path: Path, strategy: str
) -> None:
    """Copied as the Dockerfile says, they can be planned in a folder of their own."""
    source = tmp_path / "source"
    assert init(source, "--dockerfile", strategy=strategy).code == 0
    image = tmp_path / "image"
    image.mkdir()
    for line in (source / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            *names, target = line.split()[2:]
            for name in names:
                shutil.copy(source / name, image)
            assert target.startswith("/app/")
    planned = job("plan", "--config", image / "warmup.yaml")
    assert planned.code == 0, planned.err


@pytest.mark.parametrize(
    ("market", "place", "strategy"),
    [
        ("futures", "local", OWN),
        ("futures", "production", GRID),
        ("spot", "production", OWN),
        ("futures", "demo", NONE),
    ],
)
def test_init_overlay_is_valid_and_its_pods_can_load_their_files(
    tmp_path: Path, market: str, place: str, strategy: str
) -> None:
    folder = tmp_path / "My Bot"
    done = init(folder, "--kustomize", market=market, environment=place, strategy=strategy)
    assert done.code == 0, done.err
    made = list(yaml.safe_load_all(_kustomized(folder)))
    for each in made:
        kubernetes_validate.validate(each, "1.33", strict=True)
        assert each["metadata"].get("namespace", "my-bot") == "my-bot"
    (settings,) = [e["data"] for e in made if "-settings-" in e["metadata"]["name"]]
    (files,) = [e["data"] for e in made if "-files-" in e["metadata"]["name"]]
    (policy,) = [e["spec"]["egress"] for e in made if e["kind"] == "NetworkPolicy"]
    is_own = strategy == OWN
    assert ("9443" in str(policy)) == (market == "spot")
    assert settings.get("WARMUP_MODE") == (None if strategy == NONE else "paper")
    images = set(re.findall(r"image: (\S+)", yaml.safe_dump_all(made)))
    assert len(images) == 1
    assert ("my-bot:1" in images) == is_own
    assert (folder / "Dockerfile").exists() == is_own
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for name, text in files.items():
        (mounted / name).write_text(text)
    code = {"PYTHONPATH": str(folder)} if is_own else {}  # the image has it
    there = {
        name: value.replace("/etc/warmup-job", str(mounted)) for name, value in settings.items()
    }
    planned = job("plan", env=there | code)
    assert planned.code == 0, planned.err
    assert "BTCUSDT 1m" in planned.out


def test_init_overlay_needs_the_base(tmp_path: Path) -> None:
    done = init(tmp_path, "--kustomize", "--k8s-base", tmp_path / "k8s", strategy=GRID)
    assert done.code == 2
    assert "--k8s-base warmup_job/k8s/base" in done.err
    done = init(tmp_path, "--kustomize")
    assert done.code == 2
    assert "there is no trader: choose another --environment, or a strategy" in done.err
    assert [*tmp_path.iterdir()] == []


def test_init_templates_are_in_the_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=REPO, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = (REPO / "warmup_job/init_files/templates").iterdir()
    wanted = {str(each.relative_to(REPO)) for each in templates if each.is_file()}
    assert len(wanted) == 9
    assert wanted <= names
