"""How the exchange says no."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of ours
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


def missing(parameter: str) -> Refusal:
    """A mandatory parameter was not sent or is empty."""
    return Refusal(
        400, -1102, f"Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."
    )


def illegal_characters(parameter: str, legal: str) -> Refusal:
    """A parameter has characters outside its legal range."""
    return Refusal(
        400,
        -1100,
        f"Illegal characters found in parameter '{parameter}'; legal range is '{legal}'.",
    )


def invalid_symbol() -> Refusal:
    """No such symbol on this market."""
    return Refusal(400, -1121, "Invalid symbol.")


def invalid_interval() -> Refusal:
    """No such interval, or none that this symbol has."""
    return Refusal(400, -1120, "Invalid interval.")


def invalid_value(parameter: str) -> Refusal:
    """A parameter is out of its range."""
    return Refusal(400, -1130, f"Data sent for parameter '{parameter}' is not valid.")


def start_after_end() -> Refusal:
    """The futures market refuses a window that ends before it starts (spot: empty list)."""
    return Refusal(400, -1023, "Start time is greater than end time.")


def malformed_key() -> Refusal:
    """The header has no key, or what cannot be one."""
    return Refusal(401, -2014, "API-key format invalid.")


def unknown_key() -> Refusal:
    """Nobody has this key."""
    return Refusal(401, -2015, "Invalid API-key, IP, or permissions for action.")


def key_cannot_log_on() -> Refusal:
    """The websocket API lets Ed25519 keys log on, and no others."""
    return Refusal(400, -4056, "HMAC_SHA256 API key is not supported.")


def malformed_request() -> Refusal:
    """A message to the websocket API is not JSON, or not a request."""
    return Refusal(400, -1135, "Invalid JSON request.")


def unknown_method() -> Refusal:
    """The websocket API has no such method here."""
    return Refusal(400, -1000, "Unknown method.")


def wrong_signature() -> Refusal:
    """What was sent is not what the owner of the key has signed."""
    return Refusal(400, -1022, "Signature for this request is not valid.")


def outside_receive_window() -> Refusal:
    """The request is too old."""
    return Refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def ahead_of_the_clock() -> Refusal:
    """The request is from the future."""
    return Refusal(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def receive_window_too_long() -> Refusal:
    """A request cannot be valid for longer than a minute."""
    return Refusal(400, -1131, "'recvWindow' must be less than 60000.")


def no_listen_key() -> Refusal:
    """There is no listen key to keep alive."""
    return Refusal(400, -1125, "This listenKey does not exist.")


def takes_no_orders() -> Refusal:
    """Orders are not modelled: whoever sends one is told."""
    return Refusal(400, -2010, "The local exchange takes no orders.")


def no_such_order() -> Refusal:
    """The order that was asked for does not exist."""
    return Refusal(400, -2013, "Order does not exist.")


def nothing_to_cancel() -> Refusal:
    """The order that was to be cancelled does not exist."""
    return Refusal(400, -2011, "Unknown order sent.")


def invalid_leverage(leverage: int) -> Refusal:
    """No bracket of the symbol allows this leverage."""
    return Refusal(400, -4028, f"Leverage {leverage} is not valid")


def same_margin_type() -> Refusal:
    """The symbol has this margin type already."""
    return Refusal(400, -4046, "No need to change margin type.")


def same_position_mode() -> Refusal:
    """The account is in this position mode already."""
    return Refusal(400, -4059, "No need to change position side.")
