"""One process owns the writer of an embedded store; the operating system ends the claim with the process."""

from __future__ import annotations

import fcntl
from typing import IO

from chappe.storage import sqlite_path


class AlreadyServed(Exception):
    """Another process serves this store."""


def claim(url: str) -> IO[bytes] | None:
    """Hold `FILE.lock` as long as the returned file is open; None for a server, which many processes may share.

    Raises AlreadyServed.
    """
    path = sqlite_path(url)
    if path is None:
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path.with_name(path.name + ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AlreadyServed(f"another process serves {path}") from None
    return file
