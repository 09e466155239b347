"""Ends a server and removes its folder when the test run that started it is gone, even after kill -9.

Run as a process of its own: `reaper.py FOLDER PID`. The test run holds the other end of its standard input; however
that run ends, the kernel closes it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and all below it, parent first; empty when it has gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tell(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def end(pid: int) -> None:
    """Quit, or after five seconds kill. PostgreSQL shuts down at once on SIGQUIT and frees its shared memory."""
    processes = family(pid)
    tell(processes, signal.SIGCONT)  # a stopped process would not hear the next one
    tell(processes[:1], signal.SIGQUIT)
    _, alive = psutil.wait_procs(processes, timeout=5)
    tell(alive, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(int(sys.argv[2]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
