"""A futures market whose prices a test writes down, served by the exchange as a recording."""

from __future__ import annotations

import gzip
from pathlib import Path

ROW_MS = 300_000
"""One scripted price holds for the first third of this time, then the price moves to the next."""
FIRST_MS = 1_780_000_200_000
"""Open of the first row, UTC ms: three and a half hours before funding."""


def scripted_market(
    folder: Path,
    *prices: str,
    jump: str | None = None,
    symbol: str = "BTCUSDT",
    volume: str = "1200",
) -> str:
    """Write a market that goes from each price to the next in five minutes.

    Within five minutes the price stays for 100 s, moves straight for 100 s, and stays for 100 s.
    There is a trade every 250 ms; together they have the volume.

    Args:
        folder: The folder of the file.
        *prices: The prices; the last one holds for another five minutes.
        jump: A price at which the market continues without a trade between; None: it ends.
        symbol: The symbol.
        volume: The traded quantity of five minutes.

    Returns:
        The path of the recording.
    """
    lines = ["open_time,open,high,low,close,volume,close_time,quote,count,taker,taker_quote,ignore"]
    rows = list(zip(prices, [*prices[1:], prices[-1]], strict=True))
    if jump is not None:
        rows.append((jump, jump))
    for number, (first, last) in enumerate(rows):
        open_ms = FIRST_MS + number * ROW_MS
        high, low = max(first, last, key=float), min(first, last, key=float)
        quote = f"{float(volume) * (float(first) + float(last)) / 2:.5f}"
        half = f"{float(volume) / 2:.3f}"
        half_quote = f"{float(quote) / 2:.5f}"
        lines.append(
            f"{open_ms},{first},{high},{low},{last},{volume},{open_ms + ROW_MS - 1},{quote},"
            f"1200,{half},{half_quote},0"
        )
    market = folder / "um"
    market.mkdir(exist_ok=True)
    path = market / f"{symbol}-5m-scripted.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return str(path)
