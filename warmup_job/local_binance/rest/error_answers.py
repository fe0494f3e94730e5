"""Binance's error answers.

Codes: https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
"""

from __future__ import annotations


class ErrorAnswer(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """An error answer in Binance's words: an HTTP status and ``{"code": …, "msg": …}``."""

    def __init__(
        self, status: int, code: int, message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        """The Retry-After header, seconds; None: there is none."""


def missing(parameter: str) -> ErrorAnswer:
    """Return −1102: a mandatory parameter is missing or empty."""
    return ErrorAnswer(
        400, -1102, f"Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."
    )


def illegal_characters(parameter: str, legal: str) -> ErrorAnswer:
    """Return −1100: a parameter has illegal characters."""
    return ErrorAnswer(
        400,
        -1100,
        f"Illegal characters found in parameter '{parameter}'; legal range is '{legal}'.",
    )


def invalid_symbol() -> ErrorAnswer:
    """Return −1121: the market does not list the symbol."""
    return ErrorAnswer(400, -1121, "Invalid symbol.")


def invalid_interval() -> ErrorAnswer:
    """Return −1120: the interval is unknown, or the symbol has no klines of it."""
    return ErrorAnswer(400, -1120, "Invalid interval.")


def invalid_value(parameter: str) -> ErrorAnswer:
    """Return −1130: a parameter is out of range."""
    return ErrorAnswer(400, -1130, f"Data sent for parameter '{parameter}' is not valid.")


def start_after_end() -> ErrorAnswer:
    """Return −1023: the time window ends before it starts (futures; spot answers with [])."""
    return ErrorAnswer(400, -1023, "Start time is greater than end time.")


def malformed_key() -> ErrorAnswer:
    """Return −2014: the key is missing or malformed."""
    return ErrorAnswer(401, -2014, "API-key format invalid.")


def unknown_key() -> ErrorAnswer:
    """Return −2015: the key is unknown."""
    return ErrorAnswer(401, -2015, "Invalid API-key, IP, or permissions for action.")


def key_cannot_log_on() -> ErrorAnswer:
    """Return −4056: only an Ed25519 key can log on to the websocket API."""
    return ErrorAnswer(400, -4056, "HMAC_SHA256 API key is not supported.")


def malformed_request() -> ErrorAnswer:
    """Return −1135: a message to the websocket API is not a JSON request."""
    return ErrorAnswer(400, -1135, "Invalid JSON request.")


def unknown_method() -> ErrorAnswer:
    """Return −1000: the websocket API does not have the method."""
    return ErrorAnswer(400, -1000, "Unknown method.")


def wrong_signature() -> ErrorAnswer:
    """Return −1022: the signature does not match the request."""
    return ErrorAnswer(400, -1022, "Signature for this request is not valid.")


def outside_receive_window() -> ErrorAnswer:
    """Return −1021: the request is older than recvWindow."""
    return ErrorAnswer(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_the_clock() -> ErrorAnswer:
    """Return −1021: the request's timestamp is at least 1000 ms ahead."""
    return ErrorAnswer(
        400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."
    )


def receive_window_too_long() -> ErrorAnswer:
    """Return −1131: recvWindow is longer than 60,000 ms."""
    return ErrorAnswer(400, -1131, "'recvWindow' must be less than 60000.")


def no_listen_key() -> ErrorAnswer:
    """Return −1125: no listen key is valid."""
    return ErrorAnswer(400, -1125, "This listenKey does not exist.")


def backend_timeout() -> ErrorAnswer:
    """Return −1007: the request may have had its effect."""
    return ErrorAnswer(
        408,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status "
        "unknown.",
    )


def unknown_error() -> ErrorAnswer:
    """Return the 503 after which a request may have had its effect."""
    return ErrorAnswer(503, -1000, "Unknown error, please check your request or try again later.")


def overloaded() -> ErrorAnswer:
    """Return −1008: the request had no effect, because the exchange is overloaded."""
    return ErrorAnswer(
        503,
        -1008,
        "Request throttled by system-level protection. Reduce-only/close-position orders are "
        "exempt. Please try again.",
    )


def not_required(parameter: str) -> ErrorAnswer:
    """Return −1106: a parameter does not go with the others."""
    return ErrorAnswer(400, -1106, f"Parameter '{parameter}' sent when not required.")


def neither_sent(one: str, other: str) -> ErrorAnswer:
    """Return −1102: one of two parameters is needed."""
    return ErrorAnswer(
        400, -1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!"
    )


def too_precise() -> ErrorAnswer:
    """Return −1111: a price or quantity has too many decimals."""
    return ErrorAnswer(400, -1111, "Precision is over the maximum defined for this asset.")


def invalid_time_in_force() -> ErrorAnswer:
    """Return −1115: there is no such time in force."""
    return ErrorAnswer(400, -1115, "Invalid timeInForce.")


def invalid_order_type() -> ErrorAnswer:
    """Return −1116: there is no such order type."""
    return ErrorAnswer(400, -1116, "Invalid orderType.")


def invalid_side() -> ErrorAnswer:
    """Return −1117: the side is neither BUY nor SELL."""
    return ErrorAnswer(400, -1117, "Invalid side.")


def more_than_a_week() -> ErrorAnswer:
    """Return −1127: a time window is too long."""
    return ErrorAnswer(400, -1127, "More than 168 hours between startTime and endTime.")


def invalid_combination() -> ErrorAnswer:
    """Return −1128: optional parameters exclude each other."""
    return ErrorAnswer(400, -1128, "Combination of optional parameters invalid.")


def invalid_position_side() -> ErrorAnswer:
    """Return −4060: the position side is none of BOTH, LONG and SHORT."""
    return ErrorAnswer(400, -4060, "Invalid position side.")


def invalid_client_id() -> ErrorAnswer:
    """Return −4015: a client id is empty, too long or has other characters."""
    return ErrorAnswer(400, -4015, "Client order id is not valid.")


def invalid_callback_rate() -> ErrorAnswer:
    """Return −2007: the callback rate of a trailing stop is out of range."""
    return ErrorAnswer(400, -2007, "Invalid callBackRate.")


def invalid_good_till_date() -> ErrorAnswer:
    """Return −5040: a GTD order would expire within ten minutes."""
    return ErrorAnswer(
        400,
        -5040,
        "The goodTillDate timestamp must be greater than the current time plus 600 seconds and "
        "smaller than 253402300799000.",
    )


def invalid_price_match() -> ErrorAnswer:
    """Return −5037: the book cannot decide the price."""
    return ErrorAnswer(400, -5037, "Invalid price match.")


def invalid_self_trade_prevention() -> ErrorAnswer:
    """Return −5039: there is no such mode of self-trade prevention."""
    return ErrorAnswer(400, -5039, "Invalid self trade prevention mode.")


def price_not_positive() -> ErrorAnswer:
    """Return −4001: a price is 0."""
    return ErrorAnswer(400, -4001, "Price less than or equal to zero.")


def quantity_not_positive() -> ErrorAnswer:
    """Return −4003: a quantity is 0."""
    return ErrorAnswer(400, -4003, "Quantity less than or equal to zero.")


def wrong_batch_size() -> ErrorAnswer:
    """Return −4082: a batch has no orders or too many."""
    return ErrorAnswer(400, -4082, "Invalid number of batch place orders.")


def belongs_to_the_algo_service() -> ErrorAnswer:
    """Return −4120: conditional orders go to /fapi/v1/algoOrder."""
    return ErrorAnswer(
        400,
        -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints "
        "instead.",
    )


def too_many_orders(limit: int, interval: str) -> ErrorAnswer:
    """Return −1015: the account has sent too many orders in an interval."""
    return ErrorAnswer(
        429, -1015, f"Too many new orders; current limit is {limit} orders per {interval}."
    )


def no_such_order() -> ErrorAnswer:
    """Return −2013: the requested order does not exist."""
    return ErrorAnswer(400, -2013, "Order does not exist.")


def nothing_to_cancel() -> ErrorAnswer:
    """Return −2011: the order to cancel does not exist."""
    return ErrorAnswer(400, -2011, "Unknown order sent.")


def invalid_leverage(leverage: int) -> ErrorAnswer:
    """Return −4028: no bracket of the symbol allows the leverage."""
    return ErrorAnswer(400, -4028, f"Leverage {leverage} is not valid")


def same_margin_type() -> ErrorAnswer:
    """Return −4046: the symbol already has the margin type."""
    return ErrorAnswer(400, -4046, "No need to change margin type.")


def mode_with_orders() -> ErrorAnswer:
    """Return −4067: the position mode cannot change while orders are open."""
    return ErrorAnswer(400, -4067, "Position side cannot be changed if there exists open orders.")


def mode_with_position() -> ErrorAnswer:
    """Return −4068: the position mode cannot change while a position is open."""
    return ErrorAnswer(400, -4068, "Position side cannot be changed if there exists position.")


def same_position_mode() -> ErrorAnswer:
    """Return −4059: the account already is in the position mode."""
    return ErrorAnswer(400, -4059, "No need to change position side.")
