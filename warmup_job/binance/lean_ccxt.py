"""ccxt's asynchronous Binance without the hundred exchanges beside it.

``import ccxt.async_support`` reads every exchange that ccxt knows, twice: 0.6 s of a start-up that
is otherwise half a second. Binance's own module needs none of them. So the two packages are entered
without running their ``__init__``, and are forgotten again: whoever imports ccxt afterwards gets
all of it, with the same errors. Where that does not work out, ccxt is imported as it is.

``requests``, which ccxt's synchronous side is made of, and which is a fifth of what is left, is
stood in for by its names; what has seen those is forgotten too.
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
    """ccxt's asynchronous ``binance`` class, and the module of its errors."""
    if not any(name in sys.modules for name in _PACKAGES):
        try:
            return _import_lean()
        except (ImportError, AttributeError):  # another ccxt than the one that this was made for
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
            hollow = ModuleType(name)
            hollow.__path__ = [str(path)]
            sys.modules[name] = hollow
        with _without_requests():
            errors = importlib.import_module("ccxt.base.errors")
            # Modules below take the errors and the base class from the package itself.
            inside = {name: value for name, value in vars(errors).items() if name[0] != "_"}
            vars(sys.modules["ccxt"]).update(inside)
            base = importlib.import_module("ccxt.base.exchange")
            vars(sys.modules["ccxt"])["Exchange"] = base.Exchange
            return importlib.import_module("ccxt.async_support.binance").binance, errors
    finally:
        for name in _PACKAGES:
            sys.modules.pop(name, None)


@contextmanager
def _without_requests() -> Iterator[None]:
    """Stand in for requests, if nobody has imported it, while ccxt's modules take its names."""
    if "requests" in sys.modules:
        yield
        return
    agent = f"python-requests/{version('requests')}"  # as ccxt calls itself
    names: dict[str, dict[str, Any]] = {
        "requests": {"Session": object},
        "requests.utils": {"default_user_agent": lambda: agent},
        "requests.exceptions": {name: type(name, (OSError,), {}) for name in _REQUESTS_ERRORS},
    }
    for name, inside in names.items():
        hollow = sys.modules[name] = ModuleType(name)
        vars(hollow).update(inside)
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        for name in set(sys.modules) - before:
            # The others may have taken a stand-in.
            if name.partition(".")[0] == "ccxt" and name != "ccxt.base.errors":
                del sys.modules[name]
