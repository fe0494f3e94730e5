"""The REST endpoints of the account's settings: modes, leverage, margin types and fees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.account.leverage_brackets import MOST_LEVERAGE
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.parameter_values import mandatory, read_optional_symbol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.served_account import ServedAccount
    from warmup_job.local_binance.rest.signed_requests import Route


class SettingsRest:
    """Answers the requests about settings.

    Args:
        settings: The account's settings.
        account: Its orders and positions, which can forbid a change.
        on_event: Receives the event of a changed leverage.
    """

    def __init__(
        self,
        settings: SimulatedAccount,
        account: ServedAccount,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        self._settings = settings
        self._account = account
        self._on_event = on_event

    def routes(self) -> list[Route]:
        """Return method, path and answer of every endpoint."""
        settings = self._settings
        mode, assets = "/fapi/v1/positionSide/dual", "/fapi/v1/multiAssetsMargin"
        return [
            ("GET", "/fapi/v1/accountConfig", lambda _: settings.config()),
            ("GET", mode, lambda _: settings.position_mode()),
            ("POST", mode, self._set_position_mode),
            ("GET", assets, lambda _: settings.assets_mode()),
            ("POST", assets, self._set_assets_mode),
            ("POST", "/fapi/v1/leverage", self._set_leverage),
            ("POST", "/fapi/v1/marginType", self._set_margin_type),
            (
                "GET",
                "/fapi/v1/leverageBracket",
                lambda params: settings.brackets(read_optional_symbol(params)),
            ),
            (
                "GET",
                "/fapi/v1/symbolConfig",
                lambda params: settings.symbol_configs(read_optional_symbol(params)),
            ),
            (
                "GET",
                "/fapi/v1/commissionRate",
                lambda params: settings.commission(read_symbol(params)),
            ),
        ]

    def _set_position_mode(self, params: Params) -> object:
        dual = mandatory(params, "dualSidePosition")
        self._account.now_ms()
        trading = self._account.trading
        if trading.orders.open() or trading.algo_orders.open():
            raise error_answers.mode_with_orders()
        if trading.positions():
            raise error_answers.mode_with_position()
        return self._settings.set_position_mode(dual)

    def _set_assets_mode(self, params: Params) -> object:
        return self._settings.set_assets_mode(mandatory(params, "multiAssetsMargin"))

    def _set_leverage(self, params: Params) -> object:
        symbol, leverage = read_symbol(params), read_number(params, "leverage")
        if leverage is None:
            raise error_answers.missing("leverage")
        now_ms = self._account.now_ms()
        if 1 <= leverage <= MOST_LEVERAGE:
            self._account.trading.check_leverage(symbol, leverage, now_ms)
        answer = self._settings.set_leverage(symbol, leverage)
        self._on_event(
            {
                "e": "ACCOUNT_CONFIG_UPDATE",
                "E": now_ms,
                "T": now_ms,
                "ac": {"s": symbol, "l": leverage},
            }
        )
        return answer

    def _set_margin_type(self, params: Params) -> object:
        symbol, margin_type = read_symbol(params), mandatory(params, "marginType")
        if symbol in self._settings.symbols() and self._settings.margin_type(symbol) != margin_type:
            self._account.trading.check_margin_type(symbol, self._account.now_ms())
        return self._settings.set_margin_type(symbol, margin_type)
