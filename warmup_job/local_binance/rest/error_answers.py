"""How the exchange says no."""

from __future__ import annotations


class ErrorAnswer(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """An error answer as Binance words it: an HTTP status and ``{"code": …, "msg": …}``."""

    def __init__(
        self, status: int, code: int, message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        """What the Retry-After header says, if there is one."""


def missing(parameter: str) -> ErrorAnswer:
    """A mandatory parameter was not sent or is empty."""
    return ErrorAnswer(
        400, -1102, f"Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."
    )


def illegal_characters(parameter: str, legal: str) -> ErrorAnswer:
    """A parameter has characters outside its legal range."""
    return ErrorAnswer(
        400,
        -1100,
        f"Illegal characters found in parameter '{parameter}'; legal range is '{legal}'.",
    )


def invalid_symbol() -> ErrorAnswer:
    """No such symbol on this market."""
    return ErrorAnswer(400, -1121, "Invalid symbol.")


def invalid_interval() -> ErrorAnswer:
    """No such interval, or none that this symbol has."""
    return ErrorAnswer(400, -1120, "Invalid interval.")


def invalid_value(parameter: str) -> ErrorAnswer:
    """A parameter is out of its range."""
    return ErrorAnswer(400, -1130, f"Data sent for parameter '{parameter}' is not valid.")


def start_after_end() -> ErrorAnswer:
    """The futures market refuses a window that ends before it starts (spot: empty list)."""
    return ErrorAnswer(400, -1023, "Start time is greater than end time.")


def malformed_key() -> ErrorAnswer:
    """The header has no key, or what cannot be one."""
    return ErrorAnswer(401, -2014, "API-key format invalid.")


def unknown_key() -> ErrorAnswer:
    """Nobody has this key."""
    return ErrorAnswer(401, -2015, "Invalid API-key, IP, or permissions for action.")


def key_cannot_log_on() -> ErrorAnswer:
    """The websocket API lets Ed25519 keys log on, and no others."""
    return ErrorAnswer(400, -4056, "HMAC_SHA256 API key is not supported.")


def malformed_request() -> ErrorAnswer:
    """A message to the websocket API is not JSON, or not a request."""
    return ErrorAnswer(400, -1135, "Invalid JSON request.")


def unknown_method() -> ErrorAnswer:
    """The websocket API has no such method here."""
    return ErrorAnswer(400, -1000, "Unknown method.")


def wrong_signature() -> ErrorAnswer:
    """What was sent is not what the owner of the key has signed."""
    return ErrorAnswer(400, -1022, "Signature for this request is not valid.")


def outside_receive_window() -> ErrorAnswer:
    """The request is too old."""
    return ErrorAnswer(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_the_clock() -> ErrorAnswer:
    """The request is from the future."""
    return ErrorAnswer(
        400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."
    )


def receive_window_too_long() -> ErrorAnswer:
    """A request cannot be valid for longer than a minute."""
    return ErrorAnswer(400, -1131, "'recvWindow' must be less than 60000.")


def no_listen_key() -> ErrorAnswer:
    """There is no listen key to keep alive."""
    return ErrorAnswer(400, -1125, "This listenKey does not exist.")


def takes_no_orders() -> ErrorAnswer:
    """Orders are not modelled: whoever sends one is told."""
    return ErrorAnswer(400, -2010, "The local exchange takes no orders.")


def no_such_order() -> ErrorAnswer:
    """The order that was asked for does not exist."""
    return ErrorAnswer(400, -2013, "Order does not exist.")


def nothing_to_cancel() -> ErrorAnswer:
    """The order that was to be cancelled does not exist."""
    return ErrorAnswer(400, -2011, "Unknown order sent.")


def invalid_leverage(leverage: int) -> ErrorAnswer:
    """No bracket of the symbol allows this leverage."""
    return ErrorAnswer(400, -4028, f"Leverage {leverage} is not valid")


def same_margin_type() -> ErrorAnswer:
    """The symbol has this margin type already."""
    return ErrorAnswer(400, -4046, "No need to change margin type.")


def same_position_mode() -> ErrorAnswer:
    """The account is in this position mode already."""
    return ErrorAnswer(400, -4059, "No need to change position side.")
