"""Check that the installed packages are those that this project was built and tested with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import metadata

from warmup_job.catalog.installed_nautilus import require_nautilus
from warmup_job.doctor.finding import Finding, failed, passed
from warmup_job.errors import ConfigError

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([^\s;,]+))?")


def check_versions(*, live: bool = False) -> Finding:
    """Compare the installed packages with the requirements of the installed warmup-job.

    Args:
        live: Whether this installation is to trade, which takes Nautilus.
    """
    try:
        required = metadata.requires("warmup-job") or []
    except metadata.PackageNotFoundError:
        return failed("versions", ConfigError("warmup-job is not installed: pip install it"))
    if live:
        try:
            require_nautilus("trade")
        except ConfigError as error:
            return failed("versions", error)
    return judge_versions(required, _installed)


def judge_versions(requirements: Iterable[str], installed: Callable[[str], str | None]) -> Finding:
    """Judge whether every required package is there, and every pinned one in its version.

    Nautilus may be absent, as in the job's image: only a trader needs it.

    Args:
        requirements: Lines such as ``ccxt==4.5.90`` or ``click>=8.1``.
        installed: Returns the installed version of a package; None: it is not installed.
    """
    pinned: list[str] = []
    wrong: list[str] = []
    only_job = ""
    for line in requirements:
        found = _REQUIREMENT.match(line)
        if found is None or "extra ==" in line:
            continue
        name, wanted = found.groups()
        version = installed(name)
        if version is None and name.replace("_", "-") == "nautilus-trader":
            only_job = "; without nautilus_trader, which only trading needs"
        elif version is None:
            wrong.append(f"{name} is not installed")
        elif wanted is not None and version != wanted:
            wrong.append(f"{name} is {version}, and {wanted} is required")
        elif wanted is not None:
            pinned.append(f"{name} {version}")
    if wrong:
        problem = "; ".join(wrong)
        return failed(
            "versions",
            ConfigError(f"{problem}: install warmup-job again with requirements.lock"),
        )
    return passed("versions", f"as pinned: {', '.join(pinned)}{only_job}")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
