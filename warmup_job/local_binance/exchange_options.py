"""The settings of the local exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from warmup_job.local_binance.account.signature import DEMO_KEY, DEMO_SECRET
from warmup_job.local_binance.account.trading_options import MOST_ALGO_ORDERS

if TYPE_CHECKING:
    from warmup_job.market.pages import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """The local exchange's settings. The defaults give a Binance without faults."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port; see `RunningExchange.port`."""
    seed: int = 0
    """The same seed gives the same market, on any machine and at any time."""
    replay: tuple[str, ...] = ()
    """Recordings to serve: PATH, or MARKET:SYMBOL:INTERVAL:PATH with MARKET um or spot."""
    now_ms: int | None = None
    """The exchange's time at its start, UTC ms. None: the machine's time; with a replay, one second
    into the last row of the first recording."""
    speed: float = 1.0
    """Seconds of the exchange per second of the machine, 0 < speed <= 1000."""
    clock_skew_ms: int = 0
    """Added to the exchange's clock; > 0: it is ahead of the machine's."""
    latency_ms: int = 0
    """Delay of every REST request before it takes effect and is answered, ms."""
    weight_limit: int | None = None
    """Request weight limit per address, market and minute. None: 2400 on futures, 6000 on spot."""
    ban_seconds: int = 120
    """Length of the first ban; each further one lasts twice as long."""
    kline_ms: int = 250
    """Time between two websocket updates of a forming kline, ms."""
    volatility_bps: float = 10.0
    """Standard deviation of a minute's return, bps, 0 to 500."""
    root_streams: Market = "um"
    """The market of /stream and /ws without a prefix. On Binance the host decides this."""
    faults: tuple[str, ...] = ()
    """Faults from the start, e.g. ``429=30@klines:times=2`` (docs/reference/local-exchange.md)."""
    api_key: str = field(default=DEMO_KEY, repr=False)
    api_secret: str = field(default=DEMO_SECRET, repr=False)
    """Key and secret that sign the account's requests; the defaults are public."""
    one_way: bool = False
    """Whether the account has one position per symbol instead of a long and a short one."""
    no_trading: bool = False
    """Whether the account reports ``canTrade: false``."""
    balance: str = "10000"
    """The account's balance on each market, USDT."""
    funding: tuple[str, ...] = ()
    """``SYMBOL=RATE[/HOURS]`` for perpetuals that do not pay 0.0001 every 8 hours."""
    closing_orders: Literal["expire", "reject"] = "expire"
    """What happens to a closing order larger than its position; see `TradingOptions`."""
    fill_pieces: int = 1
    """In how many fills an order is filled at least."""
    hide_reduce_only: bool = False
    """Whether closing orders of hedge mode are shown with ``reduceOnly: false``."""
    most_algo_orders: int = MOST_ALGO_ORDERS
    """How many algo orders the account may have, for all symbols together."""
