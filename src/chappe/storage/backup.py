"""A consistent copy of an embedded store, made while it is served, verified before it gets its name.

SQLite's online backup begins anew whenever another process writes between two of its steps, so under traffic it would
never end. The copy is therefore made of one snapshot, held by a read transaction: the writer goes on, but the
write-ahead log cannot shrink meanwhile. What it has grown is moved into the file by us, right after the snapshot, or
the writer would stand still for it. https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

from chappe.storage.errors import StoreError
from chappe.storage.writer import connect

PAGES = 2_000  # a step
SYNC_BYTES = 32 << 20  # a commit may have to wait until so much of the copy is on disk, not for all of it
SETTLED = 4_000  # pages that the write-ahead log may hold in any case (sqlite.py)
_ROUNDS = 10

Phase = Literal["copy", "verify"]
Tell = Callable[[Phase, int, int], None]


class BackupError(StoreError):
    """There is no backup; the words say why."""


def backup(path: Path, to: Path, tell: Tell = lambda _phase, _done, _total: None) -> int:
    """Copy the store at `path` into the new file `to`, readable by its owner only; gives its size in bytes.

    `tell` hears of pages copied, then of the verification, whose length nobody knows. Blocks. Raises BackupError.
    """
    if not path.exists():
        raise BackupError(f"there is no store at {path}")
    if to.exists():
        raise BackupError(f"{to} exists: an earlier backup is never written over")
    need = sum(file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists())
    if (free := shutil.disk_usage(to.parent).free) < need * 1.05:
        raise BackupError(f"{to.parent} has {free >> 20} MiB free, and the copy needs up to {need >> 20} MiB")
    draft = to.with_name(to.name + ".part")
    try:
        handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        try:
            _copy(path, draft, handle, tell)
            _verify(draft, tell)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.link(draft, to)  # unlike a rename it fails if somebody else made it meanwhile
    except (sqlite3.Error, OSError) as error:
        raise BackupError(str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(to.parent)
    return to.stat().st_size


def _copy(path: Path, draft: Path, handle: int, tell: Tell) -> None:
    with (
        closing(connect(path, read_only=True)) as source,
        closing(connect(path)) as checkpointer,
        closing(sqlite3.connect(draft)) as copy,
    ):
        copy.execute("pragma synchronous = off")  # it is us who sync, before the file gets its name
        size: int = source.execute("pragma page_size").fetchone()[0]
        synced = 0

        def progress(_status: int, left: int, total: int) -> None:
            nonlocal synced
            done = total - left
            if (done - synced) * size >= SYNC_BYTES:
                os.fdatasync(handle)
                synced = done
            tell("copy", done, total)

        source.execute("begin")
        try:
            source.execute("select 1 from sqlite_master").fetchone()  # from here on it is this snapshot
            source.backup(copy, pages=PAGES, progress=progress)
        finally:
            source.execute("rollback")
            _shrink(checkpointer)


def _shrink(db: sqlite3.Connection) -> None:
    """Bring the write-ahead log into the file, without keeping anybody from writing."""
    for _ in range(_ROUNDS):
        _busy, logged, moved = db.execute("pragma wal_checkpoint(passive)").fetchone()
        if logged - moved < SETTLED:
            return


def _verify(draft: Path, tell: Tell) -> None:
    with closing(sqlite3.connect(f"{draft.resolve().as_uri()}?immutable=1", uri=True)) as db:
        db.set_progress_handler(lambda: tell("verify", 0, 0), 10_000_000)
        wrong = [row[0] for row in db.execute("pragma integrity_check")]
        if wrong != ["ok"]:
            raise BackupError(f"the copy is damaged, and so may be the store: {'; '.join(wrong[:5])}")
        if db.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone() is None:
            raise BackupError("that is no store of Chappe's")


def _sync_folder(folder: Path) -> None:
    """So that the name is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
