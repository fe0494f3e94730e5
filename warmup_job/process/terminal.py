"""What a stream's terminal can show: colours and columns."""

from __future__ import annotations

import os
import shutil
from typing import TextIO


def shows_colours(stream: TextIO) -> bool:
    """Return whether to write colours to ``stream``.

    Only to a terminal that has them, and not if ``NO_COLOR`` is set: https://no-color.org.
    """
    return can_redraw(stream) and not os.environ.get("NO_COLOR")


def can_redraw(stream: TextIO) -> bool:
    """Return whether ``stream`` is a terminal on which a line can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def terminal_columns(stream: TextIO) -> int | None:
    """Return the width of the terminal that ``stream`` is; None: it is none, so any width fits.

    ``COLUMNS`` overrides the terminal's own width.
    """
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else None
