"""Order ladders for synthetic settings and instruments."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.identifiers import InstrumentId, Symbol
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity

from warmup_job.hedge_grid.ladder import GridSettings, Rung, build_ladder
from warmup_job.regime.detector import Regime

SIDEWAYS, UP, DOWN = Regime.SIDEWAYS, Regime.UP, Regime.DOWN


def listed(
    tick: str = "0.10", notional: int = 100, most: str = "1000", highest: str = "4000000"
) -> CryptoPerpetual:
    """Return an instrument with these limits; quantities in thousandths."""
    places = -D(tick).as_tuple().exponent  # type: ignore[operator]
    return CryptoPerpetual(
        InstrumentId.from_str("BTCUSDT-PERP.BINANCE"), Symbol("BTCUSDT"), BTC, USDT, USDT,
        is_inverse=False, price_precision=places, size_precision=3,
        price_increment=Price.from_str(tick), size_increment=Quantity.from_str("0.001"),
        min_quantity=Quantity.from_str("0.001"), max_quantity=Quantity.from_str(most),
        min_notional=Money(notional, USDT), max_price=Price.from_str(highest),
        ts_event=0, ts_init=0,
    )  # fmt: skip


def settings(**changes: Any) -> GridSettings:
    given: dict[str, Any] = {
        "step_bps": D(10), "levels_long": 3, "levels_short": 2, "base_qty": D("0.002"),
        "qty_scale": D(2), "tp_steps": 1, "sl_steps": 4, "policy": "throttled-counter",
        "counter_levels": 1, "counter_qty_scale": D("0.5"),
    }  # fmt: skip
    return GridSettings(**given | changes)


def ladder(mid: D, regime: Regime = SIDEWAYS, **changes: Any) -> list[Rung]:
    instrument = changes.pop("instrument", None) or listed()
    return build_ladder(mid, regime, settings(**changes), instrument)
