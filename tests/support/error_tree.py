"""Walks the tree of error classes."""

from __future__ import annotations

from collections.abc import Iterator

from warmup_job.errors import WarmupError


def all_of(kind: type[WarmupError]) -> Iterator[type[WarmupError]]:
    """Yield an error class and every class below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from all_of(below)
