"""What a person should know when strategies start: streams without history, other indicators."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loguru import logger
from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.live_bars.bar_stream import BarStream
from warmup_job.handoff.live_bars.declared_indicators import differences


def warn_of_cold_streams(streams: Collection[BarStream]) -> None:
    """Log the streams that have no history."""
    for stream in streams:
        if not stream.history.bars:
            logger.warning(
                "COLD START of {stream}: no history. It is fetched while the node runs, and no "
                "order leaves before {bars} bars are here",
                event="stream.cold_start",
                stream=stream.name,
                bars=stream.history.wanted,
            )


def warn_of_undeclared(streams: Collection[BarStream], strategies: Sequence[Strategy]) -> None:
    """Log how registered indicators differ from those that the histories were made for.

    Args:
        streams: have the histories.
        strategies: have registered their indicators.
    """
    registered = [each for s in strategies for each in s.registered_indicators]
    declared = {each for stream in streams for each in stream.history.declared}
    for line in differences(sorted(declared), registered):
        logger.warning("{_problem}", event="strategy.undeclared_indicator", _problem=line)
