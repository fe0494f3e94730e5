"""The operator's side of the control socket. It imports neither Nautilus nor ccxt."""

from __future__ import annotations

from collections.abc import Callable
from errno import EACCES, ECONNREFUSED, ENOENT, ENOTDIR, EPERM
from pathlib import Path

import msgspec

from warmup_job.errors import TraderError
from warmup_job.trader.control_messages import ControlCommand, ControlMessage, ControlRequest
from warmup_job.trader.control_socket import SOCKET, connect_socket

_ANSWER_S = 30.0
_NOBODY = frozenset({ECONNREFUSED, ENOENT, ENOTDIR})
_ANOTHER_USER = frozenset({EACCES, EPERM})


def ask_trader(
    folder: Path,
    command: ControlCommand,
    on_progress: Callable[[str], object] = lambda _: None,
    on_sending: Callable[[], object] = lambda: None,
    *,
    after_drawdown: bool = False,
) -> ControlMessage:
    """Send one request to the trader and return the last line of its answer.

    Args:
        folder: the trader's `trade.state_dir`.
        command: what to ask for.
        on_progress: called with every step of a flatten, however long that takes.
        on_sending: called right before the trader gets the request.
        after_drawdown: with ``resume``, whether to lift the stop that a drawdown has set.

    Raises:
        TraderError: no trader answers, or it ended before it was done.
    """
    place = folder / SOCKET
    try:
        with connect_socket(folder) as connection:
            connection.settimeout(None if command == "flatten" else _ANSWER_S)
            request = msgspec.json.encode(
                ControlRequest(command=command, after_drawdown=after_drawdown)
            )
            on_sending()  # before it: an interruption right after it would find nothing sent
            connection.sendall(request + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    message = msgspec.json.decode(line, type=ControlMessage)
                    if message.done:
                        return message
                    on_progress(message.progress)
    except (OSError, msgspec.DecodeError) as error:
        raise TraderError(_no_answer(place, error)) from None
    raise TraderError(_cut(place, command))


def _no_answer(place: Path, error: Exception) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if code in _NOBODY:
        return (
            f"no trader listens at {place}: start one, or name its trade.state_dir by --state-dir "
            "or --config; in a container, run this command in the trader's"
        )
    if code in _ANOTHER_USER:
        return (
            f"{place} belongs to another user ({error}): run this command as the user of the trader"
        )
    return f"the trader at {place} does not answer ({error}): see its log"


def _cut(place: Path, command: ControlCommand) -> str:
    after = {
        "flatten": "; if it had begun to close positions, it goes on when it starts again",
        "pause": "; ask again once it runs",
    }
    return f"the trader at {place} ended before it had answered{after.get(command, '')}"
