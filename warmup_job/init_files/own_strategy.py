"""Find a user's strategy by its name, and fill in the configuration that its class asks for."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from warmup_job.catalog.installed_nautilus import require_nautilus
from warmup_job.errors import ConfigError
from warmup_job.init_files.init_choices import InitChoices
from warmup_job.process.os_errors import cause_of

_NAUTILUS: Final = "nautilus_trader"
_SIZES: Final = ("trade_size", "order_size", "order_qty", "quantity", "qty", "base_qty")


class OwnStrategy(msgspec.Struct, frozen=True):
    """Where a strategy's code is, or where it is going to be.

    Attributes:
        module: The module's name.
        class_name: The class in it.
        file: The module's file in the user's folder, or None if it is installed elsewhere.
        exists: Whether the module is there already.
    """

    module: str
    class_name: str
    file: Path | None
    exists: bool


def find_strategy(folder: Path, class_path: str) -> OwnStrategy:
    """Look for a strategy in a folder, then where Python looks.

    Args:
        folder: The user's folder.
        class_path: ``package.module:Class``.

    Raises:
        ConfigError: The module would belong to a package that is installed and does not have it,
            or is Nautilus' own, which is not installed; or the folder cannot be read.
    """
    module, _, class_name = class_path.partition(":")
    stem = folder.joinpath(*module.split("."))
    top = module.partition(".")[0]
    try:
        for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            if file.is_file():
                return OwnStrategy(module, class_name, file, exists=True)
        has_top = (folder / top).exists()
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be read ({cause_of(error)}): choose a folder that you can write"
        ) from None
    if not has_top and top == _NAUTILUS:
        require_nautilus(f"--strategy {class_path}")
    if not has_top and importlib.util.find_spec(top) is not None:
        if _is_installed(module):
            return OwnStrategy(module, class_name, None, exists=True)
        raise ConfigError(
            f"--strategy {class_path}: the package {top} is installed and has no module {module}: "
            "correct the name, or choose another one for your own code"
        )
    return OwnStrategy(module, class_name, stem.with_name(f"{stem.name}.py"), exists=False)


def _is_installed(module: str) -> bool:
    try:
        with redirect_stdout(sys.stderr):
            return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def config_fields(
    choices: InitChoices, own: OwnStrategy
) -> tuple[str, list[tuple[str, dict[str, str]]]]:
    """Fill in the configuration of a strategy that exists.

    It imports the module, as the job and the trader do.

    Args:
        choices: What the user has chosen.
        own: The strategy.

    Returns:
        The path of the configuration's class, and for each symbol its fields as YAML.

    Raises:
        ConfigError: The module cannot be imported or has no such class, or a field has no default
            and is not known.
    """
    kind = _config_class(choices.folder, own)
    per_symbol = [(symbol, _filled(choices, kind, symbol)) for symbol in choices.symbols]
    return f"{kind.__module__}:{kind.__name__}", per_symbol


def _config_class(folder: Path, own: OwnStrategy) -> type[msgspec.Struct]:
    if own.file is not None:
        sys.path.insert(0, str(folder.absolute()))
        importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            module = importlib.import_module(own.module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever somebody else's code raises
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(_NAUTILUS):
            require_nautilus(f"{own.module}, which init imports to know its configuration,")
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{own.module} cannot be imported ({reason}): correct it first") from None
    found = getattr(module, own.class_name, None)
    if not isinstance(found, type):
        raise ConfigError(
            f"the module {own.module} exists ({module.__file__}) and has no class "
            f"{own.class_name}: correct --strategy, or add the class"
        )
    named = getattr(module, f"{own.class_name}Config", None)
    for candidate in (named, *_annotated(found, module)):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    raise ConfigError(
        f"{own.module} has no {own.class_name}Config, and the constructor of {own.class_name} does "
        "not name the class of its configuration: annotate its parameter `config`"
    )


def _annotated(found: type, module: object) -> Iterator[object]:
    """Yield what the constructor's parameter ``config`` is annotated with."""
    try:
        parameter = inspect.signature(found).parameters.get("config")
    except (TypeError, ValueError):  # a compiled class
        return
    annotation = None if parameter is None else parameter.annotation
    yield getattr(module, annotation, None) if isinstance(annotation, str) else annotation


def _filled(choices: InitChoices, kind: type[msgspec.Struct], symbol: str) -> dict[str, str]:
    intervals = choices.intervals or ("1m",)
    bar_types = [choices.bar_type(symbol, each) for each in intervals]
    unused = list(bar_types)
    filled: dict[str, str] = {}
    missing: list[str] = []
    wanted = []
    for each in msgspec.structs.fields(kind):
        is_list, name = _type_name(each.type)
        if each.name in choices.fields:
            filled[each.name] = choices.fields[each.name]
        elif name == "InstrumentId" and (each.required or not is_list):
            written = choices.instrument_id(symbol)
            if each.required or each.name == "instrument_id":
                filled[each.name] = f"[{written}]" if is_list else written
        elif name == "BarType" and each.required:
            wanted.append(each.name)
            if is_list:
                filled[each.name] = f"[{', '.join(bar_types)}]"
            elif unused:
                filled[each.name] = unused.pop(0)
        elif each.required:
            size = choices.known_quantity(symbol)
            if each.name in _SIZES and name in (Decimal.__name__, "float", "str") and size:
                filled[each.name] = f'"{size}"' if name == "str" else size
            else:
                missing.append(each.name)
    _check_filled(choices, kind, filled, wanted, missing)
    return filled


def _check_filled(
    choices: InitChoices,
    kind: type[msgspec.Struct],
    filled: dict[str, str],
    bar_types: list[str],
    missing: list[str],
) -> None:
    """Check that every field has a value.

    Args:
        choices: What the user has chosen.
        kind: The class of the configuration.
        filled: The fields that have a value.
        bar_types: The fields that are bar types.
        missing: Other fields without a value.

    Raises:
        ConfigError: One has none; the message names the options to add.
    """
    if any(each not in filled for each in bar_types):
        raise ConfigError(
            f"{kind.__name__} names {len(bar_types)} bar types ({', '.join(bar_types)}): give each "
            "an interval, in this order, e.g. --intervals 1m,15m"
        )
    unknown = choices.fields.keys() - {each.name for each in msgspec.structs.fields(kind)}
    if unknown:
        raise ConfigError(f"--set: {kind.__name__} has no field {', '.join(sorted(unknown))}")
    if missing:
        options = " ".join(f"--set {name}=VALUE" for name in missing)
        raise ConfigError(f"{kind.__name__} has fields without a default: add {options}")


def _type_name(kind: Any) -> tuple[bool, str]:  # noqa: ANN401 - a type of any sort
    """Return whether a type is a list or tuple, and the name of the type or of its items."""
    if get_origin(kind) in (list, tuple, set, frozenset):
        return True, getattr(get_args(kind)[0], "__name__", "")
    return False, getattr(kind, "__name__", "")
