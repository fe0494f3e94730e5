"""Quotes of everything that is traded: a sign of life, and what fills orders on paper."""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument


def fitted(tick: QuoteTick, instrument: Instrument) -> QuoteTick | None:
    """The quote with the instrument's precision, which Nautilus' sandbox insists on; None: it has
    more decimals than that, as when the venue has changed its tick.
    """
    values = (tick.bid_price, tick.ask_price, tick.bid_size, tick.ask_size)
    wanted = (instrument.price_precision,) * 2 + (instrument.size_precision,) * 2
    if all(each.precision == at for each, at in zip(values, wanted, strict=True)):
        return tick
    made = []
    for value, precision in zip(values, wanted, strict=True):
        exact = value.as_decimal()
        rounded = round(exact, precision)
        if rounded != exact:
            return None
        made.append(type(value).from_str(f"{rounded:.{precision}f}"))
    return QuoteTick(tick.instrument_id, *made, tick.ts_event, tick.ts_init)


class Quotes(Actor):
    """Subscribes to quotes of what is traded, whatever the strategies follow."""

    def __init__(self, instrument_ids: Iterable[InstrumentId]) -> None:
        super().__init__()
        self._instrument_ids = tuple(instrument_ids)

    def on_start(self) -> None:
        """Subscribe."""
        for instrument_id in self._instrument_ids:
            self.subscribe_quote_ticks(instrument_id)

    def on_stop(self) -> None:
        """Let go of them."""
        for instrument_id in self._instrument_ids:
            self.unsubscribe_quote_ticks(instrument_id)
