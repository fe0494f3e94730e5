"""Configuration files as a user writes them."""

from __future__ import annotations

import json
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any

from tests.support.exchange import Exchange
from tests.support.suite import REPO

LIVE_KEYS = {"KEY": "local-key", "SECRET": "local-secret"}
"""The environment for what `write_live_config` writes: the local exchange's own keys."""
BASE_QTY = Decimal("0.004")
"""Of the repository's strategy file, BTC."""
_LEAST_ORDER = Decimal(70)
"""Orders of two thirds of Binance's minimum for BTCUSDT can be raised to it, in USDT."""


def write_config(
    folder: Path, exchange_url: str, *, ws_url: str | None = None, **changes: Any
) -> Path:
    """Write a venue, strategy and joining file to ``folder``; ``changes`` go into the joining file.

    Keys of ``changes`` are sections (warmup, snapshot, …), or venue/strategy for those files' text.
    """
    venue = changes.pop("venue", {})
    strategy = changes.pop("strategy", {})
    market = venue.pop("market", "um")
    ends = ("futures", "PERPETUAL_LINEAR") if market == "um" else ("spot", "CASH")
    folder.mkdir(parents=True, exist_ok=True)
    symbol = strategy.pop("symbol", "BTCUSDT-PERP.BINANCE" if market == "um" else "BTCUSDT.BINANCE")
    (folder / "venue.yaml").write_text(
        json.dumps(
            {
                "venue": {"name": "BINANCE", "venue_type": ends[0], "account_type": ends[1]},
                "api": {"base_url": exchange_url, "ws_url": ws_url},
                "rate_limits": {"weight_per_minute": 2400},
            }
            | venue
        )
    )
    text = (REPO / "configs/strategies/hedge_grid_v1.yaml").read_text()
    text = text.replace(f"base_qty: {BASE_QTY}", f"base_qty: {strategy.pop('base_qty', BASE_QTY)}")
    (folder / "strategy.yaml").write_text(text.replace("BTCUSDT-PERP.BINANCE", symbol))
    # Only tests about the proof require one.
    changes["warmup"] = {"require": "bars"} | changes.get("warmup", {})
    changes["trade"] = {"state_dir": str(folder / "state")} | changes.get("trade", {})
    joined = {"venue": "venue.yaml", "strategy": "strategy.yaml"} | changes
    path = folder / "warmup.yaml"
    path.write_text(json.dumps(joined))
    return path


def write_live_config(folder: Path, exchange: Exchange, **changes: Any) -> Path:
    """Write a configuration that meets every requirement of live trading; see `write_config`.

    A market that moves fast is far from where BTC was at its start: its orders follow its price.
    """
    base_qty = (_LEAST_ORDER / exchange.mark_price("BTCUSDT")).quantize(Decimal("0.001"), ROUND_UP)
    strategy = {"base_qty": max(BASE_QTY, base_qty)} | changes.pop("strategy", {})
    venue = {
        "api": {
            "base_url": exchange.url,
            "ws_url": exchange.ws_url,
            "api_key": "${KEY}",
            "api_secret": "${SECRET}",
        },
        "trading": {"hedge_mode": True, "leverage": 5},
    }
    return write_config(
        folder,
        exchange.url,
        venue=venue | changes.pop("venue", {}),
        strategy=strategy,
        warmup={"require": "proven"} | changes.pop("warmup", {}),
        snapshot={"root": str(folder / "snapshot")},
        **changes,
    )
