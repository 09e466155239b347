"""The process that writes an embedded store: `python -I -S writer.py FILE FD`, started by `storage.writing`.

A process of its own, so that the server's interpreter never waits for a commit nor a commit for the interpreter. It
needs nothing but the standard library, and starts in 10 ms.

FD is a socket. Each unit comes as a frame (its length in 4 octets, then `marshal`): `(deadline, ops)`, with the
deadline on the machine's monotonic clock and each op as `(name, text, width, returns, params, expect)`: `width` is the
number of values in a row of a statement for many rows, 0 for one with named parameters. What has come while a commit
ran is the next group, with no timer: one message costs one commit on an idle system and hundreds share one under load.
A group is answered by one frame, after its commit: for each unit, in order, `(None, results)` or `(kind, reason)`.

It writes for one server only: once that has gone, nothing more is begun.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Any

MAX_GROUP = 256  # units in one commit
STEP = 64  # rows at once, at most
VALUES = "/* rows */"  # where a statement for many rows takes them
COPY_EVERY = 256  # commits, or
COPY_ROWS = 8_192  # changed rows
LOG_PAGES = 16_000  # of 4 KiB, then the log is begun anew
_READ = 1 << 20

CONFLICT, INVALID, UNAVAILABLE, UNKNOWN = "conflict", "invalid", "unavailable", "unknown"
Op = tuple[str, str, int, bool, Any, int | None]
Unit = tuple[float, list[Op]]
Answer = tuple[str | None, Any]

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


class Conflicting(Exception):
    """Other rows were touched than expected."""


class Malformed(Exception):
    """Rows that a statement cannot take."""


class Gone(Exception):
    """The server has ended, or closed its side."""


def connect(path: str | os.PathLike[str], *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file with the settings that durability rests on."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024)
    db.execute("pragma busy_timeout = 1000")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute("pragma foreign_keys = off")
    db.execute("pragma temp_store = memory")
    db.execute(f"pragma cache_size = -{8_000 if read_only else 32_000}")  # KiB; the system caches what is read
    db.execute(f"pragma wal_autocheckpoint = {8 * LOG_PAGES}")  # `Checkpoints` comes first
    if read_only:
        db.execute("pragma query_only = on")
    return db


def kind_of(error: Exception) -> str:
    """What a caller can do about it: gather again, nothing, or wait."""
    if isinstance(error, sqlite3.IntegrityError | Conflicting):
        return CONFLICT
    # the low byte is the primary code, the rest says where it happened
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _AWAY:
        return UNAVAILABLE
    return INVALID


def told(error: Exception) -> str:
    known = isinstance(error, sqlite3.IntegrityError | Conflicting | Malformed) or kind_of(error) == UNAVAILABLE
    return str(error) if known else f"{type(error).__name__}: {error}"


def frame(value: Any) -> bytes:
    """Raises ValueError for what marshal does not take."""
    body = marshal.dumps(value)
    return len(body).to_bytes(4) + body


class Frames:
    """Octets in, values out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        held, at, values = self._held, 0, []
        held += data
        while len(held) - at >= 4 and len(held) - at - 4 >= (size := int.from_bytes(held[at : at + 4])):
            values.append(marshal.loads(held[at + 4 : at + 4 + size]))
            at += 4 + size
        del held[:at]
        return values


class Inbox:
    """The units that the server sends."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._frames = Frames()
        self._units: deque[Unit] = deque()
        self._poll = select.poll()
        self._poll.register(wire, 0)  # a hang-up is always told

    def check(self) -> None:
        """Raise Gone when nobody will read an answer: a server that starts anew must find what it will build on."""
        if self._poll.poll(0):
            raise Gone

    def group(self) -> list[Unit]:
        """Wait for a unit, and take with it what else has come."""
        while len(self._units) < MAX_GROUP:
            try:
                data = self._wire.recv(_READ, socket.MSG_DONTWAIT if self._units else 0)
            except BlockingIOError:
                break
            if not data:
                raise Gone
            self._units.extend(self._frames.feed(data))
        return [self._units.popleft() for _ in range(min(len(self._units), MAX_GROUP))]


class Writer:
    def __init__(self, db: sqlite3.Connection, inbox: Inbox) -> None:
        self._db = db
        self._inbox = inbox

    def commit(self, group: list[Unit]) -> list[Answer]:
        answers: list[Answer] = []
        committing = False
        try:
            self._begin(group[0][0])
            for _, ops in group:
                answers.append(self._run(ops) if len(group) == 1 else self._run_apart(ops))
            self._inbox.check()
            committing = True
            self._db.execute("commit")
        except Gone:
            raise
        except Exception as error:
            self._rollback()
            kind = UNKNOWN if committing else UNAVAILABLE if len(group) > 1 else kind_of(error)
            return [
                answers[n] if n < len(answers) and answers[n][0] is not None else (kind, told(error))
                for n in range(len(group))
            ]
        return answers

    def _begin(self, deadline: float) -> None:
        while True:
            self._inbox.check()
            try:
                self._db.execute("begin immediate")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise

    def _run(self, ops: list[Op]) -> Answer:
        return None, [execute(self._db, op) for op in ops]

    def _run_apart(self, ops: list[Op]) -> Answer:
        """Run a unit among others. Its own fault ends it alone; any other failure ends the group."""
        self._db.execute("savepoint unit")
        try:
            answer = self._run(ops)
        except Exception as error:
            if kind_of(error) == UNAVAILABLE:
                raise
            answer = kind_of(error), told(error)
            self._db.execute("rollback to unit")
        self._db.execute("release unit")
        return answer

    def _rollback(self) -> None:
        if self._db.in_transaction:  # SQLite may have rolled back by itself, as when the disk is full
            with suppress(sqlite3.Error):
                self._db.execute("rollback")


def execute(db: sqlite3.Connection, op: Op) -> Any:
    """The rows of a statement that returns some, otherwise how many it touched."""
    name, text, width, returns, params, expect = op
    result: Any
    if width:
        result = touched = _execute_many(db, name, text, width, params)
    else:
        cursor = db.execute(text, params)
        result = cursor.fetchall() if returns else cursor.rowcount
        touched = len(result) if returns else result
    if expect is not None and touched != expect:
        raise Conflicting(f"{name}: {touched} rows instead of {expect}")
    return result


def _execute_many(db: sqlite3.Connection, name: str, text: str, width: int, rows: list[Any]) -> int:
    """In few steps. The last is filled up with nulls to a power of two, so that few statements are kept prepared."""
    touched = 0
    for at in range(0, len(rows), STEP):
        some = rows[at : at + STEP]
        size = 1 << (len(some) - 1).bit_length()
        values = tuple(chain.from_iterable(some))
        if len(values) != len(some) * width or any(row[0] is None for row in some):
            raise Malformed(f"{name}: a row has not {width} values, of which the first is not null")
        touched += db.execute(_for_rows(text, width, size), values + (None,) * (width * size - len(values))).rowcount
    return touched


@lru_cache(maxsize=1024)
def _for_rows(text: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return text.replace(VALUES, ", ".join([row] * count))


class Checkpoints(threading.Thread):
    """Copies what the log holds into the database beside the writer. Once the log has grown long the writer only copies
    the little that came meanwhile, and begins it anew."""

    def __init__(self, db: sqlite3.Connection, path: str) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self._db = db  # the writer's
        self._path = path
        self._due = threading.Event()
        self._copying = threading.Lock()
        self._long = False
        self._ending = False
        self._commits = 0
        self._changes = 0

    def committed(self) -> None:
        """The writer is between two commits."""
        self._commits += 1
        if self._long:
            with self._copying, suppress(sqlite3.Error):
                self._long = False
                _copied(self._db)  # all of it: the next commit begins the log anew, unless somebody still reads it
        if self._commits >= COPY_EVERY or self._db.total_changes > self._changes + COPY_ROWS:
            self._commits, self._changes = 0, self._db.total_changes
            self._due.set()

    def end(self) -> None:
        self._ending = True
        self._due.set()
        self.join()

    def run(self) -> None:
        db = connect(self._path)
        while self._due.wait() and not self._ending:
            self._due.clear()
            with self._copying, suppress(sqlite3.Error):  # the writer will meet the same trouble, and say so
                if _copied(db) > LOG_PAGES:
                    self._long = _copied(db) > LOG_PAGES  # once more, so that the writer has little left to do
        db.close()


def _copied(db: sqlite3.Connection) -> int:
    """Copy what may be copied; the length of the log in pages."""
    [(_, pages, _)] = db.execute("pragma wal_checkpoint(passive)").fetchall()
    return int(pages)


def main(path: str, fd: int) -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the server ends first, and this with it
    wire = socket.socket(fileno=fd)
    db = connect(path)
    inbox = Inbox(wire)
    writer, checkpoints = Writer(db, inbox), Checkpoints(db, path)
    checkpoints.start()
    try:
        while True:
            wire.sendall(frame(writer.commit(inbox.group())))
            checkpoints.committed()
    except (Gone, ConnectionError):
        checkpoints.end()
        db.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
