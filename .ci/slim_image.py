"""Prepare the files of the image for the Dockerfile; `make test-image` tests the result.

slim SITE_PACKAGES     remove files that job, trader and local exchange do not need
compile FOLDER...      compile bytecode for every module that has none
subtract FOLDER BASE   remove what BASE has too, so that FOLDER is a layer on top of it
set-times FOLDER...    give every file the same time, so that a commit always gives the same layers
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import struct
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
FULL_IMAGE_ONLY = {"nautilus_trader"}
SOURCES = re.compile(r"\.(a|c|cc|cpp|f|f90|h|hpp|pxd|pxi|pyi|pyx|src)$")
LIBRARY = re.compile(r"\.so(\.\d+)*$")
NOT_RUN = re.compile(r"/(ensurepip|idlelib|pydoc_data|test|tkinter|turtledemo)/")


def slim(site_packages: Path) -> None:
    """Remove unused files; exit with an error if a pattern matches nothing any more."""
    for pattern in UNUSED:
        package = pattern.partition("/")[0]
        if package in FULL_IMAGE_ONLY and not (site_packages / package).exists():
            continue
        matches = list(site_packages.glob(pattern))
        if not matches:
            sys.exit(
                f"slim_image: no file matches {pattern}: update UNUSED to the package's new layout"
            )
        remove(matches)
    for folder, kept in VENUES.items():
        package = folder.partition("/")[0]
        if package in FULL_IMAGE_ONLY and not (site_packages / package).exists():
            continue
        venues = (site_packages / folder).iterdir()
        remove(each for each in list(venues) if each.stem not in kept.split())
    for root, _, names in os.walk(site_packages):
        remove(Path(root, name) for name in names if SOURCES.search(name))
        for name in names:
            if LIBRARY.search(name):
                strip_symbols(Path(root, name))
    # A wheel has no links: it has a copy of a library for each of its names. Only one is loaded.
    for versioned in (site_packages / "pyarrow").glob("lib*.so.*.*"):
        remove([versioned, versioned.with_name(versioned.name.partition(".so")[0] + ".so")])


def strip_symbols(library: Path) -> None:
    """Cut off what only debuggers read: all that follows the last segment of an ELF file.

    The loader reads segments (elf(5), "program header"). The section headers, which are cut off
    too, would only describe them once more.

    binutils' ``strip`` would give files of the same size. It is not used because it can only come
    from Debian, whose packages have no hash in a lock file: the same commit could give other bytes.
    """
    body = library.read_bytes() if library.is_file() else b""
    if body[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
        return
    (table,) = struct.unpack_from("<Q", body, 32)
    size, count = struct.unpack_from("<HH", body, 54)
    ends = [table + size * count]
    for header in range(table, ends[0], size):
        offset, length = (struct.unpack_from("<Q", body, header + at)[0] for at in (8, 32))
        ends.append(offset + length)
    kept = bytearray(body[: max(ends)])
    struct.pack_into("<Q", kept, 40, 0)  # where the section headers are
    struct.pack_into("<HH", kept, 60, 0, 0)  # their number, and which of them has the names
    library.write_bytes(kept)


def remove(paths: Iterable[Path]) -> None:
    """Remove files, and folders with their content."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def compile_all(folder: Path) -> None:
    """Compile bytecode that is not checked against its source and so contains no time."""
    compileall.compile_dir(
        folder, quiet=2, rx=NOT_RUN, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


def subtract(folder: Path, base: Path) -> None:
    """Remove every file that the base has too; exit with an error if it has another content."""
    for root, folders, names in os.walk(folder, topdown=False):
        below = base / Path(root).relative_to(folder)
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in (*names, *links):
            if os.path.lexists(below / name):
                if not same_file(Path(root, name), below / name):
                    sys.exit(f"slim_image: {Path(root, name)} differs from {below / name}")
                Path(root, name).unlink()
        if below.is_dir() and not any(Path(root).iterdir()):
            Path(root).rmdir()


def same_file(one: Path, other: Path) -> bool:
    """Return whether two files have the same mode and content, or are links to the same target."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    same_mode = one.stat().st_mode == other.stat().st_mode
    return same_mode and one.read_bytes() == other.read_bytes()


def set_times(folder: Path) -> None:
    """Set the time of the folder and everything below it to SOURCE_DATE_EPOCH (UTC s)."""
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    for root, folders, names in os.walk(folder, topdown=False):
        for name in (*names, *folders, "."):
            os.utime(Path(root, name), (when, when), follow_symlinks=False)


if __name__ == "__main__":
    if sys.argv[1] == "subtract":
        subtract(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        step = {"slim": slim, "compile": compile_all, "set-times": set_times}[sys.argv[1]]
        for argument in sys.argv[2:]:
            step(Path(argument))
