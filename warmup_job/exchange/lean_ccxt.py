"""ccxt's asynchronous Binance without the hundred exchanges beside it.

``import ccxt.async_support`` reads every exchange that ccxt knows, twice: 0.6 s of a start-up that
is otherwise half a second. Binance's own module needs none of them. So the two packages are entered
without running their ``__init__``, and are forgotten again: whoever imports ccxt afterwards gets
all of it, with the same classes. Where that does not work out, ccxt is imported as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = ("ccxt", "ccxt.async_support")


def import_binance() -> tuple[type[Any], ModuleType]:
    """ccxt's asynchronous ``binance`` class, and the module of its errors."""
    if not any(name in sys.modules for name in _PACKAGES):
        try:
            return _import_lean()
        except (ImportError, AttributeError):  # another ccxt than the one that this was made for
            for name in [each for each in sys.modules if each.partition(".")[0] == "ccxt"]:
                del sys.modules[name]
    package = importlib.import_module("ccxt.async_support")
    return package.binance, package


def _import_lean() -> tuple[type[Any], ModuleType]:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or spec.origin is None:
        raise ImportError("ccxt is not installed")
    home = Path(spec.origin).parent
    try:
        for name, path in zip(_PACKAGES, (home, home / "async_support"), strict=True):
            hollow = ModuleType(name)
            hollow.__path__ = [str(path)]
            sys.modules[name] = hollow
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
