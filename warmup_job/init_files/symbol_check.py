"""Judge without the exchange whether a text can be one of its symbols. Pure."""

from __future__ import annotations

from typing import Final

from warmup_job.errors import ConfigError
from warmup_job.market.pages import Market
from warmup_job.market.symbol import venue_symbol

_FUTURES_QUOTES: Final = ("USDT", "USDC", "BTC")
_SPOT_QUOTES: Final = (
    "USDT", "USDC", "FDUSD", "TUSD", "USD1", "USDE", "BTC", "ETH", "BNB", "SOL", "XRP", "TRX",
    "DOGE", "DAI", "EUR", "EURI", "TRY", "BRL", "JPY", "ARS", "MXN", "ZAR", "COP", "CZK", "PLN",
    "RON", "UAH", "IDR", "AUD", "GBP",
)  # fmt: skip


def quote_asset(symbol: str, market: Market) -> str:
    """Return the quote asset of a symbol; empty: it ends in none that is known.

    Args:
        symbol: Binance's symbol.
        market: Its market.
    """
    known = _FUTURES_QUOTES if market == "um" else _SPOT_QUOTES
    # A delivery contract has its date behind the quote asset: BTCUSDT_260327.
    pair = symbol.partition("_")[0] if market == "um" else symbol
    ends = [quote for quote in known if pair.endswith(quote) and pair != quote]
    return max(ends, key=len, default="")


def base_asset(symbol: str, market: Market) -> str:
    """Return the base asset of a symbol that has a known quote asset."""
    return symbol.partition("_")[0].removesuffix(quote_asset(symbol, market))


def plausible_symbols(text: str, market: Market) -> tuple[str, ...]:
    """Read a list of symbols, e.g. ``BTCUSDT,ETHUSDT``.

    Args:
        text: Symbols or Nautilus ids, separated by commas.
        market: Their market.

    Raises:
        ConfigError: One cannot be a symbol of the market; the message suggests what was meant.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise ConfigError("no symbol is named: write one such as BTCUSDT, or several: A,B")
    return tuple(dict.fromkeys(_plausible(name, market) for name in names))


def _plausible(name: str, market: Market) -> str:
    plain = name.upper().removesuffix(".BINANCE").removesuffix("-PERP")
    joined = "".join(letter for letter in plain if letter not in "/-. ")
    if name not in (joined, f"{joined}-PERP", f"{joined}.BINANCE", f"{joined}-PERP.BINANCE"):
        hint = f"; did you mean {joined}?" if joined and quote_asset(joined, market) else ""
        raise ConfigError(f"{name!r} is not a symbol of Binance: write one such as BTCUSDT{hint}")
    symbol = venue_symbol(name)
    if quote_asset(symbol, market):
        return symbol
    where = "futures" if market == "um" else "spot market"
    quotes = ", ".join((_FUTURES_QUOTES if market == "um" else _SPOT_QUOTES)[:3])
    stem = symbol.removesuffix("USD").removesuffix("BUSD")
    raise ConfigError(
        f"{symbol} does not end in a quote asset of Binance's {where} ({quotes}, …); did you mean "
        f"{stem}USDT?"
    )
