"""TLS settings that read their certificate authorities when the first connection needs them.

Reading them takes 30 to 60 ms of processor time, also where no connection is encrypted.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

_USUAL = ssl.create_default_context


class LateContext(ssl.SSLContext):
    """An `ssl.SSLContext` that notes what it should trust, and reads it before it is used."""

    _noted: list[Callable[[], object]]
    _reading: threading.Lock

    def __new__(cls, *settings: Any) -> LateContext:  # noqa: ANN401, PYI034  # as the base class
        """Make it as `ssl.SSLContext` does; subclasses of it have no `__init__`."""
        made = super().__new__(cls, *settings)
        made._noted, made._reading = [], threading.Lock()
        return made

    def load_verify_locations(self, *places: Any, **named: Any) -> None:  # noqa: ANN401
        """Note these authorities."""
        self._noted.append(partial(super().load_verify_locations, *places, **named))

    def load_default_certs(self, purpose: Any = ssl.Purpose.SERVER_AUTH) -> None:  # noqa: ANN401
        """Note the system's authorities."""
        self._noted.append(partial(super().load_default_certs, purpose))

    def read(self) -> None:
        """Read all authorities that are noted; another thread may do it meanwhile.

        Raises:
            OSError: A file of authorities cannot be read.
        """
        with self._reading:
            while self._noted:
                self._noted[0]()
                del self._noted[0]

    def read_in_background(self) -> None:
        """Begin to read in a thread; OpenSSL does not keep other threads from running."""
        threading.Thread(target=self.read, name="authorities", daemon=True).start()

    def wrap_socket(self, *call: Any, **named: Any) -> ssl.SSLSocket:  # noqa: ANN401
        """Encrypt a socket."""
        self.read()
        return super().wrap_socket(*call, **named)

    def wrap_bio(self, *call: Any, **named: Any) -> ssl.SSLObject:  # noqa: ANN401
        """Encrypt a connection of an event loop."""
        self.read()
        return super().wrap_bio(*call, **named)


def late_context(*, cafile: str | None = None) -> LateContext:
    """Return what `ssl.create_default_context` returns, as a `LateContext`.

    Args:
        cafile: A file of authorities; None: the system's.
    """
    # The function of this Python, with its rules; only the class is another one.
    make = FunctionType(
        _USUAL.__code__, vars(ssl) | {"SSLContext": LateContext}, argdefs=_USUAL.__defaults__
    )
    make.__kwdefaults__ = _USUAL.__kwdefaults__
    made: LateContext = make(cafile=cafile)
    return made
