"""The version is written in one place; a release is refused while anything contradicts it."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.suite import HANG_S, REPO

COPIED = [
    "pyproject.toml",
    "CHANGELOG.md",
    "k8s/components/image/kustomization.yaml",
    "k8s/components/job-image/kustomization.yaml",
]


def git(repo: Path, *arguments: str) -> None:
    """Run git as somebody, whatever the user's settings are."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=repo, check=True, capture_output=True)


def release(repo: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the copy."""
    return subprocess.run(
        [sys.executable, REPO / ".ci/release.py", *arguments],
        cwd=repo, check=False, capture_output=True, text=True, timeout=HANG_S,
        env=os.environ | {"BUILD_PROJECT_URL": ""} | env,
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a committed copy of the files that have a version, with one change to release."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    changelog = "# Changelog\n\n## Unreleased\n\n### Added\n- Something.\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "git@host.example:owner/warmup_job.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "A change")
    return tmp_path


def released(repo: Path) -> str:
    """Set and commit the version 7.8.9; return what `check` prints."""
    done = release(repo, "set", "7.8.9", "2026-01-02")
    assert done.returncode == 0, done.stderr
    git(repo, "commit", "-qam", "Release 7.8.9")
    checked = release(repo, "check")
    assert checked.returncode == 0, checked.stderr
    return checked.stdout.strip()


def test_release_set_writes_the_version_everywhere(copy: Path) -> None:
    assert released(copy) == "7.8.9"
    assert tomllib.loads((copy / "pyproject.toml").read_text())["project"]["version"] == "7.8.9"
    assert "    newTag: 7.8.9\n" in (copy / COPIED[2]).read_text()
    assert "    newTag: 7.8.9-job\n" in (copy / COPIED[3]).read_text()
    assert (copy / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## Unreleased\n\n## 7.8.9 - 2026-01-02\n\n### Added\n- Something.\n"
    )


def test_release_check_lists_every_contradiction_at_once(copy: Path) -> None:
    released(copy)
    changelog = copy / "CHANGELOG.md"
    git(copy, "remote", "remove", "origin")
    for name in COPIED[2:]:
        (copy / name).write_text((copy / name).read_text().replace("7.8.9", "7.8.8"))
    text = changelog.read_text().replace("## 7.8.9 - 2026-01-02\n\n", "")
    changelog.write_text(text)
    done = release(copy, "check")
    assert done.returncode == 1
    for reason in (
        "no section 7.8.9",
        "unreleased changes",
        "the tag 7.8.9:",
        "the tag 7.8.9-job:",
        "has changes",
        "no address",
    ):
        assert reason in done.stderr


def test_release_check_refuses_a_version_that_is_tagged_at_another_commit(copy: Path) -> None:
    released(copy)
    git(copy, "tag", "v7.8.9")
    assert release(copy, "check").returncode == 0
    git(copy, "commit", "-qm", "Later", "--allow-empty")
    done = release(copy, "check")
    assert done.returncode == 1
    assert "the tag v7.8.9 is at another commit" in done.stderr


@pytest.mark.parametrize(
    ("version", "reason"), [("7.8", "is no version"), ("v7.8.9", "is no version")]
)
def test_release_set_refuses_what_is_no_version(copy: Path, version: str, reason: str) -> None:
    before = [(copy / name).read_text() for name in COPIED]
    done = release(copy, "set", version)
    assert done.returncode == 1
    assert reason in done.stderr
    assert [(copy / name).read_text() for name in COPIED] == before


def test_release_set_refuses_a_version_twice_and_one_without_changes(copy: Path) -> None:
    released(copy)
    assert "already has 7.8.9" in release(copy, "set", "7.8.9").stderr
    assert "nothing below Unreleased" in release(copy, "set", "7.9.0").stderr


def test_the_version_is_written_in_no_other_file() -> None:
    version = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]
    places = [REPO / name for name in ("Dockerfile", "docker-compose.yml", "README.md", "Makefile")]
    for folder in ("warmup_job", "docs", "configs", "k8s", ".ci"):
        places += [path for path in (REPO / folder).rglob("*") if path.suffix != ".pyc"]
    files = [path for path in places if path.is_file()]
    named = (f"warmup-job:{version}", f"warmup_job-{version}", f"VERSION={version}")
    holders = [
        str(path.relative_to(REPO))
        for path in files
        if any(name in path.read_text("utf-8", "replace") for name in named)
    ]
    assert holders == []


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone with what the package is built from, as it is on the disk."""
    repo = tmp_path / "clone"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("warmup_job", ".ci"):
        shutil.copytree(REPO / name, repo / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPO / name, repo / name)
    git(repo, "init", "-q")
    return repo


def links(metadata: bytes) -> dict[str, str]:
    """Return the addresses of a package, by name."""
    lines = email.message_from_bytes(metadata).get_all("Project-URL") or []
    return dict(line.split(", ", 1) for line in lines)


def built(repo: Path, **env: str) -> tuple[dict[str, str], dict[str, str]]:
    """Build sdist, and the wheel from that; return the addresses that they name."""
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", repo / "dist"],
        cwd=repo, check=False, capture_output=True, text=True, timeout=HANG_S,
        env=os.environ | {"BUILD_PROJECT_URL": ""} | env,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = (repo / "dist").glob("*.tar.gz"), (repo / "dist").glob("*.whl")
    with tarfile.open(sdist) as packed:
        (name,) = [each for each in packed.getnames() if each.count("/") == 1 and "PKG" in each]
        member = packed.extractfile(name)
        assert member is not None
        of_sdist = links(member.read())
    with zipfile.ZipFile(wheel) as zipped:
        (name,) = [each for each in zipped.namelist() if each.endswith("dist-info/METADATA")]
        of_wheel = links(zipped.read(name))
    return of_sdist, of_wheel


def addresses(project: str) -> dict[str, str]:
    return {
        "Homepage": project,
        "Documentation": f"{project}/blob/HEAD/docs/index.md",
        "Changelog": f"{project}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{project}/issues",
    }


def test_the_package_leads_to_the_repository_that_its_clone_came_from(clone: Path) -> None:
    git(clone, "remote", "add", "origin", "https://who:secret@host.example/owner/fork.git")
    wanted = addresses("https://host.example/owner/fork")
    assert built(clone) == (wanted, wanted)


def test_the_packages_address_can_be_set_and_is_never_a_folder(clone: Path) -> None:
    git(clone, "remote", "add", "origin", str(clone.parent))
    assert built(clone) == ({}, {})
    shutil.rmtree(clone / "dist")
    wanted = addresses("https://host.example/owner/other")
    assert built(clone, BUILD_PROJECT_URL="ssh://git@host.example:22/owner/other") == (
        wanted, wanted,
    )  # fmt: skip


def test_a_project_url_that_is_none_is_refused_in_one_line(copy: Path) -> None:
    done = release(copy, "url", BUILD_PROJECT_URL="host.example/owner")
    assert done.returncode == 1
    assert done.stderr == (
        "BUILD_PROJECT_URL is no https address: set it to https://HOST/OWNER/REPOSITORY\n"
    )
