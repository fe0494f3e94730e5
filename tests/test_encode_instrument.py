"""Instruments encoded without Nautilus have the bytes that Nautilus' parser and writer give."""

from __future__ import annotations

import copy
import enum
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import inspect
from nautilus_trader.adapters.binance.common.enums import (
    BinanceOrderType,
    BinanceSymbolFilterType,
    BinanceTimeInForce,
)
from nautilus_trader.adapters.binance.futures.schemas.market import BinanceFuturesSymbolInfo
from nautilus_trader.adapters.binance.spot.schemas.market import BinanceSpotSymbolInfo
from nautilus_trader.core.datetime import millis_to_nanos
from nautilus_trader.model.enums import CurrencyType
from nautilus_trader.model.instruments import CryptoFuture, CryptoPerpetual, CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.serialization.arrow.implementations.instruments import SCHEMAS

from tests.support.recordings import RECORDINGS
from tests.support.suite import REPO
from warmup_job.catalog.encode_instrument import encode_instrument
from warmup_job.catalog.installed_nautilus import NAUTILUS_VERSION, nautilus_version
from warmup_job.catalog.instruments import parse_instrument
from warmup_job.catalog.nautilus_catalog import make_encoded
from warmup_job.catalog.packed_bars import write_instrument
from warmup_job.catalog.rounded_numbers import decimals_of_step, ns_of, rounded
from warmup_job.catalog.symbol_fields import KNOWN_VALUES, FuturesFields, SpotFields
from warmup_job.errors import RefusedError
from warmup_job.local_binance.faults.distortion import with_unknown_values
from warmup_job.local_binance.prices.symbols import default_symbols
from warmup_job.market.pages import Market

AT_NS = 1_780_000_000_123_000_000
Entry = dict[str, Any]
LISTED: dict[tuple[Market, str], Entry] = {
    (each.market, each.name): each.info() for each in default_symbols()
}
UM, SPOT = LISTED["um", "BTCUSDT"], LISTED["spot", "BTCUSDT"]


def with_prices_up_to(highest: str) -> list[Entry]:
    """Return BTCUSDT's spot filters with another highest price; Nautilus caps it at 2³²."""
    return [
        each | {"maxPrice": highest} if each["filterType"] == "PRICE_FILTER" else each
        for each in SPOT["filters"]
    ]


def recorded_entries() -> Iterator[tuple[str, Entry]]:
    for path in sorted((RECORDINGS / "um").glob("exchangeInfo-*.json")):
        for entry in json.loads(path.read_text())["symbols"]:
            yield f"{path.stem.split('-')[1]}-{entry['symbol']}", entry


RECORDED = dict(recorded_entries())


def ours(folder: Path, market: Market, entry: Mapping[str, Any]) -> dict[str, bytes] | None:
    """Return what `write_instrument` writes for our encoder, by file; None: it is not certain."""

    @contextmanager
    def create(name: str) -> Iterator[BinaryIO]:
        (folder / name).parent.mkdir(parents=True)
        with (folder / name).open("xb") as file:
            yield file

    encoded = encode_instrument(market, entry)
    if encoded is None:
        return None
    write_instrument(create, encoded.packed, AT_NS)
    return files(folder)


def theirs(folder: Path, market: Market, entry: Entry) -> dict[str, bytes]:
    """Return what Nautilus' own writer writes for its own parser's instrument, by file."""
    ParquetDataCatalog(folder).write_data([parse_instrument(market, entry, AT_NS)])
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_same(market: Market, entry: Entry, *, must: bool) -> None:
    """Check that both ways agree: the same table, digest, precisions, or the same refusal.

    Args:
        market: the market.
        entry: the raw entry.
        must: whether our encoder has to be certain.
    """
    before = copy.deepcopy(entry)
    try:
        encoded = encode_instrument(market, entry)
    except RefusedError as error:
        with pytest.raises(RefusedError, match=re.escape(str(error))):
            make_encoded(market, entry)
        return
    assert entry == before
    assert encoded is not None or not must
    if encoded is not None:
        made = make_encoded(market, entry)
        assert encoded.packed.folder == made.packed.folder
        assert encoded.packed.table.schema.equals(made.packed.table.schema, check_metadata=True)
        assert encoded.packed.table.to_pylist() == made.packed.table.to_pylist()
        for name in ("price_precision", "size_precision", "values_digest"):
            assert getattr(encoded, name) == getattr(made, name)


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("name", RECORDED)
def test_encode_instrument_recorded_symbol_has_the_bytes_of_write_data(
    tmp_path: Path, name: str
) -> None:
    entry = RECORDED[name]
    assert_same("um", entry, must=True)
    if entry["contractType"] and entry["status"] != "PENDING_TRADING":
        written = ours(tmp_path / "ours", "um", entry)
        assert written == theirs(tmp_path / "theirs", "um", entry)


@pytest.mark.parametrize(("market", "symbol"), LISTED)
def test_encode_instrument_symbol_of_the_local_exchange_has_the_bytes_of_write_data(
    tmp_path: Path, market: Market, symbol: str
) -> None:
    entry = LISTED[market, symbol]
    assert_same(market, entry, must=True)
    written = ours(tmp_path / "ours", market, entry)
    assert written == theirs(tmp_path / "theirs", market, entry)


@pytest.mark.parametrize(
    ("market", "change"),
    [
        ("um", {"symbol": "币安人生USDT", "baseAsset": "币安人生"}),
        ("um", {"contractType": "TRADIFI_PERPETUAL", "underlyingSubType": ["TradFi"]}),
        ("um", {"contractType": "CURRENT_QUARTER DELIVERING", "symbol": "BTCUSDT_261225"}),
        ("um", {"permissionSets": ["GRID", "COPY"], "maxMoveOrderLimit": 10000}),
        ("um", {"marginAsset": "BTC"}),
        ("um", {"status": "SETTLING"}),
        ("spot", {"status": "BREAK", "permissions": ["SPOT"]}),
        ("spot", {"amendAllowed": True, "opoAllowed": True, "pegInstructionsAllowed": True}),
        ("spot", {"quoteAsset": "JPY", "quoteAssetPrecision": 2}),
        ("spot", {"filters": with_prices_up_to("4294967295.00000000")}),
        ("spot", {"filters": with_prices_up_to("4294967297.00000000")}),
    ],
)
def test_encode_instrument_other_kinds_of_entries(
    tmp_path: Path, market: Market, change: Entry
) -> None:
    entry = LISTED[market, "BTCUSDT"] | change
    written = ours(tmp_path / "ours", market, entry)
    assert written is not None
    assert written == theirs(tmp_path / "theirs", market, entry)


# -- hundreds of entries that Binance could send --------------------------------------------------


def decimal_text(most: int, decimals: int) -> st.SearchStrategy[str]:
    """Return texts of decimals, padded with zeros or not, as Binance sends both."""
    numbers = st.integers(0, most * 10**decimals)
    padding = st.sampled_from([0, 0, 2, 8 - decimals if decimals < 8 else 0])
    return st.builds(lambda number, zeros: printed(number, decimals, zeros), numbers, padding)


def printed(number: int, decimals: int, zeros: int) -> str:
    digits = str(number).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    fraction += "0" * zeros
    return f"{whole}.{fraction}" if fraction else whole


STEPS = st.builds(
    printed,
    st.sampled_from([1, 1, 1, 2, 5, 10, 25, 100]),
    st.integers(0, 8),
    st.integers(0, 2),
)
LIMITS = st.integers(0, 8).flatmap(lambda decimals: decimal_text(10**11, decimals))
POSITIVE = LIMITS.filter(lambda text: float(text) >= 100)
ASSETS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=12)


@st.composite
def futures_entries(draw: st.DrawFn) -> Entry:
    base, quote = draw(ASSETS), draw(st.sampled_from(["USDT", "USDC", "BTC", "USD1"]))
    delivery = draw(st.sampled_from(["", "_261225"]))
    kinds = ["CURRENT_QUARTER", "NEXT_QUARTER", "CURRENT_MONTH", "NEXT_MONTH"]
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": draw(STEPS), "minPrice": draw(LIMITS),
         "maxPrice": draw(POSITIVE)},
        {"filterType": "LOT_SIZE", "stepSize": draw(STEPS), "minQty": draw(LIMITS),
         "maxQty": draw(POSITIVE)},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": draw(STEPS), "minQty": "0.001",
         "maxQty": "120"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
         "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]  # fmt: skip
    if draw(st.booleans()):
        filters.append({"filterType": "MIN_NOTIONAL", "notional": draw(LIMITS)})
    return UM | {
        "symbol": f"{base}{quote}{delivery}",
        "contractType": draw(st.sampled_from(kinds if delivery else ["PERPETUAL"])),
        "status": draw(st.sampled_from(["TRADING", "SETTLING", "PRE_SETTLE", "CLOSE"])),
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": draw(st.sampled_from([base, quote])),
        "baseAssetPrecision": draw(st.integers(0, 16)),
        "quotePrecision": draw(st.integers(0, 8)),
        "pricePrecision": draw(st.integers(0, 16)),
        "onboardDate": draw(st.integers(1_500_000_000_000, 1_900_000_000_000)),
        "deliveryDate": draw(st.integers(1_500_000_000_000, 4_133_404_800_000)),
        "underlyingSubType": draw(st.lists(st.text(st.characters(codec="utf-8")), max_size=2)),
        "filters": draw(st.permutations(filters)),
    }


@st.composite
def spot_entries(draw: st.DrawFn) -> Entry:
    base, quote = draw(ASSETS), draw(st.sampled_from(["USDT", "BTC", "TRY", "USD1"]))
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": draw(STEPS), "minPrice": draw(LIMITS),
         "maxPrice": draw(POSITIVE)},
        {"filterType": "LOT_SIZE", "stepSize": draw(STEPS), "minQty": draw(LIMITS),
         "maxQty": draw(POSITIVE)},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        {"filterType": "MAX_POSITION", "maxPosition": "10.00000000"},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10},
    ]  # fmt: skip
    notional = {
        "filterType": "NOTIONAL", "minNotional": draw(LIMITS), "applyMinToMarket": True,
        "maxNotional": draw(POSITIVE), "applyMaxToMarket": False, "avgPriceMins": 5,
    }  # fmt: skip
    least = {"filterType": "MIN_NOTIONAL", "minNotional": draw(LIMITS), "applyToMarket": True}
    filters += draw(st.sampled_from([[], [notional], [least], [least, notional]]))
    return SPOT | {
        "symbol": f"{base}{quote}",
        "status": draw(st.sampled_from(["TRADING", "BREAK", "HALT"])),
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": draw(st.integers(0, 16)),
        "quoteAssetPrecision": draw(st.integers(0, 8)),
        "permissions": draw(st.lists(st.text(st.characters(codec="utf-8")), max_size=2)),
        "filters": draw(st.permutations(filters)),
    }


@given(futures_entries())
def test_encode_instrument_is_certain_of_every_plausible_futures_entry(entry: Entry) -> None:
    assert_same("um", entry, must=True)


@given(spot_entries())
def test_encode_instrument_is_certain_of_every_plausible_spot_entry(entry: Entry) -> None:
    assert_same("spot", entry, must=True)


# -- entries that no one expects ------------------------------------------------------------------

ODD_TEXTS = [
    "", "0", "-0", "-1", "+1", "1.", ".5", "1e3", "1E-8", "1_000", " 1", "1 ", "1\n", "00.1", "NaN",
    "Infinity", "inf", "١", "1.00000000000000000", "0.0000000000000001", "9999999999999.9",
    "10000000000000", "17014118346046", "34028236692094", "4294967296", "4294967296.1",
    "0.49999999999999994", "0.5", "1.005", "BTCUSDT_PERP", "btcusdt", "BTC USDT", "BTC/USDT",
    "USDT", "XUSDT_", "_241227", "PERPETUAL", "CURRENT_QUARTER", "PENDING_TRADING", "NOVEL",
    "\ud800", "é", "币", "\x00",
]  # fmt: skip
ODD = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.from_regex(r"[0-9]{1,14}(\.[0-9]{1,18})?", fullmatch=True),
    st.none(), st.booleans(), st.floats(), st.integers(), st.integers(-1, 20),
    st.sampled_from([2**53, 2**63, 2**64, 10**30, -1, 255, 256, 1.0, 8.0, 8.5]),
    st.just([]), st.just({}), st.just([[]]), st.just(["NOVEL", "LIMIT", 1, None, {}]),
    st.text(max_size=3),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, entries: st.SearchStrategy[Entry]) -> Entry:
    """Return an entry in which up to three places hold another value, are missing or are new."""
    entry = copy.deepcopy(draw(entries))
    for _ in range(draw(st.integers(1, 3))):
        filters = [each for each in entry.get("filters") or [] if isinstance(each, dict)]
        where = draw(st.sampled_from([entry, *filters]))
        names = st.sampled_from(sorted(where, key=str)) if where else st.just("novel")
        name = draw(st.one_of(names, st.text(max_size=3)))
        if draw(st.booleans()):
            where[name] = draw(ODD)
        else:
            where.pop(name, None)
    if isinstance(entry.get("filters"), list) and draw(st.booleans()):
        entry["filters"].append(draw(st.one_of(ODD, st.sampled_from(entry["filters"] or [{}]))))
    return entry


@given(mutated(futures_entries()))
@example(with_unknown_values(UM))
def test_encode_instrument_is_right_or_not_certain_of_an_odd_futures_entry(entry: Entry) -> None:
    assert_same("um", entry, must=False)


@given(mutated(spot_entries()))
@example(with_unknown_values(SPOT))
def test_encode_instrument_is_right_or_not_certain_of_an_odd_spot_entry(entry: Entry) -> None:
    assert_same("spot", entry, must=False)


@pytest.mark.parametrize(
    "change",
    [
        {"contractType": "NOVEL"},
        {"status": "NOVEL"},
        {"marginAsset": "BNB"},
        {"pricePrecision": "2"},
        {"quotePrecision": 17},
        {"symbol": "BTCUSDT_PERP"},
        {"symbol": "BTC-USDT"},
        {"filters": UM["filters"][1:]},
        {"filters": None},
        {"deliveryDate": 1.5},
    ],
)
def test_encode_instrument_is_not_certain_of(change: Entry) -> None:
    assert encode_instrument("um", UM | change) is None


# -- what the encoder repeats of Nautilus ---------------------------------------------------------


@given(
    st.one_of(
        st.integers(0, 16).flatmap(lambda decimals: decimal_text(10**13, decimals)),
        st.sampled_from(ODD_TEXTS),
    ),
    st.integers(0, 16),
)
def test_rounded_numbers_are_those_of_nautilus(text: str, precision: int) -> None:
    printed_text = rounded(text, precision)
    if printed_text is not None:
        currency = Currency("X", precision, 0, "X", CurrencyType.CRYPTO)
        assert printed_text == str(Price(float(text), precision))
        assert printed_text == str(Quantity(float(text), precision))
        assert f"{printed_text} X" == str(Money(text, currency))
    decimals = decimals_of_step(text)
    if decimals is not None:
        assert (str(Price.from_str(text)), Price.from_str(text).precision) == (text, decimals)
        assert (str(Quantity.from_str(text)), Quantity.from_str(text).precision) == (text, decimals)


@given(st.integers(-(2**65), 2**65) | st.integers(0, 2**43))
def test_rounded_numbers_times_are_those_of_nautilus(at_ms: int) -> None:
    at_ns = ns_of(at_ms)
    assert at_ns is None or at_ns == millis_to_nanos(at_ms)


def described(kind: inspect.Type) -> object:
    """Describe a type for msgspec; an enum and the Literal of its values are the same."""
    match kind:
        case inspect.StructType(fields=fields):
            return [
                (each.encode_name, each.required, each.default, described(each.type))
                for each in fields
            ]
        case inspect.EnumType(cls=cls):
            return ("values", {each.value for each in cls})
        case inspect.LiteralType(values=values):
            return ("values", set(values))
        case inspect.ListType(item_type=item):
            return ("list", described(item))
        case inspect.UnionType(types=types):
            return ("union", [described(each) for each in types])
        case _:
            return kind


@pytest.mark.parametrize(
    ("own", "of_nautilus"),
    [(FuturesFields, BinanceFuturesSymbolInfo), (SpotFields, BinanceSpotSymbolInfo)],
)
def test_symbol_fields_are_those_of_nautilus(
    own: type[msgspec.Struct], of_nautilus: type[msgspec.Struct]
) -> None:
    assert described(inspect.type_info(own)) == described(inspect.type_info(of_nautilus))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("orderTypes", BinanceOrderType),
        ("timeInForce", BinanceTimeInForce),
        ("filters", BinanceSymbolFilterType),
    ],
)
def test_symbol_fields_known_values_are_those_of_nautilus(
    name: str, values: type[enum.Enum]
) -> None:
    assert KNOWN_VALUES[name] == {each.value for each in values}


@pytest.mark.parametrize(
    ("kind", "entry"),
    [(CryptoPerpetual, UM), (CryptoFuture, UM | {"contractType": "NEXT_QUARTER"})],
)
def test_encode_instrument_futures_columns_are_those_of_nautilus(kind: type, entry: Entry) -> None:
    encoded = encode_instrument("um", entry)
    assert encoded is not None
    assert encoded.packed.table.schema.equals(SCHEMAS[kind])


def test_encode_instrument_spot_columns_are_those_of_nautilus() -> None:
    encoded = encode_instrument("spot", SPOT)
    assert encoded is not None
    assert encoded.packed.table.schema.equals(SCHEMAS[CurrencyPair])


def test_nautilus_version_is_the_pinned_one() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert f"nautilus_trader=={NAUTILUS_VERSION}" in project["dependencies"]
    assert nautilus_version() == NAUTILUS_VERSION
