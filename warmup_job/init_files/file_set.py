"""Make the files of a configuration from what the user has chosen: their names and their text."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from warmup_job.errors import ConfigError
from warmup_job.init_files.init_choices import InitChoices, check_choices
from warmup_job.init_files.own_strategy import OwnStrategy, config_fields, find_strategy
from warmup_job.init_files.render import render, template
from warmup_job.init_files.symbol_check import quote_asset

_KEY_PREFIXES = {
    "production": "BINANCE",
    "testnet": "BINANCE_TESTNET",
    "demo": "BINANCE_DEMO",
    "local": "",
}
_ABOUT = {
    "production": "Binance's real market",
    "testnet": "Binance's testnet, with play money and its own prices",
    "demo": "Binance's demo trading, with play money on a separate account",
    "local": "the local exchange on this machine (`warmup-job exchange`)",
}
_WEIGHTS = {"um": 2400, "spot": 6000}
_BALANCES = {"BTC": "1", "ETH": "10", "BNB": "50"}
_IMAGE = "warmup-job:latest"


class FileSet(msgspec.Struct, frozen=True):
    """The files to write.

    Attributes:
        settings: Text by path; these are replaced by `--force`.
        code: The strategy's module, if it does not exist yet; it is never replaced.
        own: The user's strategy, or None.
    """

    settings: dict[Path, str]
    code: dict[Path, str]
    own: OwnStrategy | None


def make_files(choices: InitChoices) -> FileSet:
    """Make everything that `init` writes.

    Args:
        choices: What the user has chosen.

    Raises:
        ConfigError: The choices contradict each other, or an existing strategy cannot be used.
    """
    check_choices(choices)
    own = find_strategy(choices.folder, choices.strategy) if choices.is_own else None
    if own is not None and not own.exists:
        _check_new(choices)
    values = _values(choices, own)
    folder = choices.folder
    settings = _strategy_files(choices, own)
    names = ", ".join(path.name for path in settings)
    values["strategy_files"] = f"[{names}]" if len(settings) > 1 else names
    config_list = ["warmup.yaml", "venue.yaml", *(path.name for path in settings)]
    values["config_files"] = " ".join(config_list)
    # The component with the local exchange names its venue file so, whatever the overlay says.
    same = ["simulated.yaml=venue.yaml"] if choices.place == "local" else []
    values["config_list"] = ", ".join([*config_list, *same])
    values["mounts"] = "" if values["dockerfile"] else _mounts(own, config_list)
    settings = {
        folder / "warmup.yaml": render(template("warmup.yaml"), values),
        folder / "venue.yaml": render(template("venue.yaml"), values),
        **settings,
    }
    if choices.compose:
        settings[folder / "compose.yaml"] = render(template("compose.yaml"), values)
    if values["dockerfile"]:
        settings[folder / "Dockerfile"] = render(template("Dockerfile"), values)
        settings[folder / ".dockerignore"] = template("dockerignore")
    if choices.k8s_base is not None:
        settings[folder / "kustomization.yaml"] = render(template("kustomization.yaml"), values)
    code = {}
    if own is not None and not own.exists and own.file is not None:
        text = template("my_strategy.py").replace("MyStrategy", own.class_name)
        code[own.file] = text
    return FileSet(settings, code, own)


def _check_new(choices: InitChoices) -> None:
    if choices.intervals not in ((), ("1m", "15m")):
        raise ConfigError(
            f"{choices.strategy} does not exist yet, and the example that init writes uses 1m and "
            "15m bars: omit --intervals and change the example"
        )
    if choices.fields:
        raise ConfigError(f"{choices.strategy} does not exist yet: omit --set")


def _values(choices: InitChoices, own: OwnStrategy | None) -> dict[str, str | bool]:
    """Return what the templates' names stand for."""
    place = choices.place
    quotes = dict.fromkeys(quote_asset(each, choices.market) for each in choices.symbols)
    # A module that is not in the image reaches Kubernetes only in an image of its own.
    has_code = own is not None and own.file is not None
    dockerfile = choices.dockerfile or (choices.k8s_base is not None and has_code)
    trader = "the job and a paper trader" if choices.has_strategy else "the job"
    base = ""
    if choices.k8s_base is not None:
        kind = choices.k8s_base
        kind = kind if choices.has_strategy else kind.parent / "overlays/job"
        base = os.path.relpath(kind.absolute(), choices.folder.absolute())
    components = ""
    if choices.k8s_base is not None:
        components = os.path.relpath(
            choices.k8s_base.absolute().parent / "components", choices.folder.absolute()
        )
    return {
        "about": _ABOUT[place],
        "and_strategy": f" and the code of {own.module}" if own and has_code else "",
        "balances": ", ".join(f"{_BALANCES.get(each, '10000')} {each}" for each in quotes),
        "base": base,
        "base_image": _IMAGE,
        "code": own.module.partition(".")[0] + _suffix(own) if own and has_code else "",
        "components": components,
        "config_folder": "/app" if dockerfile else "/etc/warmup-job",
        "dockerfile": dockerfile,
        "has_strategy": choices.has_strategy,
        "is_existing": own is not None and own.exists,
        "is_futures": choices.market == "um",
        "is_grid": choices.is_grid,
        "is_local": place == "local",
        "is_new": own is not None and not own.exists,
        "key_prefix": _KEY_PREFIXES[place],
        "needs_port_9443": choices.market == "spot" and place == "production",
        "place": place,
        "project": choices.project,
        "strategy": "HedgeGridV1" if choices.is_grid else choices.strategy,
        "streams": _streams(choices, own),
        "weight": str(_WEIGHTS[choices.market]),
        "what_runs": f"{trader}, with {_ABOUT[place].partition(',')[0]}",
    }


def _suffix(own: OwnStrategy) -> str:
    """Return what the module's file or folder ends with beside warmup.yaml."""
    is_file = own.file is not None and own.file.name != "__init__.py" and "." not in own.module
    return ".py" if is_file else ""


def _streams(choices: InitChoices, own: OwnStrategy | None) -> str:
    intervals: tuple[str, ...]
    if own is not None and not own.exists:
        intervals, bars = ("1m", "15m"), "auto"
    elif choices.is_grid:
        intervals, bars = ("1m",), "auto"
    else:
        intervals, bars = choices.intervals or ("1m",), "500" if choices.is_own else "1000"
    return "\n".join(
        f"    - {{symbol: {symbol}, interval: {interval}, bars: {bars}}}"
        for symbol in choices.symbols
        for interval in intervals
    )


def _strategy_files(choices: InitChoices, own: OwnStrategy | None) -> dict[Path, str]:
    """Return one strategy file for each symbol."""

    def place(symbol: str) -> Path:
        alone = len(choices.symbols) == 1
        return choices.folder / ("strategy.yaml" if alone else f"strategy_{symbol}.yaml")

    if choices.is_grid:
        return {place(symbol): _grid_file(choices, symbol) for symbol in choices.symbols}
    if own is None:
        return {}
    if own.exists:
        config_path, filled = config_fields(choices, own)
    else:
        config_path = f"{choices.strategy}Config"
        filled = [(symbol, _new_fields(choices, symbol)) for symbol in choices.symbols]
    return {
        place(symbol): render(
            template("own_strategy.yaml"),
            {
                "class_name": own.class_name,
                "symbol": symbol,
                "strategy_path": choices.strategy,
                "config_path": config_path,
                "is_local_code": own.file is not None,
                "fields": "\n".join(f"  {key}: {value}" for key, value in fields.items()),
            },
        )
        for symbol, fields in filled
    }


def _grid_file(choices: InitChoices, symbol: str) -> str:
    quantity = choices.grid_quantity(symbol)
    values = {
        "symbol": symbol,
        "instrument_id": choices.instrument_id(symbol),
        "base_qty": f"{quantity.normalize():f}",
        "max_position_size": f"{(quantity * 25).normalize():f}",
    }
    return render(template("hedge_grid.yaml"), values)


def _new_fields(choices: InitChoices, symbol: str) -> dict[str, str]:
    return {
        "instrument_id": choices.instrument_id(symbol),
        "entry_bar_type": choices.bar_type(symbol, "1m"),
        "trend_bar_type": choices.bar_type(symbol, "15m"),
        "order_value": "250         # of a position, in quote currency",
        "fast_period": "10          # bars of 1m; warmup.yaml declares all three periods",
        "slow_period": "20",
        "trend_period": "50         # bars of 15m",
        "oms_type": "HEDGING        # a position of its own, as Binance's hedge mode needs",
    }


def _mounts(own: OwnStrategy | None, config_list: list[str]) -> str:
    """Return the files that compose mounts, each followed by a comma and a space."""
    names = list(config_list)
    if own is not None and own.file is not None:
        names.append(own.module.partition(".")[0] + _suffix(own))
    return "".join(f'"./{name}:/etc/warmup-job/{name}:ro", ' for name in names)
