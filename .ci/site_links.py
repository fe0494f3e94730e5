"""Let the site read pages as GitHub does: links, and | in tables (a hook of mkdocs.yml).

A link to a file outside of docs/ leads to a copy in the site: a page for README.md and the other
pages of the repository's root, the text for every other file, and a list for a folder.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPO = Path(__file__).resolve().parent.parent
ROOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PIPED = re.compile(r"(?<!`)`([^`\n]*\\\|[^`\n]*)`(?!`)")
"""Code in a table with an escaped |, which Python-Markdown shows with its backslash."""
LINK = re.compile(r'(\]\(|\bsrc="|\bsrcset=")([^)\s"#]+)(#[^)\s"]*)?(?=[)"\s])')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and every file that a page links to."""
    for name in ROOT_PAGES:
        files.append(File.generated(config, place(name), content=(REPO / name).read_text("utf-8")))
    linked = {
        target
        for page in [*REPO.glob("docs/**/*.md"), *(REPO / name for name in ROOT_PAGES)]
        for _, link, _ in LINK.findall(page.read_text("utf-8"))
        if (target := outside(page.relative_to(REPO).as_posix(), link)) is not None
    }
    for target in sorted(linked - set(ROOT_PAGES)):
        path = REPO / target
        content = listing(path) if path.is_dir() else path.read_text("utf-8")
        files.append(File.generated(config, place(target), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the page's links lead to the copies."""
    del config, files
    uri = page.file.src_uri
    here = next((name for name in ROOT_PAGES if place(name) == uri), f"docs/{uri}")
    if here.startswith("docs/source/"):
        return markdown

    def led(found: re.Match[str]) -> str:
        target = resolved(here, found[2])
        if target is None:
            return found[0]
        there = place(target) if outside(here, found[2]) else target.removeprefix("docs/")
        return found[1] + posixpath.relpath(there, posixpath.dirname(uri) or ".") + (found[3] or "")

    markdown = PIPED.sub(
        lambda found: f"<code>{html.escape(found[1]).replace('\\|', '&#124;')}</code>", markdown
    )
    return LINK.sub(led, markdown)


def resolved(page: str, link: str) -> str | None:
    """The file in the repository that a page's link leads to; None: it leads out of it."""
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def outside(page: str, link: str) -> str | None:
    """The file or folder outside of docs/ that a page's link leads to, if it does."""
    target = resolved(page, link)
    if target is None or target.startswith("docs/") or not (REPO / target).exists():
        return None
    return target


def place(target: str) -> str:
    """Where the site has a file from outside of docs/."""
    if target in ROOT_PAGES:
        return target.lower()
    ending = ".md" if (REPO / target).is_dir() else ".txt"
    return f"source/{target.removeprefix('.')}{ending}"  # MkDocs leaves dot files out


def listing(folder: Path) -> str:
    """The page of a folder: the names of its files."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and "__pycache__" not in path.parts
    )
    heading = folder.relative_to(REPO).as_posix()
    return f"# {heading}/\n\n" + "".join(f"- `{name}`\n" for name in names)
