"""The runner for live trading."""

from __future__ import annotations

from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.adapters.binance.config import BinanceExecClientConfig
from nautilus_trader.live.node import TradingNode

from warmup_job.binance.endpoints import account_ws_url
from warmup_job.catalog.names import VENUE
from warmup_job.handoff.exchange_info import ExecClientFactory
from warmup_job.handoff.node import account_type, environment, provider, proxy_url
from warmup_job.handoff.runner import BaseRunner
from warmup_job.market.symbol import venue_symbol


class LiveRunner(BaseRunner):
    """Sends real orders. It checks no requirement of live trading; the trader does that before.

    The leverage is set at the start. The margin type is not: Nautilus' client fails to start if it
    has to set a margin type that is set already.
    """

    mode = "live"

    def _add_execution(self, node: TradingNode) -> None:
        node.add_exec_client_factory(VENUE, ExecClientFactory)

    def _execution_configs(self) -> dict[str, object]:
        settings = self.settings
        futures = settings.market == "um"
        symbols = [BinanceSymbol(venue_symbol(str(each))) for each in sorted(self.instrument_ids)]
        return {
            VENUE: BinanceExecClientConfig(
                api_key=settings.api_key,
                api_secret=settings.api_secret,
                account_type=account_type(settings),
                environment=environment(settings),
                base_url_http=settings.rest_url,
                base_url_ws=account_ws_url(settings.ws_url),
                base_url_ws_stream=settings.ws_url,
                proxy_url=proxy_url(settings),
                instrument_provider=provider(self.instrument_ids),
                # Hedge mode has no reduce-only orders: an order's position names the side to close.
                use_reduce_only=not futures,
                futures_leverages=dict.fromkeys(symbols, settings.leverage) if futures else None,
            )
        }
