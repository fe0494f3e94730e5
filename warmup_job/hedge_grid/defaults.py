"""Defaults of HedgeGridV1's optional settings. Plain values: the configuration reads them too."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec


class GridDefaults(msgspec.Struct, frozen=True):
    """The defaults, under the names that the settings have in strategy files.

    Names and values are those of naut_hedgegrid.
    """

    maker_only: bool = True
    use_post_only_retries: bool = True
    retry_attempts: int = 3
    retry_delay_ms: int = 100
    optimization_mode: bool = False
    retry_max_price_deviation_bps: Decimal = Decimal(100)
    balance_check_interval_seconds: int = 60
    tp_sl_adjustment_buffer_bps: Decimal = Decimal(5)
    max_bar_staleness_seconds: int = 300
    order_diff_price_tolerance_bps: Decimal = Decimal(1)
    order_diff_qty_tolerance_pct: Decimal = Decimal("0.01")
    """A fraction: 0.01 is 1 %."""
    max_position_pct: Decimal = Decimal("0.95")
    """A fraction: 0.95 is 95 % of the equity."""
    max_errors_per_minute: int = 10
    circuit_breaker_cooldown_seconds: int = 300
    circuit_breaker_window_seconds: int = 60
    max_drawdown_pct: Decimal = Decimal(20)
    """Percent."""
    enable_position_validation: bool = True
    enable_circuit_breaker: bool = True
    enable_drawdown_protection: bool = True


DEFAULTS: Final = GridDefaults()
