"""docker-compose.yml, and k8s/ as kustomize renders it."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.suite import REPO


@functools.cache
def _rendered(folder: str) -> str:
    return _kustomized(REPO / "k8s" / folder)


def _kustomized(folder: Path) -> str:
    tool = next((each for each in ("kubectl", "kustomize") if shutil.which(each)), None)
    if tool is None:
        pytest.skip("neither kubectl nor kustomize is here; CI has one")
    word = ["kustomize"] if tool == "kubectl" else ["build"]
    done = subprocess.run([tool, *word, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # kustomize reports nothing as deprecated
    return done.stdout


def rendered(folder: str) -> list[Any]:
    """Return every object that kustomize renders from a folder: below k8s, or an absolute path."""
    return list(yaml.safe_load_all(_rendered(folder)))


COMPOSED = yaml.safe_load((REPO / "docker-compose.yml").read_text())["services"]
