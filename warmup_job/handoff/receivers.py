"""What a strategy can receive, and whether it is warm, as observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.indicators import Indicator
from nautilus_trader.model.data import Bar


def indicators_fed_by(actor: Actor, bar: Bar) -> list[Indicator]:
    """The indicators that the actor has registered for the bar's type.

    Nautilus shows only all of them together. So a bar is handed to the actor while its own dispatch
    is stood in for: nothing is updated, and `on_historical_data` must not be overridden.
    """
    found: list[Indicator] = []

    def note(indicators: list[Indicator], _: Bar) -> None:
        found.extend(indicators)

    patched: Any = actor
    patched._handle_indicators_for_bar = note
    try:
        actor.handle_historical_bar(bar)
    finally:
        del patched._handle_indicators_for_bar
    return found


def receives_history(actor: Actor, bar: Bar) -> bool:
    """Whether anything in the actor receives a historical bar of this type."""
    if type(actor).on_historical_data is not Actor.on_historical_data:
        return True
    return bool(actor.registered_indicators) and bool(indicators_fed_by(actor, bar))


def uninitialized(actors: Iterable[Actor]) -> list[str]:
    """Registered indicators that have not had enough data, one line each."""
    return [
        f"{actor.id}: indicator {indicator} is not initialized"
        for actor in actors
        for indicator in actor.registered_indicators
        if not indicator.initialized
    ]
