"""Klines as Nautilus bars: one precision for all, which preserves every value."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import Bar

from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.nautilus_bars import instrument_bars, unpack_bars
from warmup_job.catalog.packed_bars import join, pack
from warmup_job.market.interval import Interval
from warmup_job.market.kline import Kline, Klines

MINUTE = Interval.parse("1m")
OPEN_MS = 1_700_000_040_000


@pytest.fixture(scope="session")
def btcusdt(recordings: Path) -> Any:
    """Return a recorded instrument: prices with 2 decimals, quantities with 3."""
    info = json.loads((recordings / "um" / "exchangeInfo-mainnet-20241020.json").read_text())
    entry = next(each for each in info["symbols"] if each["symbol"] == "BTCUSDT")
    return parse_instrument("um", entry, 0)


def kline(price: str, volume: str, at: int = 0) -> Kline:
    open_ms = OPEN_MS + at * 60_000
    return Kline(open_ms, price, price, price, price, volume, open_ms + 59_999, "1", 1, "1", "1")


def by_column(klines: list[Kline]) -> Klines:
    columns: list[Any] = list(zip(*klines, strict=True))
    return Klines(*columns)


def precisions(bars: list[Bar]) -> list[tuple[int, int]]:
    return [(bar.close.precision, bar.volume.precision) for bar in bars]


def test_nautilus_bars_have_the_precision_of_the_instrument(btcusdt: Any) -> None:
    made = instrument_bars([kline("65000.1", "2")], btcusdt, MINUTE)
    assert precisions(made) == [(btcusdt.price_precision, btcusdt.size_precision)]


def test_nautilus_bars_one_finer_kline_makes_all_bars_finer(btcusdt: Any) -> None:
    made = instrument_bars(
        [kline("65000.1", "2"), kline("65000.1234", "2.00001", 1)], btcusdt, MINUTE
    )
    assert precisions(made) == [(4, 5)] * 2
    assert [str(bar.close) for bar in made] == ["65000.1000", "65000.1234"]
    assert [str(bar.volume) for bar in made] == ["2.00000", "2.00001"]


def test_nautilus_bars_that_continue_finer_ones_have_their_precision(btcusdt: Any) -> None:
    """Binance has made the tick and the step coarser since."""
    before = instrument_bars([kline("65000.1234", "2.00001")], btcusdt, MINUTE)
    made = instrument_bars([kline("65000.1", "2", 1)], btcusdt, MINUTE, before)
    assert precisions(made) == precisions(before) == [(4, 5)]
    assert made[0].close == instrument_bars([kline("65000.1", "2", 1)], btcusdt, MINUTE)[0].close


def test_nautilus_bars_of_two_precisions_become_one_series_of_equal_values(btcusdt: Any) -> None:
    coarse = instrument_bars([kline("65000.1", "2")], btcusdt, MINUTE)
    fine = instrument_bars([kline("65000.1234", "2.00001", 1)], btcusdt, MINUTE)
    pages = [kline("65000.1", "2")], [kline("65000.1234", "2.00001", 1)]
    series = join(pack(by_column(page)) for page in pages)
    joined = unpack_bars(series, coarse[0].bar_type, btcusdt)
    assert precisions(joined) == [(4, 5)] * 2
    exact = [bar.close.as_decimal() for bar in (*coarse, *fine)]
    assert [bar.close.as_decimal() for bar in joined] == exact
    assert [bar.volume.as_decimal() for bar in joined] == [Decimal(2), Decimal("2.00001")]
    assert joined[1] == fine[0]
    assert [bar.ts_event for bar in joined] == [coarse[0].ts_event, fine[0].ts_event]
