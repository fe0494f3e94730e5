"""Python's cyclic garbage collector stays off while modules are imported.

Nothing of what an import makes is garbage, and looking for it there costs an eighth of the start.
"""

from __future__ import annotations

import gc


def wait_for_imports() -> None:
    """Look for no garbage until `imports_are_done`."""
    gc.disable()


def imports_are_done() -> None:
    """Look for garbage from now on, but never again in what is there already."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
