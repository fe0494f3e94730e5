"""Import strategies: their classes, and their settings as the classes read them.

Importing runs the strategy's module, but makes no strategy. It imports Nautilus, which takes most
of a second, so the job does it only for strategies that are not built in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from decimal import Decimal
from importlib import import_module
from typing import Any

import msgspec
from nautilus_trader.common.config import NautilusConfig
from nautilus_trader.trading.config import StrategyConfig
from nautilus_trader.trading.strategy import Strategy

from warmup_job.config import Substituted, texts
from warmup_job.errors import ConfigError
from warmup_job.market.nearest_word import nearest
from warmup_job.plan.strategy_plan import StrategyPlan


def check_importable(plans: Iterable[StrategyPlan]) -> None:
    """Import every strategy that is not built in, and let it read its configuration.

    Raises:
        ConfigError: the first strategy that cannot be imported or refuses its configuration.
    """
    for index, plan in enumerate(plans):
        if not plan.is_built_in:
            import_strategy(plan, index)


def import_strategy(plan: StrategyPlan, index: int) -> tuple[type[Strategy], NautilusConfig]:
    """Import the class of a strategy and read its configuration.

    Args:
        plan: the strategy.
        index: its position among the configured strategies; it becomes the order id tag.

    Returns:
        The strategy's class and the configuration to make it with.

    Raises:
        ConfigError: a class cannot be imported or does not derive from Nautilus', or the
            configuration is refused.
    """
    if plan.import_from is not None and plan.import_from not in sys.path:
        sys.path.insert(0, plan.import_from)
    strategy_class: type[Strategy] = _class("strategy_path", plan.strategy_path, Strategy)
    config_class = _class("config_path", plan.config_path, StrategyConfig)
    fields = {"order_id_tag": f"{index:03d}", **plan.fields}
    try:
        config = config_class.parse(msgspec.json.encode(_exact(fields)))
    except Exception as error:  # noqa: BLE001 - whatever somebody else's code raises
        reason = without_secrets(_one_line(error), plan.fields)
        raise ConfigError(
            f"{plan.config_path} refuses its config ({reason}): correct the `config` section "
            "of the strategy file"
        ) from None
    return strategy_class, config


def _class(key: str, path: str, kind: type) -> Any:  # noqa: ANN401 - a class of somebody else's
    module_name, _, name = path.partition(":")
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ConfigError(
                f"{key}: there is no module {missing} to import {path} from: name the folder that "
                "holds it in import_from, or put it on PYTHONPATH "
                "(docs/how-to/your-own-strategy.md)"
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
    """Return ``value`` ready for JSON, with numbers digit for digit as they were written."""
    if isinstance(value, Decimal):
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def without_secrets(text: str, config: object) -> str:
    """Return ``text`` without values that came from the environment, which may be secrets.

    Args:
        text: what a strategy or its configuration's class says.
        config: the configuration, as the strategy file has it.
    """
    for value in texts(config):
        if isinstance(value, Substituted) and value:
            text = text.replace(str(value), value.written)
    return text
