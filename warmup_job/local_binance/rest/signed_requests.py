"""Requests of a client with a key: their parameters, and the checks of key and signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from warmup_job.local_binance.account.signature import KEY_HEADER, ClientRequest
from warmup_job.local_binance.rest.parameter_values import Params
from warmup_job.local_binance.rest.responses import answer

if TYPE_CHECKING:
    from warmup_job.local_binance.account.signature import Credentials
    from warmup_job.local_binance.exchange_clock import ExchangeClock
    from warmup_job.local_binance.rest.responses import Handler

CLIENT_REQUEST = web.RequestKey("sent", ClientRequest)
"""The parameters of a REST request, read once on its arrival."""

AnswerMaker = Callable[[Params], object]
"""Makes the answer of an authorised request."""
Route = tuple[str, str, AnswerMaker]
"""Method, path and answer of an endpoint."""


class SignedRequests:
    """Checks the key and the signature before an answer is made.

    Args:
        credentials: The key and secret of the account.
        clock: The exchange's clock.
    """

    def __init__(self, credentials: Credentials, clock: ExchangeClock) -> None:
        self._credentials = credentials
        self._clock = clock

    def signed(self, make: AnswerMaker) -> Handler:
        """Return the handler of an endpoint that needs a key and a signature."""

        async def reply(request: web.Request) -> web.StreamResponse:
            sent = request[CLIENT_REQUEST]
            key = request.headers.get(KEY_HEADER)
            self._credentials.check_signed(key, sent, self._clock.now_ms())
            return answer(request, make(sent.params))

        return reply

    def keyed(self, make: AnswerMaker) -> Handler:
        """Return the handler of an endpoint that needs only the key."""

        async def reply(request: web.Request) -> web.StreamResponse:
            self._credentials.check_key(request.headers.get(KEY_HEADER))
            return answer(request, make(request[CLIENT_REQUEST].params))

        return reply
