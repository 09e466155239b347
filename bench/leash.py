"""Start a program that ends with us: `python leash.py SIGNAL USER GROUP PROGRAM ARGUMENTS...`.

On Linux the kernel sends the signal when the parent ends, however that ends (prctl(2), PR_SET_PDEATHSIG; it outlives
exec, but not a change of user: hence that comes first, and here). Elsewhere the program just starts.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def on(signal: int, *command: str | Path, user: tuple[int, int] | None = None) -> list[str]:
    """The command on a leash; `user` is whose it shall be and their group, None: ours."""
    owner = user or (os.getuid(), os.getgid())
    return [sys.executable, "-SE", __file__, *map(str, (signal, *owner, *command))]


def main(signal: int, user: int, group: int, *command: str) -> None:
    libc = ctypes.CDLL(None)
    if user != os.getuid():
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if sys.platform == "linux":
        libc.prctl(1, signal)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
