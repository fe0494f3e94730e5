"""Jobs that start at once: a process that has imported everything forks one for each request.

Hundreds of runs would spend nine tenths of their time on imports. A fork is a process like any
other: it is killed, stopped and holds locks by itself. Run as a script: SOCKET. A request is a list
of arguments, the environment and, perhaps, a filter for system calls (see volume_trace.py), with
three handles: its output, its log, and where the handle goes over which the calls are asked about.
Without a list of bytes for the filter (None) the job runs beside others: the third handle is a
socket that gets its process id, and its exit code once it has ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import socket
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

NO_NEW_PRIVILEGES, SECCOMP, SET_FILTER, NEW_LISTENER = 38, 317, 1, 8  # 317: on x86_64
MOST_BYTES = 65_536


def serve(channel: socket.socket) -> list[str] | None:
    """Serve requests until the client hangs up; return arguments in each fork, None at the end."""
    channel.send(b"ready")
    keepers: list[int] = []
    while True:
        raw, handles, *_ = socket.recv_fds(channel, MOST_BYTES, 3)
        if not raw:
            return None
        keepers = [each for each in keepers if os.waitpid(each, os.WNOHANG)[0] == 0]
        arguments, environment, program = json.loads(raw)
        if program is None:
            keeper = os.fork()
            if keeper:
                keepers.append(keeper)
                for handle in handles:
                    os.close(handle)
                continue
            pid = keep(channel, handles[2])
        else:
            pid = os.fork()
        if pid == 0:
            channel.close()
            os.environ.clear()
            os.environ.update(environment)
            added = environment.get("PYTHONPATH", "").split(os.pathsep)
            sys.path[:0] = [folder for folder in added if folder]  # as a new interpreter does
            out, err, questions = handles
            for handle, number in ((out, 1), (err, 2)):
                os.dup2(handle, number)
                os.close(handle)
            with socket.socket(fileno=questions) as asking:
                if program:
                    listener = be_watched(bytes.fromhex(program))
                    socket.send_fds(asking, [b"!"], [listener])
                    os.close(listener)
            return list(arguments)
        for handle in handles:
            os.close(handle)
        channel.send(json.dumps(pid).encode())
        _, status = os.waitpid(pid, 0)
        channel.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def keep(channel: socket.socket, ending: int) -> int:
    """Fork once more; return 0 in the fork. Report how it ends to the socket ``ending``."""
    pid = os.fork()
    if pid:
        channel.close()
        with socket.socket(fileno=ending) as report:
            report.send(json.dumps(pid).encode())
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                report.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    return pid


def be_watched(program: bytes) -> int:
    """From here on, the holder of the returned handle decides on the calls of the filter."""
    code = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    listener = -1
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        listener = libc.syscall(SECCOMP, SET_FILTER, NEW_LISTENER, filters)
    if listener < 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    return int(listener)


def import_everything() -> None:
    """Import everything that a job imports; no import starts a thread."""
    import aiohttp  # noqa: F401

    import warmup_job.__main__
    import warmup_job.binance.client
    import warmup_job.binance.fetch
    import warmup_job.config
    import warmup_job.job.run_job

    if find_spec("nautilus_trader"):
        import warmup_job.catalog.instruments
        import warmup_job.catalog.nautilus_catalog
        import warmup_job.hedge_grid.strategy
        import warmup_job.trader.build_runner  # noqa: F401
    from warmup_job.catalog import packed_bars as arrow

    arrow.import_ahead()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, (
        "a fork would have only one of its threads"
    )
    gc.collect()
    gc.freeze()  # untouched pages are never copied


def main() -> None:
    """Serve requests, or run the job in a fork."""
    import_everything()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        arguments = serve(channel)
    if arguments is not None:
        from warmup_job.__main__ import main as job

        sys.argv[1:] = arguments
        try:
            job()
        except SystemExit as end:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code or 0))  # tearing down all those modules would take the longest


if __name__ == "__main__":
    main()
