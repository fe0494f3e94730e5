"""Set or check the version of a release; `make version` and `make release` run it.

pyproject.toml has the version. The tag in k8s/ and the heading in CHANGELOG.md follow from it.

set VERSION [DATE]   write VERSION everywhere; unreleased changes in CHANGELOG.md become its section
check                print the version; exit with 1 and every reason why it cannot be released
url                  print the project's address, which the package and the images name
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from project_urls import VARIABLE, project_url

REPO = Path.cwd()
PROJECT = REPO / "pyproject.toml"
IMAGES = {  # and what follows the version in the tag
    REPO / "k8s/components/image/kustomization.yaml": "",
    REPO / "k8s/components/job-image/kustomization.yaml": "-job",
}
CHANGELOG = REPO / "CHANGELOG.md"
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)\d+)?")
UNRELEASED = "## Unreleased\n"


def version_of(project: Path) -> str:
    """Return the version that pyproject.toml has."""
    found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return str(found)


def section(changelog: str, heading: str) -> str | None:
    """Return the text of a version's section; None: there is none."""
    pattern = rf"^## {re.escape(heading)}(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)"
    found = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    return None if found is None else found[1].strip()


def set_version(version: str, day: str) -> None:
    """Write the version everywhere; all files are checked before the first one is written."""
    if not SEMANTIC.fullmatch(version):
        sys.exit(f"release: {version} is no version: write it as 1.2.3, or 1.2.3rc1")
    changelog = CHANGELOG.read_text(encoding="utf-8")
    if section(changelog, version) is not None:
        sys.exit(f"release: CHANGELOG.md already has {version}: choose a higher version")
    if not section(changelog, "Unreleased"):
        sys.exit("release: CHANGELOG.md has nothing below Unreleased: describe the changes there")
    written = {
        PROJECT: replaced(PROJECT, r'^version = ".*"$', f'version = "{version}"'),
        CHANGELOG: changelog.replace(UNRELEASED, f"{UNRELEASED}\n## {version} - {day}\n", 1),
    }
    for image, end in IMAGES.items():
        written[image] = replaced(image, r"^    newTag: .*$", f"    newTag: {version}{end}")
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


def replaced(path: Path, line: str, by: str) -> str:
    """Return the file's text with its only line that matches replaced."""
    text, count = re.subn(line, by, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"release: {path} has {count} lines like {line}, not one: correct .ci/release.py")
    return text


def problems_of(version: str) -> list[str]:
    """Return every reason why this version cannot be released."""
    problems = []
    changelog = CHANGELOG.read_text(encoding="utf-8")
    if not section(changelog, version):
        problems.append(f"CHANGELOG.md has no section {version}: make version VERSION={version}")
    if section(changelog, "Unreleased"):
        problems.append("CHANGELOG.md has unreleased changes: set a new version by make version")
    for image, end in IMAGES.items():
        if f"\n    newTag: {version}{end}\n" not in image.read_text(encoding="utf-8"):
            name = image.relative_to(REPO)
            problems.append(f"{name} does not have the tag {version}{end}: correct it")
    if git("status", "--porcelain"):
        problems.append("the working tree has changes: commit them")
    if project_url(REPO) is None:
        problems.append(
            f"no address for the package's links: set {VARIABLE}=https://HOST/OWNER/REPOSITORY, "
            "or release from a clone of such a repository"
        )
    tag = f"v{version}"
    if git("tag", "--list", tag) and git("rev-parse", f"{tag}^{{}}") != git("rev-parse", "HEAD"):
        problems.append(f"the tag {tag} is at another commit: set a new version")
    return problems


def git(*arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(  # noqa: S603 - the arguments are ours
        ["git", *arguments],  # noqa: S607 - the user's git
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["set", version]:
            set_version(version, datetime.now(UTC).date().isoformat())
        case ["set", version, day]:
            set_version(version, day)
        case ["check"]:
            current = version_of(PROJECT)
            if found := problems_of(current):
                sys.exit("\n  ".join([f"release: {current} cannot be released:", *found]))
            print(current)
        case ["url"]:
            print(project_url(REPO) or "")
        case _:
            sys.exit(__doc__)
