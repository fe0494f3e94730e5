"""The version of nautilus_trader whose files this package writes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NAUTILUS_VERSION = "1.231.0"
"""The version that pyproject.toml pins, and whose schema and parser this package reproduces."""


def nautilus_version() -> str:
    """Return the version of nautilus_trader that the catalog's files are made for.

    It is the installed one. The job also runs where nautilus_trader is not installed; what it
    writes there is what the pinned version would write.
    """
    try:
        return version("nautilus_trader")
    except PackageNotFoundError:
        return NAUTILUS_VERSION
