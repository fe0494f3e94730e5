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


def takes_no_orders() -> ErrorAnswer:
    """Return −2010: the local exchange does not support orders."""
    return ErrorAnswer(400, -2010, "The local exchange takes no orders.")


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


def same_position_mode() -> ErrorAnswer:
    """Return −4059: the account already is in the position mode."""
    return ErrorAnswer(400, -4059, "No need to change position side.")
