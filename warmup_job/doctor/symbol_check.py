"""Judge whether the exchange lists the symbols and trades them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from warmup_job.doctor.finding import Finding, failed, passed, warned
from warmup_job.errors import UnknownSymbolError


def judge_symbols(
    url: str, symbols: Iterable[str], listed: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """Judge the entries of exchangeInfo.

    Args:
        url: The REST base URL, without credentials.
        symbols: The symbols that the configuration needs.
        listed: exchangeInfo's entries by symbol; those that are not listed are missing.
    """
    wanted = sorted(set(symbols))
    found = [
        failed(
            "symbols",
            UnknownSymbolError(
                f"{url} does not list {symbol}: correct the symbol in the strategy file or in "
                "warmup.streams, or the market in the venue file"
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
