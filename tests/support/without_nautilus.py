"""An installation without Nautilus, as in the job's image: what requirements-job.lock names."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tests.support.commands import Result, clean_env
from tests.support.suite import HANG_S, REPO

LOCK = REPO / "requirements-job.lock"


def locked(lock: Path) -> dict[str, str]:
    """Return the packages that a lock file pins, and their versions."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


def link_packages(folder: Path) -> Path:
    """Link the lock's packages, and nothing else, into ``folder``."""
    folder.mkdir(parents=True)
    for name in (*locked(LOCK), "warmup-job"):
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # another platform's
            continue
        home = Path(str(installed.locate_file("")))
        for top in {each.parts[0] for each in installed.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(home / top)
    return folder


def python_without_nautilus(
    packages: Path, *arguments: object, env: dict[str, str] | None = None, cwd: Path = REPO
) -> Result:
    """Run Python with the linked packages and this repository, and wait for its end."""
    done = subprocess.run(
        [sys.executable, "-S", *map(str, arguments)],  # -S: no other packages
        env=clean_env(PYTHONPATH=f"{REPO}:{packages}", **(env or {})),
        capture_output=True, text=True, cwd=cwd, check=False, timeout=HANG_S,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)
