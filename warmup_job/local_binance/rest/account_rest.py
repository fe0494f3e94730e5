"""The REST endpoints of the account: signed, but those of the listen key need only the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from warmup_job.local_binance.account.signature import KEY_HEADER, ClientRequest, Credentials
from warmup_job.local_binance.prices.kline_pages import read_number, read_symbol
from warmup_job.local_binance.rest import error_answers
from warmup_job.local_binance.rest.responses import answer

if TYPE_CHECKING:
    from warmup_job.local_binance.account.listen_key import ListenKeys
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.rest.responses import Handler
    from warmup_job.local_binance.rest.trading_rest import TradingRest

CLIENT_REQUEST = web.RequestKey("sent", ClientRequest)
"""The parameters of a REST request, read once on its arrival."""

Params = Mapping[str, str]
AnswerMaker = Callable[[Params], object]
"""Makes the answer of an authorised request."""


class AccountRest:
    """Answers the requests of a client with a key and a secret.

    Args:
        account: The account's settings.
        trading: Its orders, positions and wallet.
        credentials: Check keys and signatures.
        listen_keys: The account's listen keys.
        clock: The exchange's clock.
    """

    def __init__(
        self,
        account: SimulatedAccount,
        trading: TradingRest,
        credentials: Credentials,
        listen_keys: ListenKeys,
        clock: ExchangeClock,
    ) -> None:
        self._account = account
        self._trading = trading
        self._credentials = credentials
        self._listen_keys = listen_keys
        self._clock = clock

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of every endpoint."""
        account = self._account
        of_one_or_all: list[tuple[str, str, Callable[[str | None], object]]] = [
            ("GET", "/fapi/v1/leverageBracket", account.brackets),
            ("GET", "/fapi/v1/symbolConfig", account.symbol_configs),
        ]
        of_one: list[tuple[str, str, Callable[[str], object]]] = [
            ("GET", "/fapi/v1/commissionRate", account.commission),
        ]
        others: list[tuple[str, str, AnswerMaker]] = [
            ("GET", "/fapi/v1/accountConfig", lambda _: account.config()),
            ("GET", "/fapi/v1/multiAssetsMargin", lambda _: {"multiAssetsMargin": False}),
            ("GET", "/fapi/v1/positionSide/dual", lambda _: account.position_mode()),
            ("POST", "/fapi/v1/positionSide/dual", self._set_position_mode),
            ("POST", "/fapi/v1/leverage", self._set_leverage),
            ("POST", "/fapi/v1/marginType", self._set_margin_type),
            ("GET", "/api/v3/account", lambda _: account.spot()),
        ]
        others += [(method, path, _of_one_or_all(make)) for method, path, make in of_one_or_all]
        others += [(method, path, _of_one(make)) for method, path, make in of_one]
        others += self._trading.routes()
        listen_key = "/fapi/v1/listenKey"
        return [
            *((method, path, self._signed(make)) for method, path, make in others),
            ("POST", listen_key, self._keyed(self._issue_listen_key)),
            ("PUT", listen_key, self._keyed(self._keep_listen_key)),
            ("DELETE", listen_key, self._keyed(self._revoke_listen_key)),
        ]

    # --- authorisation ---

    def _signed(self, make: AnswerMaker) -> Handler:
        async def reply(request: web.Request) -> web.StreamResponse:
            sent = request[CLIENT_REQUEST]
            key = request.headers.get(KEY_HEADER)
            self._credentials.check_signed(key, sent, self._clock.now_ms())
            return answer(request, make(sent.params))

        return reply

    def _keyed(self, make: AnswerMaker) -> Handler:
        async def reply(request: web.Request) -> web.StreamResponse:
            self._credentials.check_key(request.headers.get(KEY_HEADER))
            return answer(request, make(request[CLIENT_REQUEST].params))

        return reply

    # --- settings ---

    def _set_position_mode(self, params: Params) -> object:
        return self._account.set_position_mode(_mandatory(params, "dualSidePosition"))

    def _set_leverage(self, params: Params) -> object:
        symbol, leverage = read_symbol(params), read_number(params, "leverage")
        if leverage is None:
            raise error_answers.missing("leverage")
        return self._account.set_leverage(symbol, leverage)

    def _set_margin_type(self, params: Params) -> object:
        return self._account.set_margin_type(read_symbol(params), _mandatory(params, "marginType"))

    # --- the listen key ---

    def _issue_listen_key(self, _: Params) -> object:
        return {"listenKey": self._listen_keys.issue(self._clock.now_ms())}

    def _keep_listen_key(self, _: Params) -> object:
        return {"listenKey": self._listen_keys.keep_alive(self._clock.now_ms())}

    def _revoke_listen_key(self, _: Params) -> object:
        self._listen_keys.revoke()
        return {}


def _of_one_or_all(make: Callable[[str | None], object]) -> AnswerMaker:
    return lambda params: make(read_symbol(params) if "symbol" in params else None)


def _of_one(make: Callable[[str], object]) -> AnswerMaker:
    return lambda params: make(read_symbol(params))


def _mandatory(params: Params, name: str) -> str:
    value = params.get(name, "")
    if not value:
        raise error_answers.missing(name)
    return value
