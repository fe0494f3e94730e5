"""What is suggested for a misspelled symbol or bar type."""

from __future__ import annotations

import pytest

from warmup_job.catalog.names import meant_bar_type
from warmup_job.errors import ConfigError
from warmup_job.market.listed_symbols import unlisted_text
from warmup_job.market.symbol import venue_symbol

LISTED = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSDC", "1000SHIBUSDT", "BTCUSDT_260626", "ARUSDC"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BTCUSD", "BTCUSDT"), ("BTC", "BTCUSDT"), ("XBTUSD", "BTCUSDT"), ("BTCBUSD", "BTCUSDT"),
        ("BTC-USDT", "BTCUSDT"), ("BTC_USDT", "BTCUSDT"), ("BTCUDST", "BTCUSDT"),
        ("ETHUSTD", "ETHUSDT"), ("SHIBUSDT", "1000SHIBUSDT"), ("SHIB", "1000SHIBUSDT"),
        ("ARUSDT", "ARUSDC"),
    ],
)  # fmt: skip
def test_a_symbol_that_is_not_listed_gets_the_one_that_is_meant(written: str, meant: str) -> None:
    text = unlisted_text("https://h", written, LISTED)
    assert text == (
        f"https://h does not list the symbol {written} (did you mean {meant}?): correct it"
    )


@pytest.mark.parametrize(("written", "listed"), [("NOSUCHUSDT", LISTED), ("BTCUSD", ())])
def test_a_symbol_like_no_other_gets_no_suggestion(written: str, listed: set[str]) -> None:
    text = unlisted_text("https://h", written, listed)
    assert text == f"https://h does not list the symbol {written}: correct it"


@pytest.mark.parametrize("written", ["BTC/USDT", "btc/usdt", "BTC/USDT:USDT"])
def test_a_symbol_in_the_form_of_ccxt_gets_binances(written: str) -> None:
    with pytest.raises(ConfigError, match=r"have no slash; did you mean BTCUSDT\?"):
        venue_symbol(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BTCUSDT-PERP.BINANCE-60-MINUTE-LAST-EXTERNAL", "1-HOUR"),
        ("BTCUSDT-PERP.BINANCE-5-minute", "5-MINUTE"),
        ("BTCUSDT-PERP-1-MIN-LAST-EXTERNAL", "1-MINUTE"),
        ("btcusdt-perp.binance-1h", "1-HOUR"),
        ("BTCUSDT-PERP.BINANCE-1-MINUTES-LAST-EXTERNAL", "1-MINUTE"),
        ("BTCUSDT-PERP.BINANCE-1-MINUTE-MID-EXTERNAL", "1-MINUTE"),
    ],
)
def test_a_text_like_a_bar_type_gets_the_bar_type_that_is_meant(written: str, meant: str) -> None:
    assert meant_bar_type(written) == f"BTCUSDT-PERP.BINANCE-{meant}-LAST-EXTERNAL"


@pytest.mark.parametrize("written", ["", "fast", "BTCUSDT-PERP.BINANCE", "a-7-PARSECS", "x/y-1m"])
def test_another_text_is_not_taken_for_a_bar_type(written: str) -> None:
    assert meant_bar_type(written) is None
