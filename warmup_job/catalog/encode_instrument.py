"""Encode an instrument from its entry of exchangeInfo, without importing Nautilus.

The result has the bytes that nautilus_trader 1.231.0 writes: its Binance adapter parses the entry,
and its serializer makes the table. That takes 0.7 s and 170 MB to import, for one row. Every rule
here is an allow-list. If an entry is not certain to give the same bytes, there is no result, and
the caller asks Nautilus.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from warmup_job.catalog.audit import INSTRUMENT_CLASSES
from warmup_job.catalog.names import instrument_id_of
from warmup_job.catalog.packed_bars import PackedInstrument
from warmup_job.catalog.rounded_numbers import decimals_of_step, ns_of, rounded
from warmup_job.catalog.symbol_fields import (
    KNOWN_VALUES,
    FilterFields,
    FuturesFields,
    SpotFields,
    log_ignored_values,
    not_tradable,
    without_unknown_values,
)
from warmup_job.market.pages import Market

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDERS = {
    "PERPETUAL": "crypto_perpetual",
    "PERPETUAL_DELIVERING": "crypto_perpetual",
    "TRADIFI_PERPETUAL": "crypto_perpetual",
    "CURRENT_MONTH": "crypto_future",
    "NEXT_MONTH": "crypto_future",
    "CURRENT_QUARTER": "crypto_future",
    "NEXT_QUARTER": "crypto_future",
    "CURRENT_QUARTER DELIVERING": "crypto_future",
}
"""By Binance's contract type."""
_ASSET = re.compile(r"[A-Z0-9\u4e00-\u9fff]{1,40}")  # some of Binance's assets are Chinese words
_DELIVERY = re.compile(r"_[0-9]{6}$")
_MAX_PRECISION = 16
_SPOT_PRICE_MAX = "4294967296"  # the adapter's limit, for spot only
_FUTURES_FEES = {"maker_fee": "0.000200", "taker_fee": "0.000500"}  # tier 0, as without an account

_COLUMNS = {
    "id": "names64", "raw_symbol": "text", "base_currency": "names", "underlying": "names",
    "quote_currency": "names", "settlement_currency": "names", "is_inverse": "bool",
    "activation_ns": "uint64", "expiration_ns": "uint64",
    "price_precision": "uint8", "size_precision": "uint8",
    "price_increment": "names", "size_increment": "names", "multiplier": "names",
    "lot_size": "names", "max_quantity": "names", "min_quantity": "names",
    "max_notional": "names", "min_notional": "names", "max_price": "names", "min_price": "names",
    "margin_init": "text", "margin_maint": "text", "maker_fee": "text", "taker_fee": "text",
    "info": "binary", "ts_event": "uint64", "ts_init": "uint64",
}  # fmt: skip
"""The columns in the order of Nautilus' schemas; each kind of instrument has some of them."""


class EncodedInstrument(msgspec.Struct, frozen=True):
    """An instrument as Nautilus would write it, with ts_event and ts_init 0."""

    packed: PackedInstrument
    price_precision: int
    """Decimals of its prices."""
    size_precision: int
    """Decimals of its sizes."""
    values_digest: str
    """The sha256 that `nautilus_catalog.values_digest` gives, in hex."""


def encode_instrument(market: Market, entry: Mapping[str, Any]) -> EncodedInstrument | None:
    """Encode the instrument of one raw entry of exchangeInfo.

    Args:
        market: the market of the symbol.
        entry: the raw entry.

    Returns:
        None: it is not certain that Nautilus would write these bytes.

    Raises:
        RefusedError: the symbol cannot be traded now, as `parse_instrument` says too.
    """
    known, shortened = without_unknown_values(entry, KNOWN_VALUES)
    try:
        if market == "um":
            futures = msgspec.convert(known, FuturesFields)
            if not futures.contract_type or futures.status == "PENDING_TRADING":
                raise not_tradable(entry)
            values = _futures_values(futures)
        else:
            values = _spot_values(msgspec.convert(known, SpotFields))
        encoded = None if values is None else _encoded(values)
    except (ValueError, TypeError, OverflowError):  # the fields or their JSON
        return None
    if encoded is not None:
        log_ignored_values(entry.get("symbol"), shortened)
    return encoded


def _futures_values(fields: FuturesFields) -> dict[str, Any] | None:
    """Return what `to_dict` of the adapter's instrument returns; None: not certain."""
    folder = _FOLDERS.get(fields.contract_type)
    common = _common_values(
        "um", fields.symbol, fields.base_asset, fields.quote_asset,
        (fields.base_asset_precision, fields.quote_precision), fields.filters,
    )  # fmt: skip
    if folder is None or common is None:
        return None
    if fields.margin_asset not in {fields.base_asset, fields.quote_asset}:
        return None
    filters = {each.filter_type: each for each in fields.filters}
    common |= _FUTURES_FEES
    common |= {
        "settlement_currency": fields.margin_asset,
        "is_inverse": False,
        "lot_size": "1",
        "max_price": rounded(filters["PRICE_FILTER"].max_price, common["price_precision"]),
        "margin_init": "1",
        "margin_maint": "1",
        "info": fields,
    }
    least = filters.get("MIN_NOTIONAL")
    if least is not None:
        common["min_notional"] = _money(least.notional, fields.quote_asset, fields.quote_precision)
        if common["min_notional"] is None:
            return None
    if folder == "crypto_future":
        common["underlying"] = common.pop("base_currency")
        common["activation_ns"] = ns_of(fields.onboard_date)
        common["expiration_ns"] = ns_of(fields.delivery_date)
        if common["activation_ns"] is None or common["expiration_ns"] is None:
            return None
    return _complete(common | {"type": INSTRUMENT_CLASSES[folder]})


def _spot_values(fields: SpotFields) -> dict[str, Any] | None:
    common = _common_values(
        "spot", fields.symbol, fields.base_asset, fields.quote_asset,
        (fields.base_asset_precision, fields.quote_asset_precision), fields.filters,
    )  # fmt: skip
    if common is None:
        return None
    filters = {each.filter_type: each for each in fields.filters}
    highest = filters["PRICE_FILTER"].max_price
    if rounded(highest, 0) is not None and float(highest or "") > float(_SPOT_PRICE_MAX):
        highest = _SPOT_PRICE_MAX
    common |= {
        "type": "CurrencyPair",
        "lot_size": common["size_increment"],
        "max_price": rounded(highest, common["price_precision"]),
        "margin_init": "0",
        "margin_maint": "0",
        "maker_fee": "0",
        "taker_fee": "0",
        "info": fields,
    }
    money = (fields.quote_asset, fields.quote_asset_precision)
    if "MIN_NOTIONAL" in filters:
        limits = {"min_notional": _money(filters["MIN_NOTIONAL"].min_notional, *money)}
    elif "NOTIONAL" in filters:
        limits = {
            "max_notional": _money(filters["NOTIONAL"].max_notional, *money),
            "min_notional": _money(filters["NOTIONAL"].min_notional, *money),
        }
        if not _is_positive(limits["max_notional"]):
            return None
    else:
        limits = {}
    return None if None in limits.values() else _complete(common | limits)


def _common_values(
    market: Market,
    symbol: str,
    base: str,
    quote: str,
    currency_precisions: tuple[int, int],
    filters: list[FilterFields],
) -> dict[str, Any] | None:
    """Return the values that all kinds of instruments have; None: not certain."""
    by_type = {each.filter_type: each for each in filters}
    price, size = by_type.get("PRICE_FILTER"), by_type.get("LOT_SIZE")
    pair = _DELIVERY.sub("", symbol) if market == "um" else symbol
    if not all(map(_ASSET.fullmatch, (pair, base, quote))) or price is None or size is None:
        return None
    if not all(0 <= each <= _MAX_PRECISION for each in currency_precisions):
        return None
    price_precision = decimals_of_step(price.tick_size)
    size_precision = decimals_of_step(size.step_size)
    if price_precision is None or size_precision is None:
        return None
    return {
        "id": instrument_id_of(market, symbol),
        "raw_symbol": symbol,
        "base_currency": base,
        "quote_currency": quote,
        "price_precision": price_precision,
        "price_increment": price.tick_size,
        "size_precision": size_precision,
        "size_increment": size.step_size,
        "multiplier": "1",
        "max_quantity": rounded(size.max_qty, size_precision),
        "min_quantity": rounded(size.min_qty, size_precision),
        "max_notional": None,
        "min_notional": None,
        "min_price": rounded(price.min_price, price_precision),
        "ts_event": 0,
        "ts_init": 0,
        "tick_scheme_name": None,
    }


def _complete(values: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values if Nautilus accepts them; None: not certain."""
    lowest_fit = None not in (values["min_quantity"], values["min_price"])
    highest_fit = _is_positive(values["max_quantity"]) and _is_positive(values["max_price"])
    return values if lowest_fit and highest_fit else None


def _money(number: str | None, code: str, precision: int) -> str | None:
    amount = rounded(number, precision)
    return None if amount is None else f"{amount} {code}"


def _is_positive(text: str | None) -> bool:
    return text is not None and any(digit in "123456789" for digit in text.partition(" ")[0])


def _encoded(values: dict[str, Any]) -> EncodedInstrument:
    timeless = {name: each for name, each in values.items() if name not in {"ts_event", "ts_init"}}
    folders = {name: folder for folder, name in INSTRUMENT_CLASSES.items()}
    return EncodedInstrument(
        PackedInstrument(f"{folders[values['type']]}/{values['id']}", _table(values)),
        values["price_precision"],
        values["size_precision"],
        hashlib.sha256(msgspec.json.encode(timeless, order="sorted")).hexdigest(),
    )


def _table(values: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    row = values | {"info": msgspec.json.encode(values["info"])}
    columns = {name: _column(row[name], kind) for name, kind in _COLUMNS.items() if name in row}
    return pa.table(columns, metadata={"class": values["type"]})


# Not by pa.array(): it imports pandas (0.2 s) to see whether the values are one of its types.
def _column(value: Any, kind: str) -> pa.Array:  # noqa: ANN401  # of the column's type
    import pyarrow as pa

    if kind in {"names", "names64"}:
        index = pa.int64() if kind == "names64" else pa.int16()
        valid = None if value is not None else pa.py_buffer(b"\x00")
        zero = pa.py_buffer(bytes(index.bit_width // 8))
        names = _texts(pa.string(), [] if value is None else [value.encode()])
        return pa.DictionaryArray.from_arrays(pa.Array.from_buffers(index, 1, [valid, zero]), names)
    if kind == "text":
        return _texts(pa.string(), [value.encode()])
    if kind == "binary":
        return _texts(pa.binary(), [value])
    code, dtype = {
        "bool": ("B", pa.bool_()), "uint8": ("B", pa.uint8()), "uint64": ("Q", pa.uint64())
    }[kind]  # fmt: skip
    return pa.Array.from_buffers(dtype, 1, [None, pa.py_buffer(array(code, [value]))])


def _texts(dtype: pa.DataType, values: list[bytes]) -> pa.Array:
    import pyarrow as pa

    ends = array("i", [0, *map(len, values)])  # of one value at most
    return pa.Array.from_buffers(
        dtype, len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    )
