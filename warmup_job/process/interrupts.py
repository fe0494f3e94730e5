"""Let Ctrl-C end the process at once and silently while it only imports modules."""

from __future__ import annotations

import signal


def end_on_interrupt() -> None:
    """End by SIGINT without a traceback, until `raise_on_interrupt`.

    A SIGINT that is ignored (as by nohup) stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_on_interrupt() -> None:
    """Raise KeyboardInterrupt on SIGINT again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
