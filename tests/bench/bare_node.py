"""A minimal Nautilus node, without history: what a start is compared with.

It subscribes to the bars and quotes that the demo's trader subscribes to, prints ``live`` at its
first quote, and ends. It is run as a script, also inside the image, where there are no tests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from decimal import Decimal

from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
from nautilus_trader.adapters.binance.config import (
    BinanceDataClientConfig,
    BinanceInstrumentProviderConfig,
)
from nautilus_trader.adapters.binance.factories import BinanceLiveDataClientFactory
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.live.config import LiveExecEngineConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType, QuoteTick
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

ID = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")


class Cold(Strategy):
    """Ends the process at the first quote."""

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_bars(BarType.from_str(f"{ID}-1-MINUTE-LAST-EXTERNAL"))
        self.subscribe_quote_ticks(ID)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Print that the node is live."""
        print("live", file=sys.stderr, flush=True)
        os._exit(0)


async def main() -> None:
    """Run the node against the exchange that the environment names."""
    node = TradingNode(
        TradingNodeConfig(
            logging=LoggingConfig(log_level="ERROR"),
            exec_engine=LiveExecEngineConfig(reconciliation=False),
            data_clients={
                "BINANCE": BinanceDataClientConfig(
                    account_type=BinanceAccountType.USDT_FUTURES,
                    base_url_http=os.environ["WARMUP_EXCHANGE_URL"],
                    base_url_ws=os.environ["WARMUP_EXCHANGE_WS_URL"],
                    instrument_provider=BinanceInstrumentProviderConfig(load_ids=frozenset({ID})),
                )
            },
            exec_clients={
                "BINANCE": SandboxExecutionClientConfig(
                    venue="BINANCE",
                    oms_type="HEDGING",
                    account_type="MARGIN",
                    starting_balances=["10000 USDT"],
                    default_leverage=Decimal(5),
                )
            },
        ),
        loop=asyncio.get_running_loop(),
    )
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", SandboxLiveExecClientFactory)
    node.trader.add_strategy(Cold())
    node.build()
    await node.run_async()


if __name__ == "__main__":
    asyncio.run(main())
