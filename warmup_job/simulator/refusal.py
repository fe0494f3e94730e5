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
