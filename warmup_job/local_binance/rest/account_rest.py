"""The REST endpoints of the account's balance, positions and listen key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmup_job.local_binance.rest.parameter_values import read_optional_symbol

if TYPE_CHECKING:
    from warmup_job.local_binance.account.account_answers import AccountAnswers
    from warmup_job.local_binance.account.listen_key import ListenKeys
    from warmup_job.local_binance.account.simulated_account import SimulatedAccount
    from warmup_job.local_binance.rest.parameter_values import Params
    from warmup_job.local_binance.rest.served_account import ServedAccount
    from warmup_job.local_binance.rest.signed_requests import Route


class AccountRest:
    """Answers the requests about the account itself.

    Args:
        settings: The account's settings.
        answers: Prints the account.
        account: Brings the account up to date.
        listen_keys: The account's listen keys.
    """

    def __init__(
        self,
        settings: SimulatedAccount,
        answers: AccountAnswers,
        account: ServedAccount,
        listen_keys: ListenKeys,
    ) -> None:
        self._settings = settings
        self._answers = answers
        self._account = account
        self._listen_keys = listen_keys

    def routes(self) -> list[Route]:
        """Return method, path and answer of every signed endpoint."""
        answers, now_ms = self._answers, self._account.now_ms
        return [
            ("GET", "/fapi/v2/account", lambda _: answers.account_v2(now_ms())),
            ("GET", "/fapi/v3/account", lambda _: answers.account_v3(now_ms())),
            ("GET", "/fapi/v2/balance", lambda _: answers.balances(now_ms())),
            ("GET", "/fapi/v3/balance", lambda _: answers.balances(now_ms())),
            (
                "GET",
                "/fapi/v2/positionRisk",
                lambda params: answers.position_risk_v2(read_optional_symbol(params), now_ms()),
            ),
            (
                "GET",
                "/fapi/v3/positionRisk",
                lambda params: answers.position_risk_v3(read_optional_symbol(params), now_ms()),
            ),
            ("GET", "/api/v3/account", lambda _: self._settings.spot()),
        ]

    def keyed_routes(self) -> list[Route]:
        """Return method, path and answer of the endpoints that need only the key."""
        listen_key = "/fapi/v1/listenKey"
        return [
            ("POST", listen_key, self._issue_listen_key),
            ("PUT", listen_key, self._keep_listen_key),
            ("DELETE", listen_key, self._revoke_listen_key),
        ]

    def _issue_listen_key(self, _: Params) -> object:
        return {"listenKey": self._listen_keys.issue(self._account.now_ms())}

    def _keep_listen_key(self, _: Params) -> object:
        return {"listenKey": self._listen_keys.keep_alive(self._account.now_ms())}

    def _revoke_listen_key(self, _: Params) -> object:
        self._listen_keys.revoke()
        return {}
