"""Quotes of what is traded: they show that the websocket is alive, and fill paper orders."""

from __future__ import annotations

from collections.abc import Iterable

from loguru import logger
from nautilus_trader.common.actor import Actor
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument


class QuoteSubscriber(Actor):
    """Subscribes to the quotes of some instruments, whatever the strategies follow.

    Args:
        instrument_ids: of what is traded.
    """

    def __init__(self, instrument_ids: Iterable[InstrumentId]) -> None:
        super().__init__()
        self._instrument_ids = tuple(instrument_ids)

    def on_start(self) -> None:
        """Subscribe."""
        for instrument_id in self._instrument_ids:
            self.subscribe_quote_ticks(instrument_id)

    def on_stop(self) -> None:
        """Unsubscribe."""
        for instrument_id in self._instrument_ids:
            self.unsubscribe_quote_ticks(instrument_id)


class QuoteFitter:
    """Gives quotes the precision of their instrument: Nautilus' sandbox fails on any other."""

    def __init__(self) -> None:
        self._misfit: InstrumentId | None = None

    def fit(self, tick: QuoteTick, instrument: Instrument) -> QuoteTick | None:
        """Return the quote with the instrument's precision.

        Returns:
            The quote; None: it has more decimals than the instrument, as after the venue has
            changed the tick size, and is dropped. The first one of a row is logged.
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
                self._note_misfit(instrument)
                return None
            made.append(type(value).from_str(f"{rounded:.{precision}f}"))
        return QuoteTick(tick.instrument_id, *made, tick.ts_event, tick.ts_init)

    def _note_misfit(self, instrument: Instrument) -> None:
        if self._misfit != instrument.id:
            self._misfit = instrument.id
            logger.warning(
                "{instrument}: dropping quotes that have more decimals than the instrument "
                "({price_decimals} for prices, {size_decimals} for sizes): the venue may have "
                "changed its tick size. Nautilus loads instruments again every hour; a restart "
                "does it now",
                event="quotes.dropped",
                instrument=instrument.id,
                price_decimals=instrument.price_precision,
                size_decimals=instrument.size_precision,
            )
