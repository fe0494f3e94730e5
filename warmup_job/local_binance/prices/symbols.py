"""The listed symbols, their ticks and steps, and their exchangeInfo entries.

The numbers are plausible but not those of any day. The entries have the fields that ccxt and
NautilusTrader parse.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from warmup_job.errors import ConfigError
from warmup_job.market.pages import Market

_PERPETUAL_DELIVERY_MS = 4_133_404_800_000  # 2100-12-25, as in every contract without expiry
_QUOTE_ASSETS = ("USDT", "USDC", "FDUSD", "BTC", "ETH")

_FUTURES_ORDER_TYPES = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_SPOT_ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
_SELF_TRADE_MODES = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")


class ListedSymbol(msgspec.Struct, frozen=True):
    """A listed symbol: tick and step, decimals of its klines, and settings of its market."""

    market: Market
    name: str
    base: str
    quote: str
    tick: str
    """Price step as exchangeInfo prints it."""
    step: str
    """Volume step as exchangeInfo prints it."""
    price_decimals: int
    """Decimals of a kline's prices (futures: ``pricePrecision``; spot: 8)."""
    volume_decimals: int
    onboard_ms: int
    """Open of its first minute, UTC ms."""
    start_price: str
    """The price around which the generated market moves."""
    minute_notional: int
    """Traded quote asset in an average minute."""
    minute_trades: int
    sub_type: str = "Layer-1"
    min_notional: str = "5"

    @property
    def quote_decimals(self) -> int:
        """Decimals of a kline's quote volume."""
        return self.price_decimals + self.volume_decimals if self.market == "um" else 8

    @property
    def tick_units(self) -> int:
        """One tick in units of the last printed price decimal."""
        return int(Decimal(self.tick).scaleb(self.price_decimals))

    @property
    def step_units(self) -> int:
        """One volume step in units of the last printed volume decimal."""
        return int(Decimal(self.step).scaleb(self.volume_decimals))

    @property
    def quote_units(self) -> int:
        """One tick times one step in units of the last printed quote volume decimal."""
        return int((Decimal(self.tick) * Decimal(self.step)).scaleb(self.quote_decimals))

    def with_tick_and_step(self, tick: str, step: str) -> ListedSymbol:
        """Return the symbol with another tick and step.

        As on Binance, ``pricePrecision`` of futures stays unless the tick needs more decimals.
        """
        decimals = [len(text.partition(".")[2]) for text in (tick, step)]
        return replace(
            self,
            tick=tick,
            step=step,
            price_decimals=max(self.price_decimals, decimals[0]),
            volume_decimals=decimals[1],
        )

    def info(self) -> dict[str, Any]:
        """Return the symbol's entry in the market's exchangeInfo."""
        return _futures_info(self) if self.market == "um" else _spot_info(self)


def default_symbols() -> tuple[ListedSymbol, ...]:
    """Return the symbols that the exchange always lists."""
    return (*_rows("um", _USD_M), *_rows("spot", _SPOT))


def unlisted(market: Market, name: str, price_decimals: int, volume_decimals: int) -> ListedSymbol:
    """Return a listing for a recorded symbol; its tick and step follow from its decimals.

    Raises:
        ConfigError: The name does not end with a known quote asset.
    """
    quote = next((asset for asset in _QUOTE_ASSETS if name.endswith(asset) and name != asset), None)
    if quote is None:
        raise ConfigError(
            f"{name} does not end with a known quote asset ({', '.join(_QUOTE_ASSETS)})."
        )
    increments = {
        decimals: str(Decimal(1).scaleb(-decimals))
        for decimals in (price_decimals, volume_decimals)
    }
    return ListedSymbol(
        market=market,
        name=name,
        base=name.removesuffix(quote),
        quote=quote,
        tick=increments[price_decimals],
        step=increments[volume_decimals],
        price_decimals=price_decimals,
        volume_decimals=volume_decimals,
        onboard_ms=1_569_398_400_000,
        start_price="1",
        minute_notional=100_000,
        minute_trades=100,
    )


# Symbol, tick, step, price decimals, volume decimals, first minute, usual price, quote volume and
# trades of an average minute, underlying sub-type, minimum notional.
_USD_M = """
BTCUSDT  0.10   0.001 2 3 2019-09-25T08:00Z 65000 6000000 1500 PoW     100
ETHUSDT  0.01   0.001 2 3 2019-09-25T08:00Z 3200  4000000 1200 Layer-1 20
SOLUSDT  0.0100 1     4 0 2020-09-14T08:00Z 150   1500000 700  Layer-1 5
AVAXUSDT 0.0010 1     4 0 2020-09-23T08:00Z 30    300000  250  Layer-1 5
LINKUSDT 0.001  0.01  3 2 2020-01-17T08:00Z 14    300000  250  Oracle  20
FILUSDT  0.001  0.1   3 1 2020-10-16T08:00Z 5     150000  150  Storage 5
XRPUSDT  0.0001 0.1   4 1 2019-09-25T08:00Z 0.6   800000  500  Payment 5
"""
_SPOT = """
BTCUSDT  0.01000000 0.00001000 8 8 2017-08-17T04:00Z 65000 1000000 1400
ETHUSDT  0.01000000 0.00010000 8 8 2017-08-17T04:00Z 3200  600000  900
SOLUSDT  0.01000000 0.00100000 8 8 2020-08-11T06:00Z 150   300000  400
AVAXUSDT 0.01000000 0.01000000 8 8 2020-09-22T06:30Z 30    60000   120
LINKUSDT 0.01000000 0.01000000 8 8 2019-01-16T10:00Z 14    60000   120
FILUSDT  0.00100000 0.01000000 8 8 2020-10-15T08:00Z 5     30000   80
XRPUSDT  0.00010000 0.10000000 8 8 2018-05-04T08:00Z 0.6   200000  300
"""


def _rows(market: Market, table: str) -> tuple[ListedSymbol, ...]:
    return tuple(_row(market, *line.split()) for line in table.strip().splitlines())


def _row(market: Market, name: str, tick: str, step: str, *rest: str) -> ListedSymbol:
    price_decimals, volume_decimals, first_minute, price, notional, trades, *futures = rest
    return ListedSymbol(
        market,
        name,
        name.removesuffix("USDT"),
        "USDT",
        tick,
        step,
        int(price_decimals),
        int(volume_decimals),
        int(datetime.fromisoformat(first_minute).timestamp() * 1000),
        price,
        int(notional),
        int(trades),
        *futures,
    )


def _futures_info(symbol: ListedSymbol) -> dict[str, Any]:
    start = Decimal(symbol.start_price)
    whole_step = Decimal(symbol.step)
    # 1/100 to 100 times the usual price, about as wide as Binance's filters.
    low_price = f"{start / 100:.{symbol.price_decimals}f}"
    return {
        "symbol": symbol.name,
        "pair": symbol.name,
        "contractType": "PERPETUAL",
        "deliveryDate": _PERPETUAL_DELIVERY_MS,
        "onboardDate": symbol.onboard_ms,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": symbol.price_decimals,
        "quantityPrecision": symbol.volume_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [symbol.sub_type],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": low_price,
                "maxPrice": f"{start * 100:.0f}",
                "tickSize": symbol.tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": symbol.step,
                "maxQty": f"{whole_step * 1_000_000:.0f}",
                "stepSize": symbol.step,
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": symbol.step,
                "maxQty": f"{whole_step * 100_000:.0f}",
                "stepSize": symbol.step,
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": symbol.min_notional},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": list(_FUTURES_ORDER_TYPES),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _spot_info(symbol: ListedSymbol) -> dict[str, Any]:
    whole_step = Decimal(symbol.step)
    return {
        "symbol": symbol.name,
        "status": "TRADING",
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(_SPOT_ORDER_TYPES),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": symbol.tick,
                "maxPrice": "1000000.00000000",
                "tickSize": symbol.tick,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": symbol.step,
                "maxQty": f"{whole_step * 900_000_000:.8f}",
                "stepSize": symbol.step,
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": f"{whole_step * 10_000_000:.8f}",
                "stepSize": "0.00000000",
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        # Binance sends an empty list here and the sets below. Clients read both.
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(_SELF_TRADE_MODES),
    }
