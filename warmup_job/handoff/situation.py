"""The situation of a running node, as `decide` takes it."""

from __future__ import annotations

from collections.abc import Sequence

from nautilus_trader.trading.strategy import Strategy

from warmup_job.handoff.live_bars.bar_streams import BarStreams
from warmup_job.handoff.live_bars.websocket import Websockets
from warmup_job.handoff.reporting.report import State
from warmup_job.handoff.strategy_features import is_warm
from warmup_job.handoff.trading_decision import AccountProblem, Situation, StreamStatus


def situation_of(
    state: State,
    streams: BarStreams,
    websockets: Websockets,
    expected: Sequence[str],
    strategies: Sequence[Strategy],
    operator: str,
    *,
    account: AccountProblem,
) -> Situation:
    """Return what the decision depends on.

    Args:
        state: the state that the trader is in.
        streams: the node's bar streams.
        websockets: the node's connections.
        expected: the websocket streams that have to be heard.
        strategies: what the node runs.
        operator: why the operator holds entries back; empty: the operator does not.
        account: why the account or the clock forbids entries.
    """
    followed, delivering = streams.followed, streams.delivery.is_under_way()
    kept = list(followed.kept)
    # A proof takes long: do not ask for it while something else halts trading anyway.
    settled = all(stream.phase == "contiguous" for stream in kept)
    settled = settled and (state == "live" or not delivering)
    return Situation(
        state=state,
        streams=tuple(
            StreamStatus(
                stream.name,
                stream.phase,
                stream.contiguous_to_ms,
                stream.why_not() if settled or stream.phase != "contiguous" else "",
            )
            for stream in kept
        ),
        tick_built=tuple(map(str, followed.tick_built)),
        unheard=tuple(websockets.unheard(expected)),
        silent=websockets.first_silent(expected),
        delivering=delivering,
        fetching=followed.is_fetching(),
        unlisted=tuple(map(str, followed.unlisted)),
        cold=tuple(followed.cold()),
        cold_strategies=tuple(str(each.id) for each in strategies if not is_warm(each)),
        account=account,
        operator=operator,
    )


def is_warm_start(streams: BarStreams, strategies: Sequence[Strategy]) -> bool:
    """Return whether every strategy has received what it needs, with the first delivery."""
    followed = streams.followed
    return (
        all(map(is_warm, strategies))
        and all(stream.history.bars for stream in followed.streams.values())
        and not any(stream.why_not() for stream in followed.kept)
        and not followed.cold()
        and not followed.tick_built
    )
