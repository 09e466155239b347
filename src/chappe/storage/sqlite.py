"""The embedded engine: one file, WAL, synchronous=FULL, one writer thread with group commit.

The writer has no timer: when it is free it is handed what a turn of the event loop has brought, so that one message
costs one commit on an idle system and hundreds share one under load. Small reads run on the loop's own connection: in
WAL mode they never wait for the writer, and a thread hop costs more than an indexed look-up. Scans run in a thread.

Another thread copies the log into the database while the writer goes on; the writer itself only has to copy the rest
once the log has grown long, before it begins it anew.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from chappe.storage.errors import Conflict, Invalid, StoreError, Unavailable
from chappe.storage.statements import Engine, Op, Row, Rows, Statement
from chappe.storage.topics import Topics

LOCK_PATIENCE_S = 8.0  # how long another process may hold the write lock before waiting units are refused
MAX_WAITING = 2_000  # units; more are refused at once, so that memory stays bounded
MAX_GROUP = 256  # units in one commit
LOG_PAGES = 16_000  # of 4 KiB, then the log is begun anew
COPY_EVERY = 64  # commits
SCAN_S = 10.0  # a longer search is given up: its snapshot keeps the write-ahead log from shrinking
_MAX_SCANS = 2

# failures of the file, the lock or the memory: they say nothing about the statement that met them
_AWAY = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_SCHEMA,
    )
)


@dataclass(slots=True, eq=False)
class _Unit:
    ops: tuple[Op, ...]
    wake: tuple[str, ...]
    future: asyncio.Future[list[Any]]
    deadline: float
    results: list[Any] = field(default_factory=list)
    error: StoreError | None = None


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file with the settings that durability rests on."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024)
    db.execute("pragma busy_timeout = 1000")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("pragma foreign_keys = off")
    db.execute("pragma temp_store = memory")
    db.execute("pragma cache_size = -32000")
    db.execute(f"pragma wal_autocheckpoint = {LOG_PAGES}")
    if read_only:
        db.execute("pragma query_only = on")
    return db


class SqliteStore:
    engine: Engine = "sqlite"

    def __init__(self, path: Path, *, lock_patience_s: float = LOCK_PATIENCE_S) -> None:
        self.path = path
        self._patience_s = lock_patience_s
        self._loop = asyncio.get_running_loop()
        self._writer = connect(path)
        self._reader = connect(path, read_only=True)
        self._scans = ThreadPoolExecutor(_MAX_SCANS, thread_name_prefix="scan")
        self._local = threading.local()
        self._scanners: list[sqlite3.Connection] = []
        self._topics = Topics()
        self._waiting: deque[_Unit] = deque()
        self._offering = False  # at the end of this turn of the loop
        self._given: list[_Unit] = []  # the group that the writer has
        self._closing = False
        self._groups: queue.SimpleQueue[list[_Unit]] = queue.SimpleQueue()
        self._grown = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="writer", daemon=True),
            threading.Thread(target=self._copy, name="checkpoint", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # -- the port ---------------------------------------------------------------------------------------------------

    async def write(self, *ops: Op, wake: Iterable[str] = ()) -> list[Any]:
        if self._closing:
            raise Unavailable("the store is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("too many writes are waiting")
        unit = _Unit(ops, tuple(wake), self._loop.create_future(), time.monotonic() + self._patience_s)
        self._waiting.append(unit)
        self._offer_soon()
        return await unit.future

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
        self._closing = True
        while self._given or self._waiting:  # noqa: ASYNC110 - at the end only
            await asyncio.sleep(0.001)
        self._groups.put([])
        self._grown.set()
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        self._scans.shutdown()
        for db in (self._writer, self._reader, *self._scanners):
            db.close()

    # -- the loop's side of the writer ------------------------------------------------------------------------------

    def _offer_soon(self) -> None:
        """Once for all that this turn of the loop writes."""
        if not self._offering and not self._given:
            self._offering = True
            self._loop.call_soon(self._offer)

    def _offer(self) -> None:
        self._offering = False
        self._given = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
        if self._given:
            self._groups.put(self._given)

    def _answer(self, group: list[_Unit]) -> None:
        self._given = []
        topics: dict[str, None] = {}
        for unit in group:
            if not unit.error:
                topics.update(dict.fromkeys(unit.wake))
            if unit.future.done():  # the caller has gone; what it wrote stands
                continue
            if unit.error:
                unit.future.set_exception(unit.error)
            else:
                unit.future.set_result(unit.results)
        for topic in topics:
            self._topics.poke(topic)
        if self._waiting:
            self._offer_soon()  # behind the callers who go on now: what they write next comes along

    # -- the writer thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        commits = 0
        while group := self._groups.get():
            self._commit(group)
            commits += 1
            if commits % COPY_EVERY == 0:
                self._grown.set()
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._answer, group)

    def _copy(self) -> None:
        """The checkpoint thread: copies what the log holds, waiting for nobody."""
        db = connect(self.path)
        while self._grown.wait() and not self._closing:
            self._grown.clear()
            with suppress(sqlite3.Error):  # the writer will meet the same trouble, and say so
                db.execute("pragma wal_checkpoint(passive)").fetchall()
        db.close()

    def _commit(self, group: list[_Unit]) -> None:
        committing = False
        try:
            self._begin(group[0].deadline)
            for unit in group:
                self._run_unit(unit, alone=len(group) == 1)
            committing = True
            self._writer.execute("commit")
        except Exception as error:
            self._rollback()
            refusal = Unavailable(str(error), unknown=committing) if committing or len(group) > 1 else _refusal(error)
            for unit in group:
                unit.error = unit.error or refusal

    def _begin(self, deadline: float) -> None:
        while True:
            try:
                self._writer.execute("begin immediate")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise

    def _run_unit(self, unit: _Unit, *, alone: bool) -> None:
        """Run a unit inside the group's transaction. Its own fault ends it alone; any other failure ends the group."""
        if alone:
            unit.results = [_execute(self._writer, op) for op in unit.ops]
            return
        self._writer.execute("savepoint unit")
        try:
            unit.results = [_execute(self._writer, op) for op in unit.ops]
        except Exception as error:
            unit.error = _refusal(error)
            if isinstance(unit.error, Unavailable):
                raise
            self._writer.execute("rollback to unit")
        self._writer.execute("release unit")

    def _rollback(self) -> None:
        if self._writer.in_transaction:  # SQLite may have rolled back by itself, as when the disk is full
            with suppress(sqlite3.Error):
                self._writer.execute("rollback")

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
    """What a caller can do about it: gather again, nothing, or wait."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(str(error))
    # the low byte is the primary code, the rest says where it happened
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY:
        return Unavailable(str(error))
    return Invalid(f"{type(error).__name__}: {error}")


_STEP = 64  # rows at once, at most


def _execute_many(db: sqlite3.Connection, statement: Statement, rows: Rows) -> int:
    """In few steps: each gives the interpreter's lock away, and the busy loop is late to give it back. The last is
    filled up with nulls to a power of two, so that few statements are kept prepared."""
    width = len(statement.columns)
    touched = 0
    for at in range(0, len(rows), _STEP):
        some = rows[at : at + _STEP]
        size = 1 << (len(some) - 1).bit_length()
        values = tuple(chain.from_iterable(some))
        if len(values) != len(some) * width or any(row[0] is None for row in some):
            raise Invalid(f"{statement.name}: a row has not {width} values, of which the first is not null")
        if size > len(some):
            values += (None,) * (width * (size - len(some)))
        touched += db.execute(statement.sqlite_rows(size), values).rowcount
    return touched


def _execute(db: sqlite3.Connection, op: Op) -> Any:
    statement = op.statement
    if statement.many:
        assert not isinstance(op.params, Mapping)
        touched = _execute_many(db, statement, op.params)
    else:
        cursor = db.execute(statement.sqlite, statement.sqlite_params(op.params))  # type: ignore[arg-type]
        if statement.returns:
            rows = cursor.fetchall()
            op.check(len(rows))
            return rows
        touched = cursor.rowcount
    op.check(touched)
    return touched
