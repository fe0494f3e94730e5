"""What one check of ``warmup-job doctor`` found: a verdict, what was seen, and the remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from warmup_job.errors import WarmupError

Verdict = Literal["ok", "warning", "failed", "skipped"]
_QUOTE = "; it says: "


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        check: The kind of check, e.g. ``dns``. These names are stable.
        verdict: ``failed`` alone has an exit code other than 0.
        text: What was seen, or why the check was skipped.
        remedy: What to do; empty if nothing is to be done.
        exit_code: The code that a command would exit with for this reason, see
            docs/reference/exit-codes.md.
    """

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""
    exit_code: int = 0


def passed(check: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, "ok", text)


def skipped(check: str, reason: str) -> Finding:
    """Return a finding of a check that could not or need not be made."""
    return Finding(check, "skipped", reason)


def warned(check: str, line: str, remedy: str = "") -> Finding:
    """Return a warning.

    Args:
        check: The kind of check.
        line: What was seen; without ``remedy`` a colon and the remedy follow in it.
        remedy: What to do.
    """
    text, own = (line, remedy) if remedy else split_remedy(line)
    return Finding(check, "warning", text, own)


def failed(check: str, error: WarmupError, remedy: str = "", *, otherwise: str = "") -> Finding:
    """Return the finding for an error of our tree, with the error's exit code.

    Args:
        check: The kind of check.
        error: The error; without ``remedy`` its message ends with a colon and the remedy.
        remedy: What to do.
        otherwise: What to do if neither has a remedy.
    """
    text, own = (str(error), remedy) if remedy else split_remedy(str(error))
    return Finding(check, "failed", text, own or otherwise, error.exit_code)


def worst_code(findings: Iterable[Finding]) -> int:
    """Return the highest exit code; 0: no check failed."""
    return max((each.exit_code for each in findings), default=0)


def split_remedy(message: str) -> tuple[str, str]:
    """Split a message into what happened and what to do.

    Our messages end with the remedy, after the last colon outside brackets. What an exchange
    says, which can follow, stays with the first part. A message of several lines is not split.
    """
    head, quote, said = message.partition(_QUOTE)
    depth, cut = 0, -1
    for at, letter in enumerate(head):
        depth += (letter in "({[") - (letter in ")}]")
        if depth == 0 and head.startswith(": ", at):
            cut = at
    if cut < 0 or "\n" in message:
        return message, ""
    return head[:cut] + quote + said, head[cut + 2 :]
