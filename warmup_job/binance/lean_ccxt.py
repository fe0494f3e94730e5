"""Import ccxt's asynchronous Binance class without ccxt's hundred other exchanges.

``import ccxt.async_support`` loads every exchange twice, which takes 0.6 s of a start-up that
otherwise takes 0.5 s. Binance's module needs none of them. So this imports it without running the
``__init__`` of the two packages, and then removes the packages from ``sys.modules``: a later
``import ccxt`` loads all of it, with the same error classes. If this fails, ccxt is imported
normally.

ccxt's synchronous part imports ``requests``, which takes a fifth of the remaining time. It is
replaced by an empty module during the import; modules that saw the replacement are removed too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ccxt.async_support

_PACKAGES = ("ccxt", "ccxt.async_support")
_REQUESTS_ERRORS = (
    "ConnectionError",
    "HTTPError",
    "RequestException",
    "Timeout",
    "TooManyRedirects",
)


def import_binance() -> tuple[type[ccxt.async_support.binance], ModuleType]:
    """Import ccxt's Binance.

    Returns:
        The asynchronous ``binance`` class, and a module that has ccxt's error classes.
    """
    if not any(name in sys.modules for name in _PACKAGES):
        try:
            return _import_lean()
        except (ImportError, AttributeError):  # another version of ccxt
            for name in [each for each in sys.modules if each.partition(".")[0] == "ccxt"]:
                del sys.modules[name]
    package = importlib.import_module("ccxt.async_support")
    return package.binance, package


def _import_lean() -> tuple[type[ccxt.async_support.binance], ModuleType]:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or spec.origin is None:
        raise ImportError("ccxt is not installed")
    home = Path(spec.origin).parent
    try:
        for name, path in zip(_PACKAGES, (home, home / "async_support"), strict=True):
            empty = ModuleType(name)
            empty.__path__ = [str(path)]
            sys.modules[name] = empty
        with _without_requests():
            errors = importlib.import_module("ccxt.base.errors")
            # The modules below import the errors and the base class from the package itself.
            public = {name: value for name, value in vars(errors).items() if name[0] != "_"}
            vars(sys.modules["ccxt"]).update(public)
            base = importlib.import_module("ccxt.base.exchange")
            vars(sys.modules["ccxt"])["Exchange"] = base.Exchange
            return importlib.import_module("ccxt.async_support.binance").binance, errors
    finally:
        for name in _PACKAGES:
            sys.modules.pop(name, None)


@contextmanager
def _without_requests() -> Iterator[None]:
    """Replace ``requests`` during the import, unless it is imported already."""
    if "requests" in sys.modules:
        yield
        return
    agent = f"python-requests/{version('requests')}"  # as ccxt calls itself
    names: dict[str, dict[str, Any]] = {
        "requests": {"Session": object},
        "requests.utils": {"default_user_agent": lambda: agent},
        "requests.exceptions": {name: type(name, (OSError,), {}) for name in _REQUESTS_ERRORS},
    }
    for name, attributes in names.items():
        empty = sys.modules[name] = ModuleType(name)
        vars(empty).update(attributes)
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        for name in set(sys.modules) - before:
            # These modules may have imported a name of the replacement.
            if name.partition(".")[0] == "ccxt" and name != "ccxt.base.errors":
                del sys.modules[name]
