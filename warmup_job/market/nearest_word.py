"""Find the known word that somebody probably misspelled. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` probably misspells: one or two letters off, or similar.

    Case and ``-`` for ``_`` do not count. Words of up to four letters may differ by one letter
    only; otherwise every short word would match another.
    """
    plain = word.lower().replace("-", "_")
    if len(plain) > 60:
        return None
    names = {k.lower(): k for k in known}
    close = [k for k in names if abs(len(k) - len(plain)) <= 2]
    for distance, key in sorted((letters_off(plain, k), k) for k in close):
        if distance <= (1 if len(key) <= 4 else 2):
            return names[key]
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.9)
    return names[near[0]] if near else None


def letters_off(a: str, b: str) -> int:
    """Count the letters to add, drop, replace or swap to turn ``a`` into ``b``."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        two_before, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], two_before[j - 2] + 1)
    return row[-1]
