"""What the configured strategies trade and follow, in plain values."""

from __future__ import annotations

from dataclasses import dataclass

from warmup_job.catalog.names import bar_stream_of, instrument_id_of, is_bar_type, is_instrument_id
from warmup_job.config import ImportedStrategy, StrategyFile, WarmupConfig, texts
from warmup_job.errors import ConfigError
from warmup_job.market.interval import INTERVAL_NAMES, Interval
from warmup_job.market.symbol import venue_symbol
from warmup_job.regime.detector import DetectorSettings

STRATEGY_INTERVAL = "1m"
"""What HedgeGridV1 is run on, as by naut_hedgegrid."""


@dataclass(frozen=True, slots=True)
class Traded:
    """One strategy: the instruments that it names, and the bars that it is to be warmed with."""

    name: str
    instrument_ids: tuple[str, ...]
    """Nautilus ids."""
    streams: tuple[tuple[str, Interval], ...]
    """Symbols and intervals, last prices."""
    detector: DetectorSettings | None
    """Of HedgeGridV1; nobody else's regime is known to us."""

    @property
    def symbols(self) -> frozenset[str]:
        """The venue's symbols of its instruments."""
        return frozenset(venue_symbol(each) for each in self.instrument_ids)


def traded(config: WarmupConfig) -> list[Traded]:
    """Every configured strategy, in order.

    Raises:
        ConfigError: it trades what is not of the venue's market, or two would share positions.
    """
    found: list[Traded] = []
    grids: set[str] = set()
    for strategy in config.strategies:
        if isinstance(strategy, ImportedStrategy):
            found.append(_imported(config, strategy))
            continue
        grid = _grid(config, strategy)
        if grid.instrument_ids[0] in grids:
            raise ConfigError(
                f"two strategy files trade {grid.instrument_ids[0]}: they would share its LONG and "
                "SHORT positions; run the second with an account of its own"
            )
        grids.add(grid.instrument_ids[0])
        found.append(grid)
    return found


def settings_of(strategy: StrategyFile) -> DetectorSettings:
    """A strategy file's regime section as the detector takes it."""
    regime = strategy.regime
    return DetectorSettings(
        ema_fast=regime.ema_fast,
        ema_slow=regime.ema_slow,
        adx_len=regime.adx_len,
        atr_len=regime.atr_len,
        hysteresis_bps=regime.hysteresis_bps,
    )


def instrument_id(config: WarmupConfig, written: str) -> str:
    """The Nautilus id of a symbol or id as it is written.

    Raises:
        ConfigError: it is an instrument of another market than the venue's.
    """
    here = instrument_id_of(config.venue.market, venue_symbol(written))
    if "." in written and written.rpartition(".")[0] != here.rpartition(".")[0]:
        raise ConfigError(
            f"the strategy's instrument {written} is not of the venue's market: there it is {here}"
        )
    return here


def _grid(config: WarmupConfig, strategy: StrategyFile) -> Traded:
    traded_id = instrument_id(config, strategy.strategy.instrument_id)
    stream = (venue_symbol(traded_id), Interval.parse(STRATEGY_INTERVAL))
    return Traded(strategy.strategy.name, (traded_id,), (stream,), settings_of(strategy))


def _imported(config: WarmupConfig, strategy: ImportedStrategy) -> Traded:
    """By what its configuration names: bar types of the venue's own bars, and instruments."""
    ids: dict[str, None] = {}
    streams: dict[tuple[str, Interval], None] = {}
    for text in texts(strategy.config):
        named = bar_stream_of(text)
        if named is None and is_bar_type(text):
            raise ConfigError(
                f"{strategy.strategy_path.rpartition(':')[2]}: Binance has no klines for {text}: "
                f"its intervals are {', '.join(INTERVAL_NAMES)}"
            )
        if named is not None:
            ids[instrument_id(config, named[0])] = None
            streams[venue_symbol(named[0]), named[1]] = None
        elif is_instrument_id(text):
            ids[instrument_id(config, text)] = None
    for asked in config.warmup.streams:
        symbol = venue_symbol(asked.symbol)
        if asked.price == "last" and instrument_id_of(config.venue.market, symbol) in ids:
            streams[symbol, Interval.parse(asked.interval)] = None
    name = strategy.strategy_path.rpartition(":")[2]
    if not streams:
        raise ConfigError(
            f"{name}: its config names no bar type of {config.venue.venue.name}'s, such as "
            "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL, and warmup.streams none of its "
            "instruments: nothing says which bars it is to be warmed with"
        )
    return Traded(name, tuple(ids), tuple(streams), None)
