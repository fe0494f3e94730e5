"""Which Nautilus is installed, if any: the job's image has none. Nothing is imported for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from warmup_job.errors import ConfigError

NAUTILUS_VERSION = "1.231.0"
"""The version that pyproject.toml pins, and whose schema and parser this package reproduces."""


def installed_nautilus() -> str | None:
    """Return the version of the installed nautilus_trader; None: it is not installed."""
    try:
        return version("nautilus_trader")
    except PackageNotFoundError:
        return None


def nautilus_version() -> str:
    """Return the version of nautilus_trader that the catalog's files are made for.

    It is the installed one. The job also runs where nautilus_trader is not installed; what it
    writes there is what the pinned version would write.
    """
    return installed_nautilus() or NAUTILUS_VERSION


def require_nautilus(what: str) -> None:
    """Check that Nautilus is installed.

    Args:
        what: What needs it, for the message.

    Raises:
        ConfigError: It is not installed.
    """
    if installed_nautilus() is None:
        raise ConfigError(
            f"{what} needs nautilus_trader, which is not installed here: use the full image "
            "instead of the job's (docs/how-to/deployment.md#the-job-image); outside a container, "
            "install requirements.lock"
        )
