"""The embedded engine: one file, WAL, synchronous=FULL, one process that writes.

Small reads run on the loop's own connection: in WAL mode they never wait for the writer, and a thread hop costs more
than an indexed look-up. Scans run in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chappe.storage.errors import StoreError
from chappe.storage.statements import Engine, Op, Row
from chappe.storage.topics import Topics
from chappe.storage.writer import connect, kind_of, told
from chappe.storage.writing import Writing, refusal

LOCK_PATIENCE_S = 8.0  # how long another process may hold the write lock before waiting units are refused
SCAN_S = 10.0  # a longer search is given up: its snapshot keeps the write-ahead log from shrinking
_MAX_SCANS = 2


class SqliteStore:
    engine: Engine = "sqlite"

    def __init__(self, path: Path, *, lock_patience_s: float = LOCK_PATIENCE_S) -> None:
        self.path = path
        self._patience_s = lock_patience_s
        self._loop = asyncio.get_running_loop()
        self._reader = connect(path, read_only=True)
        self._scans = ThreadPoolExecutor(_MAX_SCANS, thread_name_prefix="scan")
        self._local = threading.local()
        self._scanners: list[sqlite3.Connection] = []
        self._topics = Topics()
        self._writing = Writing(path, self._topics.poke)

    # -- the port ---------------------------------------------------------------------------------------------------

    async def write(self, *ops: Op, wake: Iterable[str] = ()) -> list[Any]:
        return await self._writing.ask(ops, tuple(wake), self._patience_s)

    async def read(self, op: Op) -> list[Row]:
        return _select(self._reader, op)

    async def scan(self, op: Op) -> list[Row]:
        return await self._loop.run_in_executor(self._scans, self._scan, op)

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        self._topics.listen(topic, callback)

    def poke(self, topic: str) -> None:
        self._topics.poke(topic)

    async def close(self) -> None:
        """Finish what waits, then let go of the file."""
        await self._writing.finish()
        self._scans.shutdown()
        for db in (self._reader, *self._scanners):
            db.close()
        await self._writing.end()

    def _scan(self, op: Op) -> list[Row]:
        db = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self.path, read_only=True)
            self._scanners.append(db)
        deadline = time.monotonic() + SCAN_S
        db.set_progress_handler(lambda: time.monotonic() > deadline, 50_000)
        return _select(db, op)


def _select(db: sqlite3.Connection, op: Op) -> list[Row]:
    assert not op.statement.many and not isinstance(op.params, list | tuple)
    try:
        return db.execute(op.statement.sqlite, op.statement.sqlite_params(op.params)).fetchall()  # type: ignore[arg-type]
    except Exception as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return refusal(kind_of(error), told(error))
