"""What a shell completes as the value of an option that overrides a key of warmup.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from warmup_job.config import DeclaredKey

_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT", "ADAUSDT")
_COUNTS = ("auto", "500", "1000", "3000")


def completed_value(
    key: DeclaredKey, context: click.Context, incomplete: str
) -> list[CompletionItem]:
    """Return what the value of the option that overrides ``key`` can be.

    Args:
        key: The key.
        context: The command line so far.
        incomplete: What is typed of the value.
    """
    if key.path[-1] == "streams":
        root = context.params.get("root") or "/snapshot"
        return [CompletionItem(text) for text in stream_texts(incomplete, _known_symbols(root))]
    if key.choices:
        return [CompletionItem(word) for word in key.choices if word.startswith(incomplete)]
    if "path" in key.form:
        return [CompletionItem(incomplete, type="file")]
    return []


def stream_texts(incomplete: str, symbols: tuple[str, ...]) -> list[str]:
    """Complete the last of the streams SYMBOL:INTERVAL[:BARS] in a list with commas."""
    from warmup_job.market.interval import INTERVAL_NAMES

    before, comma, last = incomplete.rpartition(",")
    head, colon, part = last.rpartition(":")
    place = last.count(":")
    words = (symbols, INTERVAL_NAMES, _COUNTS)[place] if place < 3 else ()
    return [
        f"{before}{comma}{head}{colon}{word}"
        for word in words
        if word.lower().startswith(part.lower())
    ]


def _known_symbols(root: str) -> tuple[str, ...]:
    """Return the symbols of the current snapshot, then those that are traded most."""
    from warmup_job.errors import SnapshotError
    from warmup_job.snapshot.verify import open_snapshot

    try:
        streams = open_snapshot(Path(root)).manifest.streams
    except SnapshotError:
        return _SYMBOLS
    return tuple(dict.fromkeys([*(each.symbol for each in streams), *_SYMBOLS]))
