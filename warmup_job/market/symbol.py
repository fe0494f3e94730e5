"""Translate a user's name of a market into Binance's symbol."""

from __future__ import annotations

from warmup_job.errors import ConfigError


def venue_symbol(name: str) -> str:
    """Return Binance's symbol for ``name``, which is a symbol or a Nautilus instrument id.

    ``BTCUSDT-PERP.BINANCE``, ``BTCUSDT.BINANCE``, ``BTCUSDT-PERP`` and ``BTCUSDT`` all give
    ``BTCUSDT``. Symbols outside ASCII exist, so other letters are accepted.

    Raises:
        ConfigError: The symbol is empty, has lower-case letters, or has a character that could
            escape from a folder or a URL (dot, path separator, whitespace, control character).
    """
    head, dot, venue = name.rpartition(".")
    symbol = (head if dot else name).removesuffix("-PERP")
    if not symbol or (dot and not venue):
        raise ConfigError(f"{name!r} is not a symbol: write one such as BTCUSDT")
    if "/" in name or "\\" in name:
        raise ConfigError(
            f"{name!r} is not a symbol: Binance's symbols have no slash{_without_slash(name)}"
        )
    if "." in symbol or any(c.isspace() or not c.isprintable() for c in name):
        raise ConfigError(f"{name!r} is not a symbol: remove the dot, blank or control character")
    if symbol != symbol.upper():  # letters without case stay as they are
        raise ConfigError(
            f"{name!r} is not a symbol: Binance's symbols are in upper case; did you mean "
            f"{name.upper()}?"
        )
    return symbol


def _without_slash(name: str) -> str:
    """Return a suggestion for a name in ccxt's form: BTC/USDT or BTC/USDT:USDT."""
    base, slash, quote = name.partition(":")[0].partition("/")
    fits = slash and base.isalnum() and quote.isalnum()
    return f"; did you mean {(base + quote).upper()}?" if fits else ""
