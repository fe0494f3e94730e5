"""The algo orders that wait for their price, arranged so that most prices cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from warmup_job.local_binance.account.algo_triggers import rises

if TYPE_CHECKING:
    from decimal import Decimal

    from warmup_job.local_binance.account.order_records import AlgoRecord
    from warmup_job.local_binance.account.order_requests import WorkingType


class _Edges(NamedTuple):
    """The nearest trigger prices of the algo orders of one symbol and working type."""

    above: Decimal | None
    """The lowest price at or above which one is triggered; None: no price does that."""
    below: Decimal | None
    """The highest price at or below which one is triggered; None: no price does that."""
    trails: bool
    """Whether one is a trailing stop, which every price can change."""


class WaitingAlgos:
    """The waiting algo orders, by symbol and in the order of their placement."""

    def __init__(self) -> None:
        self._algos: dict[str, dict[int, AlgoRecord]] = {}
        self._edges: dict[tuple[str, WorkingType], _Edges] = {}
        self._dated: dict[int, AlgoRecord] = {}

    def put(self, algo: AlgoRecord) -> None:
        """Note the newest record of an algo order, which may wait no longer."""
        algos = self._algos.setdefault(algo.symbol, {})
        self._dated.pop(algo.algo_id, None)
        if algo.is_open:
            algos[algo.algo_id] = algo
            if algo.good_till_ms:
                self._dated[algo.algo_id] = algo
        else:
            algos.pop(algo.algo_id, None)
            if not algos:
                del self._algos[algo.symbol]
        self._edges.pop((algo.symbol, algo.working_type), None)

    def symbols(self) -> list[str]:
        """Return the symbols with waiting algo orders."""
        return list(self._algos)

    def of(self, symbol: str | None) -> list[AlgoRecord]:
        """Return the waiting algo orders of one symbol or of all, oldest first."""
        if symbol is not None:
            return list(self._algos.get(symbol, {}).values())
        algos = (algo for algos in self._algos.values() for algo in algos.values())
        return sorted(algos, key=lambda algo: algo.algo_id)

    def count(self) -> int:
        """Return the number of waiting algo orders."""
        return sum(len(algos) for algos in self._algos.values())

    def watches(self, symbol: str, working_type: WorkingType) -> bool:
        """Return whether an algo order of the symbol waits for this price."""
        edges = self._edges_of(symbol, working_type)
        return edges.trails or edges.above is not None or edges.below is not None

    def concerned(self, symbol: str, working_type: WorkingType, price: Decimal) -> list[AlgoRecord]:
        """Return the algo orders of a working type if ``price`` may change one of them."""
        above, below, trails = self._edges_of(symbol, working_type)
        touched = (above is not None and price >= above) or (below is not None and price <= below)
        if not trails and not touched:
            return []
        return [algo for algo in self.of(symbol) if algo.working_type == working_type]

    def dated(self, now_ms: int) -> list[AlgoRecord]:
        """Return the waiting algo orders whose date is over."""
        return [algo for algo in self._dated.values() if algo.good_till_ms <= now_ms]

    def _edges_of(self, symbol: str, working_type: WorkingType) -> _Edges:
        known = self._edges.get((symbol, working_type))
        if known is None:
            algos = [algo for algo in self.of(symbol) if algo.working_type == working_type]
            fixed = [algo for algo in algos if algo.type != "TRAILING_STOP_MARKET"]
            up = [algo.trigger_price for algo in fixed if rises(algo.type, algo.side)]
            down = [algo.trigger_price for algo in fixed if not rises(algo.type, algo.side)]
            known = _Edges(min(up, default=None), max(down, default=None), len(fixed) < len(algos))
            self._edges[symbol, working_type] = known
        return known
