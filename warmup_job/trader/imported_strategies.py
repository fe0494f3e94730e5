"""Other people's strategies: their classes imported, their settings read as the classes do.

It runs the strategy's module, as the trader will, but makes no strategy: what a constructor does is
the trader's business. Importing Nautilus takes most of a second, so only who has such a strategy
calls this.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from decimal import Decimal
from importlib import import_module
from typing import Any

import msgspec
from nautilus_trader.common.config import NautilusConfig
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from warmup_job.config import ImportedStrategy, Substituted, WarmupConfig, nearest, texts
from warmup_job.errors import ConfigError


def check_importable(config: WarmupConfig) -> None:
    """Find out whether every imported strategy can be imported and takes its configuration.

    Raises:
        ConfigError: the first that does not, and what somebody has to do.
    """
    for at, strategy in enumerate(config.strategies):
        if isinstance(strategy, ImportedStrategy):
            import_strategy(strategy, at)


def import_strategy(strategy: ImportedStrategy, at: int) -> tuple[type[Strategy], NautilusConfig]:
    """The class of a strategy and its configuration; ``at``: its place among the configured ones.

    Raises:
        ConfigError: either class cannot be imported or is none of Nautilus', or the configuration
            is refused.
    """
    made: type[Strategy] = _class("strategy_path", strategy.strategy_path, Strategy)
    config_class = _class("config_path", strategy.config_path, StrategyConfig)
    fields = {"order_id_tag": f"{at:03d}"} | strategy.config
    try:
        config = config_class.parse(msgspec.json.encode(_exact(fields)))
    except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises
        reason = _without_secrets(_one_line(error), strategy.config)
        raise ConfigError(
            f"{strategy.config_path} refuses its config ({reason}): correct the `config` section "
            "of the strategy file"
        ) from None
    return made, config


def _class(key: str, path: str, kind: type) -> Any:  # noqa: ANN401 - a class of somebody else's
    module_name, _, name = path.partition(":")
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ConfigError(
                f"{key}: there is no module {missing} to import {path} from: put the folder that "
                'holds it on PYTHONPATH (docs/trading.md, "Any strategy")'
            ) from None
        raise ConfigError(f"{key}: {path} needs the module {missing}: install it") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise ConfigError(f"{key}: {path} cannot be imported ({_one_line(error)})") from None
    found = getattr(module, name, None)
    if found is None:
        near = nearest(name, vars(module))
        hint = "" if near is None else f"; did you mean {near}?"
        raise ConfigError(f"{key}: the module {module_name} has no class {name}{hint}")
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ConfigError(f"{key}: {path} is no {kind.__name__} of Nautilus'")
    return found


def _exact(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
    """Numbers as they were written, and not through a float."""
    if isinstance(value, Decimal):
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _without_secrets(text: str, config: object) -> str:
    """``text`` without what came from the environment: it could be a secret."""
    for value in texts(config):
        if isinstance(value, Substituted) and value:
            text = text.replace(str(value), value.written)
    return text
