"""Ask a test account of Binance what its documentation leaves open, by a few small orders.

    python examples/probe_account.py configs/venues/binance_demo.yaml [SYMBOL]

It needs a USD-M futures account in hedge mode without positions and open orders in the symbol, and
refuses Binance's production: docs/how-to/live-checklist.md. It opens a LONG position of at least
250 USDT (its first line shows the amount), tries orders that close it, and leaves nothing behind.
Each further line of its output is one answer.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import Any

import ccxt

from warmup_job import VenueConfigLoader
from warmup_job.binance.api_keys import signing_secret
from warmup_job.binance.endpoints import rest_url
from warmup_job.errors import WarmupError

SETTLE_S = 1.0  # Binance's answers to reads lag behind its answers to orders


class Probe:
    """A futures account and one symbol; the other symbol is only for ids."""

    def __init__(self, venue_file: str, symbol: str) -> None:
        venue = VenueConfigLoader.load(venue_file)
        if venue.environment == "production":
            sys.exit(f"{venue_file} is Binance's production: probe a test account only")
        self.symbol, self.other = symbol, "ETHUSDT" if symbol != "ETHUSDT" else "BTCUSDT"
        if not (venue.api.api_key and venue.api.api_secret):
            sys.exit(f"{venue_file} has no keys: set api.api_key and api.api_secret, or the "
                     "environment variables that they name")  # fmt: skip
        url = rest_url("um", venue.environment, venue.api.base_url)
        secret = signing_secret(venue.api.api_secret or "")
        self.api = ccxt.binanceusdm({"apiKey": venue.api.api_key, "secret": secret})
        for name, version in (("fapiPublic", 1), ("fapiPrivate", 1), ("fapiPrivateV3", 3)):
            self.api.urls["api"][name] = f"{url}/fapi/v{version}"
        ahead_ms = time.time_ns() // 1_000_000 - int(self.api.fapiPublicGetTime()["serverTime"])
        self.api.options["timeDifference"] = ahead_ms
        listed = {each["symbol"]: each for each in self.api.fapiPublicGetExchangeInfo()["symbols"]}
        self.filters = {
            name: {each["filterType"]: each for each in listed[name]["filters"]}
            for name in (self.symbol, self.other)
        }
        self.part = self.quantity(Decimal(125))
        self.whole = 2 * self.part

    def mid(self, symbol: str = "") -> Decimal:
        """Return the middle price."""
        book = self.api.fapiPublicGetTickerBookTicker({"symbol": symbol or self.symbol})
        return (Decimal(book["bidPrice"]) + Decimal(book["askPrice"])) / 2

    def price(self, factor: str, symbol: str = "") -> str:
        """Return a price that is so many times the middle, on the tick."""
        tick = Decimal(self.filters[symbol or self.symbol]["PRICE_FILTER"]["tickSize"])
        return f"{(self.mid(symbol) * Decimal(factor) / tick).to_integral_value() * tick:f}"

    def quantity(self, notional: Decimal, symbol: str = "") -> Decimal:
        """Return a quantity of at least this value, and of what the exchange accepts."""
        filters = self.filters[symbol or self.symbol]
        step = Decimal(filters["LOT_SIZE"]["stepSize"])
        least = max(notional, Decimal(filters["MIN_NOTIONAL"]["notional"]) * Decimal("1.25"))
        steps = (least / self.mid(symbol) / step).to_integral_value(rounding=ROUND_CEILING)
        return max(steps * step, Decimal(filters["LOT_SIZE"]["minQty"]))

    # -- requests ----------------------------------------------------------------------------------

    def order(self, side: str, kind: str, quantity: Decimal, **more: str) -> dict[str, Any]:
        """Place an order of the LONG position."""
        order = {"symbol": self.symbol, "side": side, "positionSide": "LONG", "type": kind,
                 "quantity": f"{quantity:f}"}  # fmt: skip
        return dict(self.api.fapiPrivatePostOrder(order | more))

    def limit(self, side: str, quantity: Decimal, factor: str, **more: str) -> dict[str, Any]:
        """Place a limit order that is too far away to be filled."""
        price = self.price(factor, more.get("symbol", ""))
        return self.order(side, "LIMIT", quantity, price=price, timeInForce="GTC", **more)

    def stop(self, quantity: Decimal, **more: str) -> dict[str, Any]:
        """Place a stop loss of the LONG position."""
        order = {"symbol": self.symbol, "side": "SELL", "positionSide": "LONG",
                 "algoType": "CONDITIONAL", "type": "STOP_MARKET", "quantity": f"{quantity:f}",
                 "triggerPrice": self.price("0.97")}  # fmt: skip
        return dict(self.api.fapiPrivatePostAlgoOrder(order | more))

    def position(self) -> Decimal:
        """Return the quantity of the LONG position."""
        time.sleep(SETTLE_S)
        rows = self.api.fapiPrivateV3GetPositionRisk({"symbol": self.symbol})
        return sum((Decimal(r["positionAmt"]) for r in rows if r["positionSide"] == "LONG"),
                   Decimal(0))  # fmt: skip

    def open_orders(self) -> tuple[list[Any], list[Any]]:
        """Return the open orders, and the open algo orders."""
        time.sleep(SETTLE_S)
        asked = {"symbol": self.symbol}
        orders = self.api.fapiPrivateGetOpenOrders(asked)
        return list(orders), list(self.api.fapiPrivateGetOpenAlgoOrders(asked))

    def clean(self) -> None:
        """Cancel all orders of both symbols and close the position."""
        for symbol in (self.symbol, self.other):
            self.api.fapiPrivateDeleteAllOpenOrders({"symbol": symbol})
            self.api.fapiPrivateDeleteAlgoOpenOrders({"symbol": symbol})
        if held := self.position():
            self.order("SELL", "MARKET", held)

    # -- the questions -----------------------------------------------------------------------------

    def run(self) -> None:
        """Ask everything."""
        if self.api.fapiPrivateGetPositionSideDual()["dualSidePosition"] is not True:
            sys.exit("the account is in one-way mode: switch it to hedge mode")
        if self.position() or any(self.open_orders()):
            sys.exit(f"{self.symbol} has a LONG position or open orders: close and cancel them")
        value = self.whole * self.mid()
        answer("0. the LONG position to be opened", f"{self.whole} {self.symbol}, {value:.0f} USDT")
        try:
            self.ids()
            self.closing_orders()
        finally:
            self.clean()

    def ids(self) -> None:
        """Ask how far client ids are unique."""
        name = f"probe-entry-{time.time_ns() // 1_000_000}"
        say("1. an entry rests", lambda: self.limit("BUY", self.part, "0.9", newClientOrderId=name))
        say("2. the same client id again, same symbol",
            lambda: self.limit("BUY", self.part, "0.9", newClientOrderId=name))  # fmt: skip
        much = self.quantity(Decimal(125), self.other)
        say("3. the same client id, another symbol",
            lambda: self.limit("BUY", much, "0.9", newClientOrderId=name,
                               symbol=self.other))  # fmt: skip
        self.clean()

    def closing_orders(self) -> None:
        """Ask which closing orders may exist beside each other."""
        say("4. a position is opened", lambda: self.order("BUY", "MARKET", self.whole))
        say("5. a take profit of the whole position",
            lambda: self.limit("SELL", self.whole, "1.03"))  # fmt: skip
        name = f"probe-stop-{time.time_ns() // 1_000_000}"
        say("6. a stop loss of the whole, beside it",
            lambda: self.stop(self.whole, clientAlgoId=name))  # fmt: skip
        say("7. a second stop loss of a part", lambda: self.stop(self.part))
        say("8. a second take profit of a part", lambda: self.limit("SELL", self.part, "1.04"))
        for each in self.open_orders()[1]:
            if each["clientAlgoId"] == name:
                seen = {key: each.get(key) for key in ("reduceOnly", "closePosition", "side",
                                                       "positionSide")}  # fmt: skip
                answer("9. the stop loss, read back", str(seen))
        say("10. a part at market, beside them", lambda: self.order("SELL", "MARKET", self.part))
        held = self.position()
        answer("11. the position now", f"{held} of {self.whole}")
        say("12. more than the position at market",
            lambda: self.order("SELL", "MARKET", held + self.part))  # fmt: skip
        held = self.position()
        answer("13. the position now", f"{held} of {self.whole}")
        if held:
            say("14. the rest at market, beside them", lambda: self.order("SELL", "MARKET", held))
        orders, stops = self.open_orders()
        answer("15. left once it is flat", f"{len(orders)} order(s), {len(stops)} algo order(s)")


def say(question: str, ask: Callable[[], object]) -> None:
    """Print whether the exchange accepts an order, or its code."""
    try:
        ask()
    except ccxt.BaseError as error:
        answer(question, reason(error))
    else:
        answer(question, "accepted")


def reason(error: ccxt.BaseError) -> str:
    """Return Binance's code and message, or the kind of the error: its text can have the key."""
    found = re.search(r'"code":\s*(-\d+).*?"msg":\s*"([^"]*)"', str(error))
    return f"{found[1]} {found[2]}" if found else type(error).__name__


def answer(question: str, text: str) -> None:
    """Print a line."""
    print(f"{question}: {text}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    try:
        Probe(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "BTCUSDT").run()
    except WarmupError as error:
        sys.exit(str(error))
    except ccxt.AuthenticationError as error:
        sys.exit(f"the exchange refuses the keys ({reason(error)}): create them on its demo site, "
                 "allow futures, and check the list of IPs")  # fmt: skip
    except ccxt.BaseError as error:
        sys.exit(f"the exchange refuses or does not answer: {reason(error)}")
