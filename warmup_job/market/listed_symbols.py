"""Say which listed symbol somebody probably means by one that is not listed. Pure."""

from __future__ import annotations

from collections.abc import Collection

from warmup_job.market.nearest_word import nearest

_QUOTES = ("USDT", "USDC")
_OTHER_QUOTES = (*_QUOTES, "USD", "BUSD", "TUSD", "FDUSD", "PERP")
_OTHER_NAMES = {"XBT": "BTC"}
_MULTIPLES = ("1000", "1000000", "1M")


def unlisted_text(url: str, symbol: str, listed: Collection[str]) -> str:
    """Return an error's text about a symbol that the exchange does not list.

    Args:
        url: The REST base URL, without credentials.
        symbol: The symbol.
        listed: All symbols that the exchange lists; empty: they are not known.
    """
    meant = meant_symbol(symbol, listed)
    hint = "" if meant is None else f" (did you mean {meant}?)"
    return f"{url} does not list the symbol {symbol}{hint}: correct it"


def meant_symbol(symbol: str, listed: Collection[str]) -> str | None:
    """Return the listed symbol that ``symbol`` probably means; None: there is none.

    Examples:
        ``BTCUSD``, ``BTC``, ``XBTUSD`` and ``BTC-USDT`` mean ``BTCUSDT``; ``SHIBUSDT`` means
        ``1000SHIBUSDT`` on futures.

    Args:
        symbol: What somebody wrote, in upper case.
        listed: All symbols that the exchange lists.
    """
    plain = "".join(each for each in symbol if each.isalnum())
    ends = [quote for quote in _OTHER_QUOTES if plain.endswith(quote) and plain != quote]
    bases = [plain.removesuffix(quote) for quote in ends] or [plain]
    bases = [_OTHER_NAMES.get(base, base) for base in bases]
    guesses = [plain, *(base + quote for base in bases for quote in _QUOTES)]
    guesses += [multiple + guess for multiple in _MULTIPLES for guess in guesses]
    found = next((guess for guess in guesses if guess in listed), None)
    return found or nearest(plain, listed)
