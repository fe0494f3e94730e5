"""A column of numbers as short text that JavaScript decodes fast."""

from __future__ import annotations

import base64
import zlib

import msgspec
import numpy as np
import numpy.typing as npt

from warmup_job.errors import WarmupError

Floats = npt.NDArray[np.float64]
_EXACT = 2.0**53  # JavaScript's numbers are exact up to here
_STEP = 2.0**31 - 1


class PackedColumn(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers as differences: integers of 10^-decimals, each minus the one before.

    ``data`` is base64 of deflate of four planes of bytes: first the lowest byte of every
    difference, then the next ones, little-endian int32 in all. Bytes of one plane are alike, so
    that deflate finds more to shorten.
    """

    decimals: int
    """Negative: the integers are multiples of 10, 100, …"""
    skip: int
    """How many values are missing at the start."""
    count: int
    """How many values follow."""
    data: str


def pack_column(values: Floats, decimals: int) -> PackedColumn:
    """Pack a column, with as many of ``decimals`` as its largest value and step leave room for.

    Args:
        values: NaN is allowed before the first number only.
        decimals: how many are worth showing.

    Raises:
        WarmupError: a value after the first number is not finite, which is a bug.
    """
    present = np.flatnonzero(np.isfinite(values))
    skip = int(present[0]) if len(present) else len(values)
    held = values[skip:]
    if len(present) != len(held):
        raise WarmupError("bug: a column of the chart has a hole")
    if not len(held):
        return PackedColumn(decimals, skip, 0, "")
    steps = np.abs(np.diff(held, prepend=0.0))
    while max(steps.max() / _STEP, np.abs(held).max() / _EXACT) * 10.0**decimals >= 1.0:
        decimals -= 1
    whole = np.rint(held * 10.0**decimals).astype(np.int64)
    differences = np.diff(whole, prepend=0).astype("<i4")
    planes = np.ascontiguousarray(differences.view(np.uint8).reshape(-1, 4).T)
    data = base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
    return PackedColumn(decimals, skip, len(held), data)
