"""The local exchange's account over real HTTP: keys, signatures, settings, the listen key.

Run as a script, this file is the process that starts NautilusTrader's own execution client.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from tests.support.commands import job_process, run_as_script
from tests.support.suite import HANG_S
from warmup_job.errors import ConfigError
from warmup_job.local_binance.account.signature import Credentials
from warmup_job.local_binance.account.simulated_account import SimulatedAccount
from warmup_job.local_binance.exchange_options import ExchangeOptions
from warmup_job.local_binance.rest.weight_meter import request_weight
from warmup_job.local_binance.server import RunningExchange, start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY, SECRET = "local-key", "local-secret"
ACCOUNT = "/fapi/v2/account"
MODE = "/fapi/v1/positionSide/dual"
LISTEN_KEY = "/fapi/v1/listenKey"

Answer = tuple[int, Any]


def with_exchange[T](use: Callable[[RunningExchange], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        exchange = await start(ExchangeOptions(**options))
        try:
            return await use(exchange)
        finally:
            await exchange.stop()

    return asyncio.run(run())


def signature_of(payload: str, secret: str = SECRET) -> str:
    """Return the signature by the documentation's rule, without the exchange's own code."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


async def send(
    exchange: RunningExchange,
    method: str,
    target: str,
    *,
    key: str | None = KEY,
    body: str | None = None,
) -> Answer:
    """Send exactly these characters."""
    headers = {} if key is None else {"X-MBX-APIKEY": key}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, URL(exchange.url + target, encoded=True), headers=headers, data=body
        ) as response,
    ):
        return response.status, await response.json()


async def ask(
    exchange: RunningExchange,
    path: str,
    method: str = "GET",
    *,
    secret: str = SECRET,
    key: str | None = KEY,
    **params: object,
) -> Answer:
    """Send a signed request with the exchange's time, or with ``timestamp``."""
    query = urlencode({"timestamp": exchange.now_ms(), **params})
    signed = f"{query}&signature={signature_of(query, secret)}"
    return await send(exchange, method, f"{path}?{signed}", key=key)


async def granted(exchange: RunningExchange, path: str, method: str = "GET", **p: Any) -> Any:
    status, body = await ask(exchange, path, method, **p)
    assert status == 200, body
    return body


async def refused(answer: Awaitable[Answer]) -> tuple[int, int]:
    status, body = await answer
    assert set(body) == {"code", "msg"}, body
    return status, body["code"]


async def seen(exchange: RunningExchange) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(exchange.url + "/_sim/requests") as response,
    ):
        return await response.json()


# --- authentication ---


def test_local_binance_account_signed_request_returns_the_balance_as_text() -> None:
    async def use(exchange: RunningExchange) -> None:
        account = await granted(exchange, ACCOUNT, recvWindow=60_000)
        assert (account["canTrade"], account["totalWalletBalance"]) == (True, "1234.50000000")
        assert [asset["asset"] for asset in account["assets"]] == ["USDT"]
        assert account["assets"][0]["availableBalance"] == "1234.50000000"
        assert {row["positionAmt"] for row in account["positions"]} == {"0"}
        newer = await granted(exchange, "/fapi/v3/account")
        assert (newer["positions"], newer["availableBalance"]) == ([], "1234.50000000")
        assert "canTrade" not in newer
        for path in ("/fapi/v2/balance", "/fapi/v3/balance"):
            (balance,) = await granted(exchange, path)
            assert (balance["asset"], balance["balance"]) == ("USDT", "1234.50000000")
        spot = await granted(exchange, "/api/v3/account")
        assert spot["balances"] == [
            {"asset": "USDT", "free": "1234.50000000", "locked": "0.00000000"}
        ]
        assert (spot["canTrade"], spot["accountType"]) == (True, "SPOT")

    with_exchange(use, balance="1234.5")


def test_local_binance_account_accepts_only_its_own_key() -> None:
    async def use(exchange: RunningExchange) -> None:
        for path in (ACCOUNT, MODE, "/api/v3/account"):
            assert await refused(ask(exchange, path, key=None)) == (401, -2014)
            assert await refused(ask(exchange, path, key="")) == (401, -2014)
            assert await refused(ask(exchange, path, key="no key at all")) == (401, -2014)
            assert await refused(ask(exchange, path, key="somebody-else")) == (401, -2015)
            assert await refused(ask(exchange, path, key=KEY.upper())) == (401, -2015)
        assert await refused(send(exchange, "POST", LISTEN_KEY, key=None)) == (401, -2014)
        assert await refused(send(exchange, "POST", LISTEN_KEY, key="somebody-else")) == (
            401, -2015,
        )  # fmt: skip
        # Public data needs no key, and a key does no harm.
        assert (await send(exchange, "GET", "/fapi/v1/time", key=None))[0] == 200
        assert (await send(exchange, "GET", "/fapi/v1/time", key="somebody-else"))[0] == 200

    with_exchange(use)


def test_local_binance_account_signature_covers_the_whole_request() -> None:
    async def use(exchange: RunningExchange) -> None:
        now = exchange.now_ms()

        async def get(query: str) -> Answer:
            return await send(exchange, "GET", f"{ACCOUNT}?{query}")

        assert await refused(ask(exchange, ACCOUNT, secret="another-secret")) == (400, -1022)
        good = f"recvWindow=5000&timestamp={now}"
        signature = signature_of(good)
        assert (await get(f"{good}&signature={signature}"))[0] == 200
        assert (await get(f"{good}&signature={signature.upper()}"))[0] == 200
        for tampered in (
            f"recvWindow=6000&timestamp={now}&signature={signature}",
            f"timestamp={now}&recvWindow=5000&signature={signature}",  # another order
            f"{good}&symbol=BTCUSDT&signature={signature}",
            f"{good}&signature={signature[:-1]}",
            f"{good}&signature=%C3%A9{signature}",
        ):
            assert await refused(get(tampered)) == (400, -1022), tampered
        assert await refused(get(good)) == (400, -1102)
        # The signature covers the characters, not their meaning.
        coded = f"note=a%20b&timestamp={now}"
        assert (await get(f"{coded}&signature={signature_of(coded)}"))[0] == 200
        plain = coded.replace("%20", "+")
        assert await refused(get(f"{coded}&signature={signature_of(plain)}")) == (400, -1022)

    with_exchange(use)


def test_local_binance_account_form_body_is_signed_after_the_query() -> None:
    async def use(exchange: RunningExchange) -> None:
        now = exchange.now_ms()

        async def post(query: str, form: str) -> Answer:
            return await send(exchange, "POST", f"/fapi/v1/leverage{query}", body=form)

        form = f"symbol=ETHUSDT&leverage=3&timestamp={now}"
        assert (await post("", f"{form}&signature={signature_of(form)}"))[0] == 200
        query, rest = "symbol=XRPUSDT&leverage=4", f"timestamp={now}"
        signature = signature_of(query + rest)
        assert (await post(f"?{query}", f"{rest}&signature={signature}"))[0] == 200
        assert await refused(
            post("?symbol=XRPUSDT&leverage=5", f"{rest}&signature={signature}")
        ) == (400, -1022)
        assert await refused(
            post("", f"{form}&signature={signature_of(form)}".replace("leverage=3", "leverage=9"))
        ) == (400, -1022)
        configs = await granted(exchange, "/fapi/v1/symbolConfig")
        leverage = {config["symbol"]: config["leverage"] for config in configs}
        assert (leverage["ETHUSDT"], leverage["XRPUSDT"], leverage["BTCUSDT"]) == (3, 4, 20)
        log = (await seen(exchange))["requests"]
        assert log[0]["params"] == {"symbol": "ETHUSDT", "leverage": "3", "timestamp": str(now)}

    with_exchange(use)


def test_local_binance_account_timestamp_must_be_in_the_receive_window() -> None:
    async def use(exchange: RunningExchange) -> None:
        async def at(offset_ms: int, **params: Any) -> Answer:
            return await ask(exchange, ACCOUNT, timestamp=exchange.now_ms() + offset_ms, **params)

        outside = "Timestamp for this request is outside of the recvWindow."
        ahead = "Timestamp for this request was 1000ms ahead of the server's time."
        # Far from the limit where time runs towards it: a request takes time.
        assert (await at(-3_000))[0] == 200
        assert await at(-5_001) == (400, {"code": -1021, "msg": outside})
        assert (await at(-6_000, recvWindow=10_000))[0] == 200
        assert await at(-600, recvWindow=500) == (400, {"code": -1021, "msg": outside})
        assert (await at(900))[0] == 200
        assert await at(5_000) == (400, {"code": -1021, "msg": ahead})
        assert await at(5_000, recvWindow=60_000) == (400, {"code": -1021, "msg": ahead})
        assert await refused(at(0, recvWindow=60_001)) == (400, -1131)
        assert await refused(at(0, recvWindow="soon")) == (400, -1100)
        assert await refused(ask(exchange, ACCOUNT, timestamp="")) == (400, -1102)
        assert await refused(ask(exchange, ACCOUNT, timestamp="now")) == (400, -1100)
        query = "recvWindow=5000"
        unstamped = f"{ACCOUNT}?{query}&signature={signature_of(query)}"
        assert await refused(send(exchange, "GET", unstamped)) == (400, -1102)

    with_exchange(use)


@pytest.mark.parametrize(("skew", "words"), [("+6s", "outside of"), ("-30s", "1000ms ahead")])
def test_local_binance_account_skewed_clock_refuses_a_correct_client(skew: str, words: str) -> None:
    async def use(exchange: RunningExchange) -> None:
        right = exchange.now_ms()
        assert (await ask(exchange, ACCOUNT, timestamp=right))[0] == 200
        exchange.add_fault(f"skew={skew}")
        for path in (ACCOUNT, "/api/v3/account"):
            status, body = await ask(exchange, path, timestamp=right)
            assert (status, body["code"]) == (400, -1021)
            assert words in body["msg"]
        # A client that asks for the time first is accepted.
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{exchange.url}/fapi/v1/time") as response,
        ):
            server_time = (await response.json())["serverTime"]
        assert (await ask(exchange, ACCOUNT, timestamp=server_time))[0] == 200
        exchange.clear_faults()
        assert (await ask(exchange, ACCOUNT, timestamp=right, recvWindow=60_000))[0] == 200

    with_exchange(use)


# --- account settings ---


def test_local_binance_account_hedge_mode_is_the_default() -> None:
    async def sides(exchange: RunningExchange) -> tuple[bool, set[str]]:
        mode = (await granted(exchange, MODE))["dualSidePosition"]
        rows = await granted(exchange, "/fapi/v2/positionRisk", symbol="BTCUSDT")
        positions = (await granted(exchange, ACCOUNT))["positions"]
        assert {row["positionSide"] for row in rows} == {row["positionSide"] for row in positions}
        assert (await granted(exchange, "/fapi/v1/accountConfig"))["dualSidePosition"] is mode
        return mode, {row["positionSide"] for row in rows}

    async def switch(exchange: RunningExchange) -> None:
        assert await sides(exchange) == (True, {"LONG", "SHORT"})
        again = ask(exchange, MODE, "POST", dualSidePosition="true")
        assert await refused(again) == (400, -4059)
        await granted(exchange, MODE, "POST", dualSidePosition="false")
        assert await sides(exchange) == (False, {"BOTH"})

    assert with_exchange(sides, one_way=True) == (False, {"BOTH"})
    with_exchange(switch)


def test_local_binance_account_that_may_not_trade_says_so() -> None:
    async def use(exchange: RunningExchange) -> list[bool]:
        paths = (ACCOUNT, "/fapi/v1/accountConfig", "/api/v3/account")
        return [(await granted(exchange, path))["canTrade"] for path in paths]

    assert with_exchange(use, no_trading=True) == [False] * 3
    assert with_exchange(use) == [True] * 3


def test_local_binance_account_keeps_leverage_and_margin_type_per_symbol() -> None:
    async def use(exchange: RunningExchange) -> None:
        async def config(symbol: str) -> dict[str, Any]:
            (only,) = await granted(exchange, "/fapi/v1/symbolConfig", symbol=symbol)
            return dict(only)

        async def leverage(value: object) -> Answer:
            return await ask(
                exchange, "/fapi/v1/leverage", "POST", symbol="BTCUSDT", leverage=value
            )

        async def margin(value: str) -> Answer:
            return await ask(
                exchange, "/fapi/v1/marginType", "POST", symbol="BTCUSDT", marginType=value
            )

        before = await config("BTCUSDT")
        assert (before["leverage"], before["marginType"]) == (20, "CROSSED")
        status, body = await leverage(125)
        assert (status, body["leverage"], body["symbol"]) == (200, 125, "BTCUSDT")
        assert int(body["maxNotionalValue"]) < int(before["maxNotionalValue"])
        assert await margin("ISOLATED") == (200, {"code": 200, "msg": "success"})
        now = await config("BTCUSDT")
        assert (now["leverage"], now["marginType"]) == (125, "ISOLATED")
        assert now["maxNotionalValue"] == body["maxNotionalValue"]
        assert await config("ETHUSDT") == before | {"symbol": "ETHUSDT"}
        risk = await granted(exchange, "/fapi/v2/positionRisk", symbol="BTCUSDT")
        assert {(row["leverage"], row["marginType"]) for row in risk} == {("125", "isolated")}

        status, body = await margin("ISOLATED")
        assert (status, body) == (400, {"code": -4046, "msg": "No need to change margin type."})
        assert await refused(margin("SIDEWAYS")) == (400, -1130)
        assert await refused(leverage(0)) == (400, -4028)
        assert await refused(leverage(126)) == (400, -4028)
        assert await refused(leverage("")) == (400, -1102)
        nowhere = ask(exchange, "/fapi/v1/leverage", "POST", symbol="NOPEUSDT", leverage=5)
        assert await refused(nowhere) == (400, -1121)

    with_exchange(use)


def test_local_binance_account_leverage_brackets_are_contiguous() -> None:
    async def use(exchange: RunningExchange) -> None:
        everyone = await granted(exchange, "/fapi/v1/leverageBracket")
        one = await granted(exchange, "/fapi/v1/leverageBracket", symbol="BTCUSDT")
        assert len(everyone) == 7
        assert one in everyone
        rows = one["brackets"]
        assert (rows[0]["notionalFloor"], rows[0]["cum"]) == (0, 0)
        for lower, upper in zip(rows, rows[1:], strict=False):
            assert upper["bracket"] == lower["bracket"] + 1
            assert upper["initialLeverage"] < lower["initialLeverage"]
            edge = upper["notionalFloor"]
            assert edge == lower["notionalCap"]
            # The maintenance margin does not jump where two brackets meet.
            margins = [edge * row["maintMarginRatio"] - row["cum"] for row in (lower, upper)]
            assert margins[0] == pytest.approx(margins[1])

    with_exchange(use)


def test_local_binance_account_has_no_orders_trades_or_positions() -> None:
    async def use(exchange: RunningExchange) -> None:
        for path in ("/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"):
            assert await granted(exchange, path) == []
            assert await granted(exchange, path, symbol="BTCUSDT") == []
            assert await refused(ask(exchange, path, symbol="NOPEUSDT")) == (400, -1121)
        for path in ("/fapi/v1/allOrders", "/fapi/v1/allAlgoOrders", "/fapi/v1/userTrades"):
            assert await granted(exchange, path, symbol="BTCUSDT") == []
            assert await refused(ask(exchange, path)) == (400, -1102)
        rates = await granted(exchange, "/fapi/v1/commissionRate", symbol="BTCUSDT")
        assert rates["takerCommissionRate"] == "0.000500"
        for path in ("/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"):
            done = await granted(exchange, path, "DELETE", symbol="BTCUSDT")
            assert done["code"] == 200

        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        for path, name in (("/fapi/v1/order", "orderId"), ("/fapi/v1/algoOrder", "algoId")):
            unknown: dict[str, Any] = {"symbol": "BTCUSDT", name: 1}
            assert await refused(ask(exchange, path, **unknown)) == (400, -2013)
            assert await refused(ask(exchange, path, "DELETE", **unknown)) == (400, -2011)
            # The signature is checked first, then the request is refused.
            forged = ask(exchange, path, "POST", secret="another-secret", **order)
            assert await refused(forged) == (400, -1022)

    with_exchange(use)


def test_local_binance_account_weights_are_binances() -> None:
    def weights(*names: str, method: str = "GET") -> list[int]:
        return [request_weight(f"/fapi/{name}", {}, method) for name in names]

    assert weights("v2/account", "v3/account", "v2/balance", "v3/balance") == [5] * 4
    assert weights("v2/positionRisk", "v3/positionRisk", "v1/allOrders", "v1/userTrades") == [5] * 4
    assert weights("v1/symbolConfig", "v1/accountConfig", "v1/allAlgoOrders") == [5] * 3
    assert weights("v1/positionSide/dual", "v1/multiAssetsMargin") == [30, 30]
    assert weights("v1/commissionRate", "v1/leverageBracket", "v1/order") == [20, 1, 1]
    assert weights("v1/openOrders", "v1/openAlgoOrders") == [40, 40]
    assert request_weight("/fapi/v1/openOrders", {"symbol": "BTCUSDT"}) == 1
    assert weights("v1/positionSide/dual", "v1/leverage", "v1/listenKey", method="POST") == [1] * 3
    assert weights("v1/order", "v1/algoOrder", method="POST") == [0, 0]
    assert weights("v1/order", "v1/allOpenOrders", method="DELETE") == [1, 1]
    assert request_weight("/api/v3/account", {}) == 20

    async def use(exchange: RunningExchange) -> list[int]:
        await granted(exchange, MODE)
        await ask(exchange, "/fapi/v1/order", "POST", symbol="BTCUSDT")
        await send(exchange, "POST", LISTEN_KEY)
        await refused(ask(exchange, ACCOUNT, key=None))  # a refused request counts too
        return [request["weight"] for request in (await seen(exchange))["requests"]]

    assert with_exchange(use) == [30, 0, 1, 5]


# --- the listen key ---


def test_local_binance_account_listen_key_lasts_an_hour_unless_kept_alive() -> None:
    async def use(exchange: RunningExchange) -> None:
        async def listen_key(method: str) -> Answer:
            return await send(exchange, method, LISTEN_KEY)

        assert await refused(listen_key("PUT")) == (400, -1125)
        assert await listen_key("DELETE") == (200, {})
        first = (await listen_key("POST"))[1]["listenKey"]
        assert await listen_key("POST") == (200, {"listenKey": first})
        exchange.add_fault("skew=+59m")
        assert await listen_key("PUT") == (200, {"listenKey": first})
        exchange.add_fault("skew=+59m")  # 118 minutes: it has been kept alive on the way
        assert await listen_key("POST") == (200, {"listenKey": first})
        exchange.add_fault("skew=+61m")
        assert await refused(listen_key("PUT")) == (400, -1125)
        second = (await listen_key("POST"))[1]["listenKey"]
        assert second != first
        assert await listen_key("DELETE") == (200, {})
        assert await refused(listen_key("PUT")) == (400, -1125)

    with_exchange(use)


@pytest.mark.parametrize(
    "path",
    [
        "/ws?listenKey={}",
        "/private/ws?listenKey={}",
        "/private/ws/{}",
        "/private/stream?streams={}",
    ],
)
def test_local_binance_account_stream_is_silent_until_its_key_expires(path: str) -> None:
    async def use(exchange: RunningExchange) -> None:
        async def open_stream(session: aiohttp.ClientSession) -> tuple[str, Any]:
            key = (await send(exchange, "POST", LISTEN_KEY))[1]["listenKey"]
            return key, await session.ws_connect(exchange.ws_url + path.format(key))

        async with aiohttp.ClientSession() as session:
            key, stream = await open_stream(session)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.receive(), 0.4)
            assert (await seen(exchange))["websockets"] == 1
            exchange.add_fault("skew=+61m")
            message = await asyncio.wait_for(stream.receive_json(), HANG_S)
            event = message.get("data", message)
            assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
            await stream.close()

            _, stream = await open_stream(session)
            await send(exchange, "DELETE", LISTEN_KEY)
            ended = await asyncio.wait_for(stream.receive(), HANG_S)
            assert ended.type is aiohttp.WSMsgType.CLOSE
            await stream.close()

    with_exchange(use)


def test_local_binance_account_stream_is_a_futures_stream_if_the_root_is_spot() -> None:
    async def use(exchange: RunningExchange) -> None:
        key = (await send(exchange, "POST", LISTEN_KEY))[1]["listenKey"]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{exchange.ws_url}/ws?listenKey={key}") as stream,
        ):
            exchange.add_fault("skew=+61m")
            event = await asyncio.wait_for(stream.receive_json(), HANG_S)
            assert event["e"] == "listenKeyExpired"

    with_exchange(use, root_streams="spot")


# --- faults, the record, options ---


def test_local_binance_account_requests_have_faults_and_are_recorded() -> None:
    async def use(exchange: RunningExchange) -> None:
        exchange.add_fault("503@/fapi/v2/account:times=1")
        exchange.add_fault("429=3@leverage/BTCUSDT:times=1")
        assert (await ask(exchange, ACCOUNT))[0] == 503
        assert (await ask(exchange, ACCOUNT))[0] == 200
        body = urlencode({"symbol": "BTCUSDT", "leverage": 5, "timestamp": exchange.now_ms()})
        form = f"{body}&signature={signature_of(body)}"
        assert (await send(exchange, "POST", "/fapi/v1/leverage", body=form))[0] == 429
        assert (await send(exchange, "POST", "/fapi/v1/leverage", body=form))[0] == 200
        log = (await seen(exchange))["requests"]
        assert [(r["method"], r["path"], r["status"], r["fault"]) for r in log] == [
            ("GET", ACCOUNT, 503, "503"),
            ("GET", ACCOUNT, 200, None),
            ("POST", "/fapi/v1/leverage", 429, "429"),
            ("POST", "/fapi/v1/leverage", 200, None),
        ]

    with_exchange(use)


def test_local_binance_account_records_no_secret() -> None:
    key, secret = "a-key-of-my-own", "a-secret-of-my-own"

    async def use(exchange: RunningExchange) -> None:
        query = f"timestamp={exchange.now_ms()}"
        signature = signature_of(query, secret)
        listen_key = (await send(exchange, "POST", LISTEN_KEY, key=key))[1]["listenKey"]
        for target in (
            f"{ACCOUNT}?{query}&signature={signature}",
            f"{ACCOUNT}?{query}&apiKey={key}&secret={secret}&{key}=1&signature={signature}",
            f"/nothing/{secret}/{signature}",
            f"{LISTEN_KEY}?listenKey={listen_key}",
        ):
            await send(exchange, "GET", target, key=key)
        form = f"{query}&symbol=BTCUSDT&leverage=5&key={key}"
        form += f"&signature={signature_of(form, secret)}"
        assert (await send(exchange, "POST", "/fapi/v1/leverage", key=key, body=form))[0] == 200
        async with aiohttp.ClientSession() as session:
            for path in (
                f"/ws?listenKey={listen_key}&signature=cut-short",
                f"/private/ws/{listen_key}",
                f"/stream?streams=btcusdt@kline_1m/{listen_key}",
            ):
                await (await session.ws_connect(exchange.ws_url + path)).close()
        shown = json.dumps(log := await seen(exchange))
        assert log["count"] == 9
        for word in (key, secret, signature, listen_key, "signature", "cut-short", "apiKey"):
            assert word not in shown
        assert log["requests"][1]["params"] == {"timestamp": query.partition("=")[2]}
        assert log["requests"][-1]["params"] == {"streams": "btcusdt@kline_1m/***"}

    with_exchange(use, api_key=key, api_secret=secret)
    for shown in (ExchangeOptions(api_key=key, api_secret=secret), Credentials(key, secret)):
        assert key not in repr(shown)
        assert secret not in repr(shown)


def test_local_binance_account_bad_options_are_refused_without_showing_a_secret() -> None:
    for balance in ("", "much", "-1", "NaN", "Infinity", "1.123456789", "1e13"):
        with pytest.raises(ConfigError, match="balance"):
            SimulatedAccount([], balance=balance, hedge_mode=True, can_trade=True, opened_ms=0)
    pairs: list[dict[str, Any]] = [
        {"api_key": "short"},
        {"api_secret": "with a space in it"},
        {"api_secret": ""},
    ]
    for pair in pairs:
        with pytest.raises(ConfigError) as caught:
            asyncio.run(start(ExchangeOptions(**pair)))
        assert not any(value and value in str(caught.value) for value in pair.values())


def test_local_binance_account_command_reads_its_keys_from_the_environment_and_hides_them() -> None:
    pair = {"WARMUP_EXCHANGE_API_KEY": "key-by-env", "WARMUP_EXCHANGE_API_SECRET": "secret-by-env"}
    options = ("--one-way", "--no-trading", "--balance", "5")
    with job_process("exchange", "--port", "0", *options, env=pair) as process:
        line = process.stdout.readline()
        url = line.partition("REST ")[2].partition(",")[0]
        query = "recvWindow=60000&timestamp={}"

        async def account() -> tuple[Any, Any]:
            headers = {"X-MBX-APIKEY": "key-by-env"}
            async with aiohttp.ClientSession(headers=headers) as session:
                async with session.get(f"{url}/fapi/v1/time") as response:
                    stamped = query.format((await response.json())["serverTime"])
                answers = []
                for path in (ACCOUNT, MODE):
                    signed = f"{path}?{stamped}&signature={signature_of(stamped, 'secret-by-env')}"
                    async with session.get(url + signed) as response:
                        answers.append(await response.json())
                return answers[0], answers[1]

        report, mode = asyncio.run(account())
        assert (report["canTrade"], report["availableBalance"]) == (False, "5.00000000")
        assert mode == {"dualSidePosition": False}
        process.terminate()
        out, err = process.communicate(timeout=HANG_S)
    assert not any(value in line + out + err for value in pair.values())


# --- ccxt and NautilusTrader ---


@pytest.mark.usefixtures("whole_ccxt")
def test_local_binance_account_accepts_ccxt_only_with_the_secret() -> None:
    async def use(exchange: RunningExchange) -> None:
        import ccxt.async_support as ccxt

        def client(secret: str) -> Any:
            made = ccxt.binance({"apiKey": KEY, "secret": secret})
            made.urls["api"].update(
                private=f"{exchange.url}/api/v3",
                fapiPrivate=f"{exchange.url}/fapi/v1",
                fapiPrivateV2=f"{exchange.url}/fapi/v2",
                fapiPrivateV3=f"{exchange.url}/fapi/v3",
            )
            return made

        owner, stranger = client(SECRET), client("another-secret")
        try:
            account = await owner.fapiPrivateV2GetAccount()
            assert account["availableBalance"] == "10000.00000000"
            assert await owner.fapiPrivateGetPositionSideDual() == {"dualSidePosition": True}
            assert await owner.fapiPrivateV3GetPositionRisk() == []
            assert (await owner.privateGetAccount())["accountType"] == "SPOT"
            # ccxt sends these in the body.
            await owner.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 9})
            (config,) = await owner.fapiPrivateGetSymbolConfig({"symbol": "BTCUSDT"})
            assert config["leverage"] in (9, "9")
            assert len((await owner.fapiPrivatePostListenKey())["listenKey"]) == 64
            with pytest.raises(ccxt.BadRequest, match="Mandatory parameter 'type'"):
                await owner.fapiPrivatePostOrder({"symbol": "BTCUSDT", "side": "BUY"})
            with pytest.raises(ccxt.AuthenticationError):
                await stranger.fapiPrivateV2GetAccount()
            exchange.add_fault("skew=+90s")
            with pytest.raises(ccxt.InvalidNonce):
                await owner.fapiPrivateV2GetAccount()
        finally:
            await owner.close()
            await stranger.close()

    with_exchange(use)


def test_local_binance_account_nautilus_execution_client_connects_and_reconciles(
    tmp_path: Path,
) -> None:
    written = tmp_path / "report.json"
    log = run_as_script(__file__, str(written))
    # The exchange refuses the order on purpose; there may be no other warning.
    complaints = [entry for entry in log if "[WARN]" in entry or "[ERROR]" in entry]
    assert [entry for entry in complaints if "no smaller than 100" not in entry] == []
    assert any("Reconciliation for BINANCE succeeded" in entry for entry in log)
    report = json.loads(written.read_text())
    assert report["state"] == "RUNNING"
    assert report["account"] == "BINANCE-USDT_FUTURES-master"
    assert report["balance"] == "10000 USDT"
    assert report["leverages"] == {"BTCUSDT": 7, "ETHUSDT": 20}
    assert "no smaller than 100" in report["rejected"]
    assert (report["websockets"], report["websockets_left"]) == (1, 0)
    asked = {(request["method"], request["path"]) for request in report["requests"]}
    assert asked >= {
        ("GET", ACCOUNT),
        ("GET", MODE),
        ("GET", "/fapi/v1/symbolConfig"),
        ("GET", "/fapi/v3/positionRisk"),
        ("GET", "/fapi/v1/openOrders"),
        ("GET", "/fapi/v1/openAlgoOrders"),
        ("POST", "/fapi/v1/leverage"),
        ("POST", "/fapi/v1/marginType"),
        ("POST", "/fapi/v1/order"),
        ("POST", LISTEN_KEY),
        ("DELETE", LISTEN_KEY),
    }
    assert {r["status"] for r in report["requests"] if r["path"] != "/fapi/v1/order"} == {101, 200}
    assert not any(word in json.dumps(report["requests"]) for word in (KEY, SECRET, "signature"))


async def meet_nautilus() -> dict[str, Any]:
    """Start a node with Nautilus' execution client, send an order, and stop the node."""
    from nautilus_trader.adapters.binance.common.enums import BinanceAccountType
    from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
    from nautilus_trader.adapters.binance.config import (
        BinanceDataClientConfig,
        BinanceExecClientConfig,
    )
    from nautilus_trader.adapters.binance.factories import (
        BinanceLiveDataClientFactory,
        BinanceLiveExecClientFactory,
    )
    from nautilus_trader.adapters.binance.futures.enums import BinanceFuturesMarginType
    from nautilus_trader.config import (
        InstrumentProviderConfig,
        LiveExecEngineConfig,
        LoggingConfig,
        TradingNodeConfig,
    )
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, PositionId, TraderId, Venue
    from nautilus_trader.trading.strategy import Strategy

    bitcoin, ether = (InstrumentId.from_str(f"{name}USDT-PERP.BINANCE") for name in ("BTC", "ETH"))
    rejected: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class Sender(Strategy):
        def on_start(self) -> None:
            instrument = self.cache.instrument(bitcoin)
            order = self.order_factory.limit(
                bitcoin,
                OrderSide.BUY,
                instrument.make_qty("0.001"),
                instrument.make_price("10000"),
            )
            self.submit_order(order, position_id=PositionId(f"{bitcoin}-LONG"))

        def on_stop(self) -> None:
            self.cancel_all_orders(bitcoin)

        def on_order_rejected(self, event: Any) -> None:
            rejected.set_result(event.reason)

    exchange = await start(ExchangeOptions(seed=7))
    place: dict[str, Any] = {
        "account_type": BinanceAccountType.USDT_FUTURES,
        "api_key": KEY,
        "api_secret": SECRET,
        "base_url_http": exchange.url,
        "base_url_ws": exchange.ws_url,
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    data = BinanceDataClientConfig(**place, update_instruments_interval_mins=None)
    execution = BinanceExecClientConfig(
        **place,
        base_url_ws_stream=f"{exchange.ws_url}/private",
        use_reduce_only=False,
        futures_leverages={BinanceSymbol("BTCUSDT"): 7},
        futures_margin_types={BinanceSymbol("BTCUSDT"): BinanceFuturesMarginType.ISOLATED},
    )
    config = TradingNodeConfig(
        trader_id=TraderId("TESTER-001"),
        logging=LoggingConfig(log_level="INFO", log_colors=False),
        exec_engine=LiveExecEngineConfig(reconciliation=True),
        data_clients={"BINANCE": data},
        exec_clients={"BINANCE": execution},
        timeout_connection=120.0,
        timeout_reconciliation=120.0,
        timeout_portfolio=120.0,
        timeout_disconnection=120.0,
        timeout_post_stop=0.2,
    )
    node = TradingNode(config, loop=asyncio.get_running_loop())
    node.trader.add_strategy(Sender())
    node.add_data_client_factory("BINANCE", BinanceLiveDataClientFactory)
    node.add_exec_client_factory("BINANCE", BinanceLiveExecClientFactory)
    node.build()
    running = asyncio.create_task(node.run_async())
    report: dict[str, Any] = {"rejected": await asyncio.wait_for(rejected, HANG_S)}
    account = node.cache.account_for_venue(Venue("BINANCE"))
    report |= {
        "state": node.trader.state.name,
        "account": str(account.id),
        "balance": f"{account.balance_total(USDT).as_decimal()} USDT",
        "leverages": {
            each.symbol.value.partition("-")[0]: int(account.leverage(each))
            for each in (bitcoin, ether)
        },
        "websockets": (await seen(exchange))["websockets"],
    }
    await node.stop_async()
    await running
    log = await seen(exchange)
    report |= {"websockets_left": log["websockets"], "requests": log["requests"]}
    await exchange.stop()
    return report


if __name__ == "__main__":
    # Not to stdout: NautilusTrader's logger is still writing there.
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(meet_nautilus())))
