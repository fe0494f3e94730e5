"""How long a part of a position has no stop loss: a live grid on the local exchange.

    python -m tests.bench.unprotected
    python -m tests.bench.unprotected --latency-ms 200 --rule reject --situation filled

A table for docs/explanation/hedge-grid.md. The times are by the exchange's clock and come from its
journal, not from the trader. They depend on the machine and on what else runs there. It takes about
half an hour, most of it waiting for fills.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.live_trader import LiveTrader, live_trader
from tests.support.oracle import Bounds

LATENCIES_MS: Final = (20, 200)
"""From sending a request until its effect and its answer."""
RULES: Final = ("expire", "reject")
"""What the exchange does with a closing order that is larger than its position."""
ANY: Final = Bounds(unprotected_ms=60_000, duplicate_ms=60_000)
"""Measure, whatever it is."""


class Situation(NamedTuple):
    """Why there is no stop."""

    title: str
    sl_steps: int
    """Two steps: the swings of the market trigger the stops."""
    live: Callable[[LiveTrader], None]
    """Lets it happen several times."""


def fill(trader: LiveTrader) -> None:
    """Let rungs be filled, each in three pieces."""
    trader.until_fills("E", 15)


def refuse_stops(trader: LiveTrader) -> None:
    """Let the exchange refuse stops, for one reason after the other."""
    for fault in ("overload", "stale", "reject=-4118", "reject=-2022"):
        trader.exchange.fault(f"{fault}@POST/algoOrder:times=1")
        trader.until(trader.every_fault_fired, f"{fault} has hit a stop")
        trader.until_protected()


def reject_triggers(trader: LiveTrader) -> None:
    """Let stops be REJECTED when their price is reached."""
    trader.exchange.fault("reject-trigger")
    trader.until_fills("S", 3)


SITUATIONS: Final = {
    "filled": Situation("after a fill, in pieces", 8, fill),
    "refused": Situation("a stop was rejected (−1008, −1021, −4118, −2022)", 8, refuse_stops),
    "trigger": Situation("a stop was REJECTED at its trigger", 2, reject_triggers),
}


def measure(situation: Situation, latency_ms: int, rule: str) -> tuple[int, ...]:
    """Return how long a part of a position had no stop, each time, longest first, ms."""
    steps = {"exit": {"tp_steps": min(2, situation.sl_steps - 1), "sl_steps": situation.sl_steps}}
    with (
        tempfile.TemporaryDirectory() as folder,
        live_trader(
            Path(folder),
            grid=steps,
            bounds=ANY,
            closing_orders=rule,
            latency_ms=latency_ms,
            fill_pieces=3 if situation.live is fill else 1,
        ) as trader,
    ):
        trader.start()
        situation.live(trader)
        trader.exchange.clear_faults()
        trader.until_protected()
        trader.terminate()
        return trader.verdict().unprotected_ms


def main() -> None:
    """Measure all situations, or those that the options choose; one row each."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--latency-ms", type=int, nargs="+", default=LATENCIES_MS)
    options.add_argument("--rule", choices=RULES, nargs="+", default=RULES)
    options.add_argument("--situation", choices=SITUATIONS, nargs="+", default=[*SITUATIONS])
    chosen = options.parse_args()
    print("| situation | latency | `--closing-orders` | times | median | longest |")
    print("|---|---|---|---|---|---|")
    for name in chosen.situation:
        for latency_ms in chosen.latency_ms:
            for rule in chosen.rule:
                times = measure(SITUATIONS[name], latency_ms, rule)
                median = statistics.median(times) / 1000
                print(
                    f"| {SITUATIONS[name].title} | {latency_ms} ms | {rule} | {len(times)} | "
                    f"{median:.2f} s | {max(times) / 1000:.2f} s |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
