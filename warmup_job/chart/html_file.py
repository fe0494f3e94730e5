"""One self-contained HTML file: it asks for nothing, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files

import msgspec

from warmup_job.charting_library import (
    HOME_URL,
    VERSION,
    charting_licence,
    charting_notice,
    charting_script,
)


def html_file(title: str, page: str, data: object, *, with_library: bool) -> str:
    """Return the file's text.

    Args:
        title: of the document.
        page: which of the pages of `page/` it is: its script's name without `.js`.
        data: what the script draws; it is embedded as JSON.
        with_library: whether the script uses the charting library.
    """
    scripts = [_resource("drawing.js"), _resource(f"{page}.js")]
    if with_library:
        scripts.insert(0, charting_script())
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_resource('style.css')}</style>",
        "</head>",
        "<body>",
        _resource(f"{page}.html"),
        *(_attribution() if with_library else ()),
        f'<script type="application/json" id="data">{script_json(data)}</script>',
        *(f"<script>{script}</script>" for script in scripts),
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _attribution() -> tuple[str, str]:
    """Return what the library's licence asks for: its notice with a link, and its text."""
    notice = (
        f"<footer>{html.escape(charting_notice())} "
        f'<a href="{HOME_URL}" rel="noreferrer">tradingview.com</a></footer>'
    )
    licence = f"Lightweight Charts {VERSION}\n\n{charting_licence()}"
    return notice, f'<script type="text/plain" id="licence">{licence}</script>'


def script_json(data: object) -> str:
    """Encode data as JSON that cannot end a script element or begin another one.

    `<`, `>` and `&` are written as escapes: the HTML specification lists what ends a script.
    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    text = msgspec.json.encode(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _resource(name: str) -> str:
    return (files("warmup_job.chart") / "page" / name).read_text("utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
