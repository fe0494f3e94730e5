"""What Binance calls a market, from whatever a user calls it."""

from __future__ import annotations

from warmup_job.errors import ConfigError


def venue_symbol(name: str) -> str:
    """Binance's own symbol for ``name``, a symbol or a Nautilus id.

    ``BTCUSDT-PERP.BINANCE``, ``BTCUSDT.BINANCE``, ``BTCUSDT-PERP`` and ``BTCUSDT`` are all
    ``BTCUSDT``. Letters are left as they are: there are symbols outside ASCII.

    Raises:
        ConfigError: nothing is left, or it holds what no symbol has and what would escape from a
            folder or a URL: a dot, a path separator, whitespace, a control character; or letters
            in lower case, which no symbol of Binance's has.
    """
    head, dot, venue = name.rpartition(".")
    symbol = (head if dot else name).removesuffix("-PERP")
    if not symbol or (dot and not venue):
        raise ConfigError(f"{name!r} is not a symbol: write one such as BTCUSDT")
    if "/" in name or "\\" in name:
        raise ConfigError(f"{name!r} is not a symbol: Binance writes them without a slash")
    if "." in symbol or any(c.isspace() or not c.isprintable() for c in name):
        raise ConfigError(
            f"{name!r} is not a symbol: it holds a dot, a blank or a control character"
        )
    if symbol != symbol.upper():  # letters without case are left alone by it
        raise ConfigError(
            f"{name!r} is not a symbol: Binance writes them in upper case; did you mean "
            f"{name.upper()}?"
        )
    return symbol
