"""Keep two imports of other packages from doing at once what nobody may need.

- `aiohttp.connector` reads the system's certificate authorities twice. Here its first encrypted
  connection reads them (`late_tls`), and the settings that trust everybody never do.
- `nautilus_trader.model.tick_scheme` makes the 79,000 prices of a table for shares in Tokyo, which
  is a fifth of the time that importing Nautilus takes. Here its first use makes them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

type _Change = Callable[[Loader, ModuleType], None]


def change_slow_imports() -> None:
    """From now on, import these packages in their fast form; those imported already stay."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self._changes: dict[str, _Change] = {
            "aiohttp.connector": _without_authorities,
            "nautilus_trader.model.tick_scheme": _at_its_first_use,
        }

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ANN401
        """Return the usual spec, with a loader that changes how the module is executed."""
        change = self._changes.pop(fullname, None)
        spec = PathFinder.find_spec(fullname, path, target) if change else None
        if change is None or spec is None or spec.loader is None:
            return None
        spec.loader = _ChangedLoader(spec.loader, change)
        return spec


class _ChangedLoader(Loader):
    def __init__(self, usual: Loader, change: _Change) -> None:
        self._usual, self._change = usual, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._usual
        if module.__spec__ is not None:
            module.__spec__.loader = self._usual
        self._change(self._usual, module)


def _without_authorities(loader: Loader, module: ModuleType) -> None:
    import ssl

    from warmup_job.process.late_tls import late_context

    usual, read_system = ssl.create_default_context, ssl.SSLContext.set_default_verify_paths

    def create_default_context(*call: Any, **named: Any) -> ssl.SSLContext:  # noqa: ANN401
        return usual(*call, **named) if call or named else late_context()

    def set_default_verify_paths(context: ssl.SSLContext) -> None:
        if context.verify_mode != ssl.CERT_NONE:  # which trusts everybody, and reads nevertheless
            read_system(context)

    with (
        _replaced(ssl, "create_default_context", create_default_context),
        _replaced(ssl.SSLContext, "set_default_verify_paths", set_default_verify_paths),
    ):
        loader.exec_module(module)


@contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:  # it is inherited
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _at_its_first_use(loader: Loader, module: ModuleType) -> None:
    lock = threading.RLock()
    names = vars(module)

    def get(name: str) -> Any:  # noqa: ANN401
        with lock:
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            if names.pop("__getattr__", None) is not None:
                loader.exec_module(module)
        return getattr(module, name)

    names["__getattr__"] = get
