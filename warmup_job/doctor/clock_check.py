"""Judge this machine's clock by the exchange's. Pure."""

from __future__ import annotations

from warmup_job.binance.client import ClockOffset
from warmup_job.doctor.finding import Finding, failed, passed, warned
from warmup_job.errors import LiveRefusedError
from warmup_job.market.signing_clock import clock_problem


def judge_clock(clock: ClockOffset, *, live: bool) -> Finding:
    """Judge the offset of this machine's clock.

    Args:
        clock: The measured offset, with an error of at most half the round trip.
        live: Whether orders are signed with this clock. History and paper trading use the
            exchange's clock, whatever this machine's shows.
    """
    error_ms = clock.round_trip_ms // 2
    seen = f"offset {clock.offset_ms:+d} ms ± {error_ms} ms"
    least_ms = max(0, abs(clock.offset_ms) - error_ms)
    problem = clock_problem(least_ms if clock.offset_ms > 0 else -least_ms)
    if problem and live:
        return failed("clock", LiveRefusedError(f"{seen}; {problem}"))
    if problem:
        return warned("clock", f"{seen}; {problem}")
    if clock_problem(clock.offset_ms):
        return warned(
            "clock",
            f"{seen}: the answer was too slow to judge it by; check the network, run it again",
        )
    return passed("clock", seen)
