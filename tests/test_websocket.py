"""Which websocket messages are valid, and when a stream counts as received."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmup_job.handoff.live_bars.websocket_messages import check_message
from warmup_job.handoff.live_bars.websocket_silence import Heard, Reminder

OPEN_MS = 1_700_000_040_000
KLINE: dict[str, Any] = {
    "t": OPEN_MS, "T": OPEN_MS + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9, "o": "100.0",
    "c": "101.0", "h": "102.0", "l": "99.0", "v": "5.0", "n": 9, "x": True, "q": "500.0",
    "V": "2.0", "Q": "200.0", "B": "0",
}  # fmt: skip
QUOTE = {"u": 1, "s": "BTCUSDT", "b": "100.0", "B": "1", "a": "100.1", "A": "2"}


def kline(stream: str = "btcusdt@kline_1m", **changes: Any) -> bytes:
    event = {"e": "kline", "E": OPEN_MS + 60_000, "s": "BTCUSDT", "k": KLINE | changes}
    return json.dumps({"stream": stream, "data": event}).encode()


def quote(stream: str = "btcusdt@bookTicker", **changes: Any) -> bytes:
    return json.dumps({"stream": stream, "data": QUOTE | changes}).encode()


def test_websocket_valid_message_gives_its_stream_and_event_time() -> None:
    assert check_message(kline()) == ("btcusdt@kline_1m", OPEN_MS + 60_000)
    assert check_message(kline(x=False)) == ("btcusdt@kline_1m", OPEN_MS + 60_000)
    assert check_message(quote()) == ("btcusdt@bookTicker", None)  # spot's messages have no time
    assert check_message(quote(E=5)) == ("btcusdt@bookTicker", 5)
    assert check_message(b'{"result":null,"id":1}') == ("", None)
    trade = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":7}}'
    assert check_message(trade) == ("btcusdt@aggTrade", 7)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"<html>",
        b'{"stream":',
        b'{"stream":5,"data":{}}',
        b'{"stream":"btcusdt@kline_1m","data":{}}',
        kline(o="NaN"),
        kline(h="1e999"),
        kline(h="9" * 30),
        kline(l="-1"),
        kline(l="0"),
        kline(l="100.5"),  # above the open
        kline(h="100.5"),  # below the close
        kline(t=OPEN_MS + 1),
        kline(T=OPEN_MS + 60_000),
        kline(T=0),
        kline(t=-1),
        kline(i="2m"),
        kline(i="5m"),
        kline(s="ETHUSDT"),
        kline(stream="ethusdt@kline_1m"),
        kline(t=10**30),
        quote(b="NaN"),
        quote(a="Infinity"),
        quote(b="-1"),
        quote(b="0"),
        quote(b="100.2"),  # above the ask
        quote(s="ETHUSDT"),
        quote(stream="ethusdt@bookTicker"),
        quote(B=None),
    ],
)
def test_websocket_impossible_message_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_message(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
def test_websocket_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        stream, event_ms = check_message(raw)
    except ValueError:
        return
    assert isinstance(stream, str)
    assert event_ms is None or isinstance(event_ms, int)


@given(st.dictionaries(st.sampled_from(list(KLINE)), JSON, min_size=1, max_size=3))
def test_websocket_any_field_of_a_kline_is_read_or_refused(changes: dict[str, Any]) -> None:
    raw = kline(**changes)
    try:
        check_message(raw)
    except ValueError:
        return
    made = KLINE | changes
    if made["x"] is True:
        low, high = float(made["l"]), float(made["h"])
        assert 0 < low <= float(made["o"]) <= high
        assert low <= float(made["c"]) <= high
        assert made["t"] % 60_000 == 0


def test_websocket_stream_counts_as_received_until_its_connection_is_lost() -> None:
    heard = Heard(10)
    assert heard.silent_s("a", 5) is None
    assert [heard.note("a", 5), heard.note("a", 6)] == [True, False]
    there = [heard.has("a")]
    assert heard.lose(["a", "b"], 7)
    there.append(heard.has("a"))
    assert there == [True, False]
    assert heard.silent_s("a", 9) == 2
    assert heard.note("a", 10)
    assert heard.silent_s("a", 11) == 1


def test_websocket_silence_is_counted_from_the_last_message_or_the_loss() -> None:
    heard = Heard(10)
    heard.note("a", 0)
    assert not heard.is_silent("a", 10)
    assert heard.is_silent("a", 10.1)
    heard.lose(["a"], 20)
    heard.lose(["a"], 25)  # the connection is still lost
    assert not heard.is_silent("a", 30)
    assert heard.is_silent("a", 30.1)
    assert not heard.is_silent("never", 1000)


def test_websocket_lasting_silence_is_logged_at_once_and_every_15_s() -> None:
    reminder = Reminder(15)
    spans = [None, 10.5, 11, 25, 25.5, 40, 40.5, 41, None, 10.5]
    assert [reminder.is_due(span) for span in spans] == [
        False, True, False, False, True, False, True, False, False, True,
    ]  # fmt: skip
