"""Judge whether the exchange lists the symbols and trades them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from warmup_job.doctor.finding import Finding, failed, passed, warned
from warmup_job.errors import UnknownSymbolError
from warmup_job.market.listed_symbols import unlisted_text


def judge_symbols(
    url: str,
    symbols: Iterable[str],
    listed: Mapping[str, Mapping[str, Any]],
    known: Collection[str] = (),
) -> list[Finding]:
    """Judge the entries of exchangeInfo.

    Args:
        url: The REST base URL, without credentials.
        symbols: The symbols that the configuration needs.
        listed: exchangeInfo's entries by symbol; those that are not listed are missing.
        known: All symbols that the exchange lists; empty: they are not known.
    """
    wanted = sorted(set(symbols))
    found = [
        failed(
            "symbols",
            UnknownSymbolError(
                f"{unlisted_text(url, symbol, known)} in the strategy file or in "
                "warmup.streams, or correct the market in the venue file"
            ),
        )
        for symbol in wanted
        if symbol not in listed
    ]
    found += [
        warned(
            "symbols",
            f"the status of {symbol} is {listed[symbol].get('status')}, not TRADING: wait until it "
            "trades, or choose another symbol",
        )
        for symbol in wanted
        if symbol in listed and listed[symbol].get("status") != "TRADING"
    ]
    return found or [passed("symbols", f"{', '.join(wanted)}: listed and trading")]
