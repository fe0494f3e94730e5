"""Recorded Binance klines."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from tests.support.suite import REPO

RECORDINGS = REPO.parent / "shared" / "data"


def recorded_rows(path: Path) -> list[dict[str, str]]:
    """Return a recording's rows as text."""
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))
