"""The user data stream of the local exchange: its events, and what faults do to them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.account_client import UserEvents, summary, with_account

if TYPE_CHECKING:
    from tests.support.account_client import AccountClient

MINUTE_START = 1_780_000_020_000
STANDING: dict[str, Any] = {"now_ms": MINUTE_START + 1_000, "speed": 0.001}
"""Options of an exchange whose clock and prices nearly stand still."""
LOW = 60_000
"""A price at which a buy of the standing market rests."""


async def rest(client: AccountClient, name: str) -> None:
    await client.order("BUY", "LONG", "0.01", price=LOW, newClientOrderId=name)


def new(name: str) -> str:
    return f"ORDER_TRADE_UPDATE {name} NEW"


def test_local_binance_user_data_tells_each_event_once_and_in_order() -> None:
    async def use(client: AccountClient) -> None:
        listen_key = (await client.granted("POST", "v1/listenKey"))["listenKey"]
        base = client.exchange.ws_url
        urls = (
            f"{base}/private/ws?listenKey={listen_key}",
            f"{base}/ws/{listen_key}",
            f"{base}/stream?streams={listen_key}",
        )
        sockets = [await client.session.ws_connect(url) for url in urls]
        await client.order("BUY", "LONG", "0.01", newClientOrderId="E-1")
        stop = await client.stop("SELL", "LONG", LOW, clientAlgoId="S-1")
        await client.granted("DELETE", "v1/algoOrder", algoId=stop["algoId"])
        await client.control("POST", "transfer", "5")
        for socket in sockets:
            seen: list[str] = []
            while not seen or seen[-1] != "ACCOUNT_UPDATE DEPOSIT":
                message = json.loads((await socket.receive()).data)
                seen.append(summary(message.get("data", message)))
            assert seen == [
                "ORDER_TRADE_UPDATE E-1 NEW",
                "ACCOUNT_UPDATE ORDER",
                "ORDER_TRADE_UPDATE E-1 FILLED",
                "ALGO_UPDATE S-1 NEW",
                "ALGO_UPDATE S-1 CANCELED",
                "ACCOUNT_UPDATE DEPOSIT",
            ]
            await socket.close()

    with_account(use, **STANDING)


def test_local_binance_user_data_keeps_nothing_for_those_who_do_not_listen() -> None:
    async def use(client: AccountClient) -> None:
        await rest(client, "E-1")
        async with client.events() as events:
            await rest(client, "E-2")
            assert summary(await events.next()) == new("E-2")
        await rest(client, "E-3")
        async with client.events() as events:
            await rest(client, "E-4")
            assert summary(await events.next()) == new("E-4")

    with_account(use, **STANDING)


def test_local_binance_user_data_mute_loses_events_until_it_is_removed() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.control("POST", "faults", "user-mute")
            await rest(client, "E-1")
            await client.control("DELETE", "faults")
            await rest(client, "E-2")
            assert summary(await events.next()) == new("E-2")
            await client.control("POST", "faults", "user-mute@ORDER_TRADE_UPDATE/BTCUSDT")
            await client.order("BUY", "LONG", "0.01")
            assert summary(await events.next()) == "ACCOUNT_UPDATE ORDER"

    with_account(use, **STANDING)


def test_local_binance_user_data_events_twice_and_swapped() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.control("POST", "faults", "user-double:times=1")
            await rest(client, "E-1")
            await client.control("POST", "faults", "user-swap=5m:times=1")
            for name in ("E-2", "E-3", "E-4"):
                await rest(client, name)
            assert await events.until(new("E-4")) == [
                new(name) for name in ("E-1", "E-1", "E-3", "E-2", "E-4")
            ]
            # Without another event it leaves alone.
            await client.control("POST", "faults", "user-swap=50ms:times=1")
            await rest(client, "E-5")
            assert summary(await events.next()) == new("E-5")

    with_account(use, **STANDING)


def test_local_binance_user_data_late_events_stay_in_order() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.control("POST", "faults", "user-late=300ms:times=1")
            await rest(client, "E-1")
            await rest(client, "E-2")
            # The second one is not late itself, but waits for the first.
            _, log = await client.control("GET", "faults")
            assert log[0]["fired"] == 1
            assert await events.until(new("E-2")) == [new("E-1"), new("E-2")]
            await rest(client, "E-3")
            assert summary(await events.next()) == new("E-3")

    with_account(use, **STANDING)


def test_local_binance_user_data_late_event_is_not_sent_at_once() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.control("POST", "faults", "user-late=1h")
            await rest(client, "E-1")
            market = f"{client.exchange.ws_url}/ws/btcusdt@markPrice@1s"
            async with client.session.ws_connect(market) as other:
                await other.receive()
            waiting = asyncio.ensure_future(events.socket.receive())
            # Another answer on the same websocket overtakes it.
            await events.socket.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            answer = json.loads((await waiting).data)
            assert answer["id"] == 1

    with_account(use, **STANDING)


def test_local_binance_user_data_dropped_websocket_can_be_opened_again_later() -> None:
    async def use(client: AccountClient) -> None:
        market = f"{client.exchange.ws_url}/ws/btcusdt@bookTicker"
        async with client.session.ws_connect(market) as quotes, client.events() as events:
            await client.control("POST", "faults", "user-drop:times=1")
            ended = await events.socket.receive()
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            # Market data goes on: the websocket still answers.
            await quotes.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            while "id" not in json.loads((await quotes.receive()).data):
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with client.events():
                pass
        async with client.events() as events:
            await rest(client, "E-1")
            assert summary(await events.next()) == new("E-1")
            await client.control("POST", "faults", "user-drop=1008:times=0")
            assert (await events.socket.receive()).data == 1008

    with_account(use, **STANDING)


def test_local_binance_user_data_expired_listen_key_ends_the_events() -> None:
    async def use(client: AccountClient) -> None:
        old = (await client.granted("POST", "v1/listenKey"))["listenKey"]
        async with client.events() as events:
            await client.control("POST", "faults", "user-expire")
            expired = await events.next()
            assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", old)
            assert await client.refused("PUT", "v1/listenKey") == (400, -1125)
            async with client.events() as newer:
                await rest(client, "E-1")
                assert summary(await newer.next()) == new("E-1")
            assert (await client.granted("POST", "v1/listenKey"))["listenKey"] != old
            await events.socket.send_str('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            # The old websocket is open, and has had no event since.
            assert (await events.next())["id"] == 1

    with_account(use, **STANDING)


def test_local_binance_user_data_tells_a_changed_leverage() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.granted("POST", "v1/leverage", symbol="BTCUSDT", leverage=7)
            event = await events.next()
            assert (event["e"], event["ac"]) == (
                "ACCOUNT_CONFIG_UPDATE", {"s": "BTCUSDT", "l": 7},
            )  # fmt: skip

    with_account(use, **STANDING)


# --- faults of the matching engine ---


def test_local_binance_user_data_fills_in_small_pieces() -> None:
    async def use(client: AccountClient) -> None:
        async with client.events() as events:
            await client.control("POST", "faults", "pieces=4@BTCUSDT")
            await client.order("BUY", "LONG", "0.02", newClientOrderId="E-1")
            fills = [
                each for each in await events.until("ORDER_TRADE_UPDATE E-1 FILLED")
                if each.startswith("ORDER_TRADE_UPDATE")
            ]  # fmt: skip
            assert fills[1:4] == ["ORDER_TRADE_UPDATE E-1 PARTIALLY_FILLED"] * 3
            await client.control("DELETE", "faults")
            await client.order("BUY", "LONG", "0.002", newClientOrderId="E-2")
            seen = await events.until("ORDER_TRADE_UPDATE E-2 FILLED")
            assert "ORDER_TRADE_UPDATE E-2 PARTIALLY_FILLED" not in seen

    with_account(use, **STANDING)


def test_local_binance_user_data_algo_order_is_rejected_at_its_trigger() -> None:
    async def use(client: AccountClient) -> None:
        await client.control("POST", "faults", "reject-trigger:times=1")
        await client.order("BUY", "LONG", "0.02")
        async with client.events() as events:
            trigger = round(await client.price() - 5, 1)
            for number in range(2):
                await client.stop("SELL", "LONG", trigger, clientAlgoId=f"S-{number}")
            # Within ten minutes the price is there.
            await client.control("POST", "faults", "skew=+10m")
            seen = await read_until_both_end(events)
        assert seen.count("ALGO_UPDATE S-0 REJECTED") + seen.count("ALGO_UPDATE S-1 REJECTED") == 1
        account = await client.account()
        assert [position["quantity"] for position in account["positions"]] == ["0.01"]

    with_account(use, **STANDING)


async def read_until_both_end(events: UserEvents) -> list[str]:
    seen: list[str] = []
    while sum(each.endswith((" REJECTED", " FINISHED")) for each in seen) < 2:
        seen.append(summary(await events.next()))
    return seen
