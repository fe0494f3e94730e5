"""Which historical bars a strategy can take, and which of its indicators lack data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nautilus_trader.common.actor import Actor
from nautilus_trader.indicators import Indicator
from nautilus_trader.model.data import Bar


def indicators_fed_by(actor: Actor, bar: Bar) -> list[Indicator]:
    """Return the indicators that the actor has registered for the bar's type.

    Nautilus shows only all of them together. So the actor gets a bar while its own dispatch to the
    indicators is replaced, and no indicator is updated.

    Args:
        actor: it must not override `on_historical_data`.
        bar: any bar of the type.
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
    """Return whether anything in the actor takes a historical bar of this type."""
    if type(actor).on_historical_data is not Actor.on_historical_data:
        return True
    return bool(actor.registered_indicators) and bool(indicators_fed_by(actor, bar))


def uninitialized(actors: Iterable[Actor]) -> list[str]:
    """Return the registered indicators that have not had enough data, one line each."""
    return [
        f"{actor.id}: indicator {indicator} is not initialized"
        for actor in actors
        for indicator in actor.registered_indicators
        if not indicator.initialized
    ]
