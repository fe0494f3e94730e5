"""The code blocks of the documentation, and one program that runs those of a page in order.

A block of commands (``sh``) or Python runs as written, unless the line before it is one of these
comments, which no reader sees:

- ``<!-- no-run: REASON -->``: it cannot run here.
- ``<!-- run by: TEST -->``: another test runs or checks it.
- ``<!-- run until: WORDS -->``: its last command runs until its output has WORDS; then it is
  stopped by SIGTERM and must exit with 143.
- ``<!-- file: PATH -->``: it is the content of that file, which a reader saves.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (no-run|run by|run until|file): ((?:(?!-->)[\s\S])*?) -->\n\s*\Z")
RUNNING = {"sh", "python"}
"""Languages whose blocks run."""
SHOWN = {"text", "yaml", "json", "dockerfile", "promql"}
"""Languages whose blocks are read only: output, pictures and files."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    line: int
    language: str
    code: str
    mark: str
    """no-run, run by, run until, file, or empty."""
    argument: str
    """The mark's reason, test, words or path."""

    @property
    def runs(self) -> bool:
        """Whether it takes part in the page's program."""
        return self.mark == "file" or (
            self.language in RUNNING and self.mark not in {"no-run", "run by"}
        )


def blocks_of(page: Path) -> list[Block]:
    """Return a page's fenced blocks, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text[: fence.start()])
        line = text.count("\n", 0, fence.start()) + 1
        kind, argument = (mark[1], " ".join(mark[2].split())) if mark else ("", "")
        found.append(Block(line, fence[2], fence[3], kind, argument))
    return found


def program(blocks: list[Block], python: str) -> str:
    """Return a bash program that runs a page's blocks one after the other, as a reader would."""
    parts = [
        "set -eEmuo pipefail",  # -m: `kill %1` works as in a terminal
        "at=0",
        "trap 'echo \"the block at line $at failed\" >&2' ERR",
        "trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT",
    ]
    for block in blocks:
        if block.runs:
            parts += [f"at={block.line}", _part(block, python)]
    return "\n".join(parts) + "\n"


def _part(block: Block, python: str) -> str:
    if block.mark == "file":
        path = shlex.quote(block.argument)
        return (
            f"mkdir -p \"$(dirname {path})\"\ncat > {path} <<'END_OF_FILE'\n{block.code}END_OF_FILE"
        )
    if block.language == "python":
        return f"{python} - <<'END_OF_BLOCK'\n{block.code}END_OF_BLOCK"
    if block.mark != "run until":
        return block.code.rstrip("\n")
    *before, last = re.sub(r"\\\n\s*", " ", block.code).strip().splitlines()
    command = shlex.join(shlex.split(last, comments=True))
    return "\n".join(
        [
            *before,
            f"({'exec ' + command}) > until.log 2>&1 &",
            "until_pid=$!",
            f"while ! grep -qF -- {shlex.quote(block.argument)} until.log; do",
            '  kill -0 "$until_pid" || { cat until.log >&2; false; }',
            "  sleep 0.2",
            "done",
            'kill -TERM "$until_pid"; code=0; wait "$until_pid" || code=$?',
            '[ "$code" = 143 ] || { cat until.log >&2; false; }',
        ]
    )
