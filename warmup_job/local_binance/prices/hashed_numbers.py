"""Hashed numbers: the random numbers of the generated market, with random access by index."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def stream_key(*parts: object) -> np.uint64:
    """Return a 64-bit key for an independent stream of hashed numbers."""
    text = "/".join(str(part) for part in parts)
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()))


def _hashes(key: np.uint64, first: int, last: int) -> npt.NDArray[np.uint64]:
    """Return a hash for each index from ``first`` to ``last``.

    It is the finaliser of splitmix64: https://prng.di.unimi.it/splitmix64.c
    """
    x = np.arange(first, last + 1, dtype=np.int64).view(np.uint64)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x += key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def four_draws(key: np.uint64, first: int, last: int) -> npt.NDArray[np.uint16]:
    """Return four rows of independent draws, 0 … 65535, with a column for each index."""
    return _hashes(key, first, last).astype("<u8", copy=False).view("<u2").reshape(-1, 4).T


def between_minus_one_and_one(key: np.uint64, first: int, last: int) -> npt.NDArray[np.float64]:
    """Return a number x, −1 ≤ x < 1, for each index."""
    return (_hashes(key, first, last) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
