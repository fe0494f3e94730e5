"""Name the project's addresses in the package's metadata: hatchling runs this at every build.

They follow from the place that the clone came from, so that a fork's package leads to the fork's
issues. BUILD_PROJECT_URL names it where there is no clone (in the image's build) or another one is
meant. A clone from a folder has none, and its package has no addresses.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from hatchling.metadata.plugin.interface import MetadataHookInterface

VARIABLE = "BUILD_PROJECT_URL"
PAGES = {
    "Homepage": "",
    "Documentation": "/blob/HEAD/docs/index.md",
    "Changelog": "/blob/HEAD/CHANGELOG.md",
    "Issues": "/issues",
}
SCP = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/@]+):(?P<path>[^/].*)")


class ProjectUrls(MetadataHookInterface):
    """Fills in ``project.urls``, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, object]) -> None:
        """Add the addresses to the metadata."""
        address = project_url(Path(self.root))
        metadata["urls"] = {name: address + page for name, page in PAGES.items() if address}


def project_url(repo: Path) -> str | None:
    """Return the project's address on the web; None: nothing names one."""
    if named := os.environ.get(VARIABLE):
        address = web_address(named)
        if address is None:
            sys.exit(f"{VARIABLE} is no https address: set it to https://HOST/OWNER/REPOSITORY")
        return address
    if not (repo / ".git").exists():  # git would find a repository around the folder
        return None
    try:
        origin = subprocess.run(
            ["git", "remote", "get-url", "origin"],  # noqa: S607 - the user's git
            cwd=repo, check=False, capture_output=True, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return web_address(origin.stdout.strip())


def web_address(remote: str) -> str | None:
    """Return the web page of a git remote, without credentials and port; None: it has none."""
    found = urlsplit(remote)
    if found.scheme == "https":
        port = f":{found.port}" if found.port else ""
        host, path = f"{found.hostname or ''}{port}", found.path
    elif found.scheme == "ssh":  # its port is not the web's
        host, path = found.hostname or "", found.path
    elif "://" not in remote and (scp := SCP.fullmatch(remote)):
        host, path = scp["host"], scp["path"]
    else:
        return None
    path = path.strip("/").removesuffix(".git")
    return f"https://{host}/{path}" if host and path else None
