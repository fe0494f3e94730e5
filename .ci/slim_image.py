"""What the Dockerfile does to the files that go into the image; `make test-image` proves it.

slim SITE_PACKAGES     take away what neither job nor trader nor local exchange runs
compile FOLDER...      bytecode beside every module that has none
settle FOLDER...       the same time on every file: the same commit gives the same layers
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode

# Below site-packages: other packages' tests, headers, and the libraries of Arrow that only its
# flight and object stores use.
UNUSED = (
    "*/tests",
    "*/*/tests",
    "ccxt/pro",
    "ccxt/prediction",
    "ccxt/protobuf",
    "ccxt/test",
    "nautilus_trader/test_kit",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/f2py",
    "pyarrow/_flight*",
    "pyarrow/_s3fs*",
    "pyarrow/include",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/libarrow_s3*",
    "pyarrow/src",
)
# The venues whose ccxt and Nautilus modules stay in the image.
VENUES = {
    "ccxt": "__init__ abstract async_support base static_dependencies",
    "ccxt/abstract": "__init__ binance",
    "ccxt/async_support": "__init__ base binance",
    "nautilus_trader/adapters": "__init__ binance env sandbox",
}
SOURCES = re.compile(r"\.(a|c|cc|cpp|f|f90|h|hpp|pxd|pxi|pyi|pyx|src)$")
NOT_RUN = re.compile(r"/(ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo)/")


def slim(site_packages: Path) -> None:
    """Take away what is not run. A pattern without a match ends it: the package has changed."""
    for pattern in UNUSED:
        found = list(site_packages.glob(pattern))
        if not found:
            sys.exit(f"slim_image: {pattern} is nowhere any more: look at what the package has now")
        remove(found)
    for folder, stay in VENUES.items():
        venues = (site_packages / folder).iterdir()
        remove(each for each in list(venues) if each.stem not in stay.split())
    for root, _, names in os.walk(site_packages):
        remove(Path(root, name) for name in names if SOURCES.search(name))
    # A wheel has no links: it has a copy of a library for each of its names. Only one is loaded.
    for versioned in (site_packages / "pyarrow").glob("lib*.so.*.*"):
        remove([versioned, versioned.with_name(versioned.name.partition(".so")[0] + ".so")])


def remove(paths: Iterable[Path]) -> None:
    """Files, and folders with all that is in them."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def compile_all(folder: Path) -> None:
    """Bytecode that is not checked against its source: both are read-only, and it holds no time."""
    compileall.compile_dir(
        folder, quiet=2, rx=NOT_RUN, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


def settle(folder: Path) -> None:
    """SOURCE_DATE_EPOCH, UTC s, as the time of everything below the folder and of itself."""
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    for root, folders, names in os.walk(folder, topdown=False):
        for name in (*names, *folders, "."):
            os.utime(Path(root, name), (when, when), follow_symlinks=False)


if __name__ == "__main__":
    step = {"slim": slim, "compile": compile_all, "settle": settle}[sys.argv[1]]
    for argument in sys.argv[2:]:
        step(Path(argument))
