"""All orders and algo orders of the account, open and closed, by id and by client id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.account import order_errors
from warmup_job.local_binance.account.resting_orders import RestingOrders
from warmup_job.local_binance.account.retention import is_algo_forgotten, is_order_forgotten
from warmup_job.local_binance.account.waiting_algos import WaitingAlgos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmup_job.local_binance.account.order_records import AlgoRecord, OrderRecord


class OrderStore:
    """The newest record of each order and algo order.

    Args:
        first_id: The id of the first order; later ids are larger.
    """

    def __init__(self, first_id: int) -> None:
        self._last_id = first_id - 1
        self._orders: dict[int, OrderRecord] = {}
        self._algos: dict[int, AlgoRecord] = {}
        self.resting = RestingOrders()
        """The open orders."""
        self.waiting = WaitingAlgos()
        """The algo orders that wait for their price."""
        self._by_client: dict[tuple[str, str], int] = {}
        self._algo_by_client: dict[str, int] = {}

    def next_id(self) -> int:
        """Return an id that no order, algo order or trade has."""
        self._last_id += 1
        return self._last_id

    # --- orders ---

    def put(self, order: OrderRecord) -> OrderRecord:
        """Store a new order, or the newer record of an order, and return it."""
        self._orders[order.order_id] = order
        self._by_client[order.symbol, order.client_id] = order.order_id
        self.resting.put(order)
        return order

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> OrderRecord | None:
        """Return an order by its id, or else the newest one with this client id."""
        if order_id is None:
            order_id = self._by_client.get((symbol, client_id or ""))
        order = self._orders.get(order_id) if order_id is not None else None
        return order if order is not None and order.symbol == symbol else None

    def newest(self, order: OrderRecord) -> OrderRecord:
        """Return the newest record of an order."""
        return self._orders[order.order_id]

    def open_orders(self, symbol: str | None = None) -> list[OrderRecord]:
        """Return the open orders of one symbol or of all, oldest first."""
        return self.resting.of(symbol)

    def all_orders(self, symbol: str) -> Iterable[OrderRecord]:
        """Return all orders of a symbol, oldest first."""
        return (order for order in self._orders.values() if order.symbol == symbol)

    def check_new(self, symbol: str, client_id: str | None, most: int) -> None:
        """Check that a symbol may have another order with this client id.

        Raises:
            ErrorAnswer: −4116 or −2025.
        """
        known = self.find(symbol, None, client_id)
        if known is not None and known.is_open:
            raise order_errors.duplicate_client_id()
        if len(self.open_orders(symbol)) >= most:
            raise order_errors.too_many_open_orders()

    # --- algo orders ---

    def put_algo(self, algo: AlgoRecord) -> AlgoRecord:
        """Store a new algo order, or the newer record of one, and return it."""
        self._algos[algo.algo_id] = algo
        self._algo_by_client[algo.client_id] = algo.algo_id
        self.waiting.put(algo)
        return algo

    def find_algo(self, algo_id: int | None, client_id: str | None) -> AlgoRecord | None:
        """Return an algo order by its id, or else the newest one with this client id, or None."""
        if algo_id is None:
            algo_id = self._algo_by_client.get(client_id or "")
        return self._algos.get(algo_id) if algo_id is not None else None

    def open_algos(self, symbol: str | None = None) -> list[AlgoRecord]:
        """Return the algo orders that wait for their price, oldest first."""
        return self.waiting.of(symbol)

    def all_algos(self, symbol: str) -> Iterable[AlgoRecord]:
        """Return all algo orders of a symbol, oldest first."""
        return (algo for algo in self._algos.values() if algo.symbol == symbol)

    def check_new_algo(self, client_id: str | None, most: int) -> None:
        """Check that the account may have another algo order, with this client id.

        Raises:
            ErrorAnswer: −4116 or −4045.
        """
        known = self.find_algo(None, client_id)
        if known is not None and known.is_open:
            raise order_errors.duplicate_client_id()
        if self.waiting.count() >= most:
            raise order_errors.too_many_algo_orders()

    def forget_old(self, now_ms: int) -> None:
        """Forget what the exchange no longer knows at this time, UTC ms."""
        for order in [each for each in self._orders.values() if is_order_forgotten(each, now_ms)]:
            del self._orders[order.order_id]
            key = (order.symbol, order.client_id)
            if self._by_client[key] == order.order_id:
                del self._by_client[key]
        for algo in [each for each in self._algos.values() if is_algo_forgotten(each, now_ms)]:
            del self._algos[algo.algo_id]
            if self._algo_by_client[algo.client_id] == algo.algo_id:
                del self._algo_by_client[algo.client_id]

    @property
    def has_open(self) -> bool:
        """Whether an order or an algo order is open."""
        return bool(self.resting.symbols() or self.waiting.symbols())

    def open_symbols(self) -> list[str]:
        """Return the symbols with open orders, then those with algo orders only."""
        return list(dict.fromkeys(self.resting.symbols() + self.waiting.symbols()))

    def created_by(self, algo: AlgoRecord) -> OrderRecord | None:
        """Return the order that an algo order created, or None."""
        return self._orders.get(algo.order_id) if algo.order_id else None
