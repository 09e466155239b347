"""The scale-out engine: PostgreSQL by asyncpg; list-shaped statements travel as arrays, and where they touch
tables of their own all of a unit's in one round trip.

Durability and isolation do not rest on the server's defaults: each connection asks for synchronous_commit and
read committed itself. A connection on which anything but a statement's own fault happened is thrown away.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any

import asyncpg
from asyncpg.connection import Connection

from chappe.storage.errors import Conflict, Invalid, StoreError, Unavailable
from chappe.storage.statements import Engine, Op, Row, Statement
from chappe.storage.topics import Topics

POOL = 8
MAX_WAITING = 2_000
PATIENCE_S = 10.0  # for a whole unit, from the wait for a connection to the commit
_TRIES = 5  # of a unit that lost a deadlock
_CHANNEL = "chappe"
_NOTIFY_EVERY_S = 0.02  # NOTIFY takes a lock of the whole database at commit: never in a hot transaction

_SESSION = {
    "application_name": "chappe",
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "30s",  # a node that hangs holds no locks and no low-water mark for long
    "jit": "off",
    "synchronous_commit": "on",
}

_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)
_AWAY = (
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, after a failover
    OSError,
    TimeoutError,
)


class PostgresStore:
    engine: Engine = "postgres"

    def __init__(self, dsn: str, *, patience_s: float = PATIENCE_S) -> None:
        self._dsn = dsn
        self._patience_s = patience_s
        self._pool = _Pool(dsn, POOL)
        self._topics = Topics()
        self._name = secrets.token_hex(4)  # to know our own notices when they come back
        self._untold: set[str] = set()
        self._to_tell = asyncio.Event()
        self._waiting = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> PostgresStore:
        """Connect, once to write and once to listen. Raises what asyncpg raises."""
        async with asyncio.timeout(self._patience_s), self._pool.connection():
            ear = await self._listen()
        self._tasks = [asyncio.create_task(self._hear(ear)), asyncio.create_task(self._tell())]
        return self

    # -- the port ---------------------------------------------------------------------------------------------------

    async def write(self, *ops: Op, wake: Iterable[str] = ()) -> list[Any]:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many writes are waiting")
        self._waiting += 1
        try:
            results = await self._write(ops)
        finally:
            self._waiting -= 1
        for topic in wake:
            self._topics.poke(topic)
            self._untold.add(topic)
            self._to_tell.set()
        return results

    async def read(self, op: Op) -> list[Row]:
        for again in (True, False):
            try:
                async with asyncio.timeout(self._patience_s), self._pool.connection() as db:
                    return list(await db.fetch(op.statement.postgres, *op.statement.postgres_params(op.params)))
            except Exception as error:
                if not (again and isinstance(error, _AGAIN)):
                    raise _refusal(error, unknown=False) from error
        raise AssertionError("unreachable")

    scan = read

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        self._topics.listen(topic, callback)

    def poke(self, topic: str) -> None:
        self._topics.poke(topic)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.close()

    # -- units ------------------------------------------------------------------------------------------------------

    async def _write(self, ops: tuple[Op, ...]) -> list[Any]:
        pause_s = 0.005
        for again in range(_TRIES, 0, -1):
            unit = _Unit(ops)
            try:
                async with asyncio.timeout(self._patience_s), self._pool.connection() as db:
                    return await unit.run(db)
            except Exception as error:
                if again == 1 or not isinstance(error, _AGAIN):
                    raise _refusal(error, unknown=unit.committing) from error
            await asyncio.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("unreachable")

    # -- topics -----------------------------------------------------------------------------------------------------

    async def _hear(self, ear: Connection) -> None:
        """Keep a connection that hears other nodes; after a loss wake everybody, since notices were missed."""
        while True:
            lost = asyncio.Event()
            ear.add_termination_listener(lambda _db, lost=lost: lost.set())
            try:
                if not ear.is_closed():
                    await lost.wait()
            finally:
                ear.terminate()
            ear = await self._listen_again()
            self._topics.poke_all()

    async def _listen_again(self) -> Connection:
        while True:
            await asyncio.sleep(1)
            with suppress(*_AWAY, asyncpg.PostgresError):
                return await self._listen()

    async def _listen(self) -> Connection:
        db = await _connect(self._dsn)
        try:
            await db.add_listener(_CHANNEL, self._heard)
        except BaseException:
            db.terminate()
            raise
        return db

    def _heard(self, _db: Any, _pid: int, _channel: str, notice: object) -> None:
        sender, _, topic = str(notice).partition(" ")
        if sender != self._name:
            self._topics.poke(topic)

    async def _tell(self) -> None:
        while True:
            await self._to_tell.wait()
            await asyncio.sleep(_NOTIFY_EVERY_S)
            self._to_tell.clear()
            notices, self._untold = [f"{self._name} {topic}" for topic in self._untold], set()
            with suppress(*_AWAY, asyncpg.PostgresError):  # who listens also polls
                async with asyncio.timeout(self._patience_s), self._pool.connection() as db:
                    await db.execute(
                        "select pg_notify($1, notice) from unnest($2::text[]) as notice", _CHANNEL, notices
                    )


class _Unit:
    """One attempt at a unit; `committing` says that its commit may have reached the server."""

    def __init__(self, ops: tuple[Op, ...]) -> None:
        self._ops = ops
        self.committing = False

    async def run(self, db: Connection) -> list[Any]:
        steps = _steps(self._ops)
        if len(steps) == 1 and all(op.expect is None or op.statement.many for op in self._ops):
            self.committing = True
            return await _take(db, steps[0], alone=True)  # it is its own transaction: two round trips less
        await db.execute("begin")
        try:
            results = [result for step in steps for result in await _take(db, step)]
        except (StoreError, asyncpg.PostgresError, ValueError):
            await db.execute("rollback")
            raise
        self.committing = True
        await db.execute("commit")
        return results


def _steps(ops: tuple[Op, ...]) -> list[list[Op]]:
    """The ops in order; neighbours that touch a table each and no other's go to the server in one step."""
    steps: list[list[Op]] = []
    tables: set[str] = set()
    for op in ops:
        table = op.statement.table
        if steps and table and tables and table not in tables:
            steps[-1].append(op)
            tables.add(table)
        else:
            steps.append([op])
            tables = {table} if table else set()
    return steps


async def _take(db: Connection, step: list[Op], *, alone: bool = False) -> list[Any]:
    """`alone`: nobody rolls it back, so that it has to fail by itself where another number of rows is expected."""
    if len(step) == 1 and not (alone and step[0].expect is not None):
        return [await _execute(db, step[0])]
    some = [op for op in step if op.params]
    row: Any = ()
    if some:
        params = [column for op in some for column in op.statement.postgres_params(op.params)]
        expected = [op.expect for op in some if op.expect is not None] if alone else []
        text = _together(tuple(op.statement for op in some), tuple(alone and op.expect is not None for op in some))
        try:
            row = await db.fetchrow(text, *params, *expected)
        except asyncpg.DivisionByZeroError:
            raise Conflict(f"{', '.join(op.statement.name for op in some)}: not as many rows as expected") from None
    counts = iter(row)
    results = [next(counts) if op.params else 0 for op in step]
    for op, touched in zip(step, results, strict=True):
        op.check(touched)
    return results


@lru_cache(maxsize=1024)
def _together(statements: tuple[Statement, ...], expecting: tuple[bool, ...]) -> str:
    """Statements on tables of their own as one, which gives the number of rows that each touched. Of those that are
    `expecting`, the numbers come as further parameters; any other number fails the whole by a division by zero."""
    parts, width = [], 0
    for n, statement in enumerate(statements):
        text = re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + width}", statement.postgres)  # noqa: B023
        parts.append(f"w{n} as ({text} returning 1)")
        width += len(statement.columns)
    counts = []
    for n, expects in enumerate(expecting):
        count = "count(*)"
        if expects:
            width += 1
            count = f"case when count(*) = ${width}::bigint then count(*) else 1 / (count(*) - count(*)) end"
        counts.append(f"(select {count} from w{n})")
    return f"with {', '.join(parts)} select {', '.join(counts)}"


async def _execute(db: Connection, op: Op) -> Any:
    statement = op.statement
    if statement.many and not op.params:
        op.check(0)
        return 0
    params = statement.postgres_params(op.params)
    if statement.returns:
        rows = await db.fetch(statement.postgres, *params)
        op.check(len(rows))
        return rows
    status = await db.execute(statement.postgres, *params)
    count = status.rpartition(" ")[2]  # "INSERT 0 7", "UPDATE 7", "CREATE TABLE"
    touched = int(count) if count.isdecimal() else 0
    op.check(touched)
    return touched


def _refusal(error: Exception, *, unknown: bool) -> StoreError:
    """What a caller can do about it: gather again, nothing, or wait."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return Conflict(str(error))
    reason = str(error) or type(error).__name__
    # asyncpg's DataError, a value that it cannot encode, is an InterfaceError too
    if isinstance(error, (*_AWAY, *_AGAIN)) and not isinstance(error, ValueError):
        return Unavailable(reason, unknown=unknown)
    return Invalid(f"{type(error).__name__}: {reason}")


# -- connections ----------------------------------------------------------------------------------------------------


class _Pool:
    """Up to `size` connections, the warmest first. asyncpg's own pool costs a round trip and a task at each return."""

    def __init__(self, dsn: str, size: int) -> None:
        self._dsn = dsn
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; anything but a statement's own fault ends it: nobody gets it in a strange state."""
        if self._closed:
            raise Unavailable("the store is closed")
        async with self._free:
            db = await self._take()
            try:
                yield db
            except (StoreError, asyncpg.PostgresError, ValueError) as error:
                self._give(db, usable=not isinstance(error, _AWAY) and not db.is_in_transaction())
                raise
            except BaseException:
                self._give(db, usable=False)
                raise
            self._give(db, usable=True)

    async def close(self) -> None:
        self._closed = True
        idle, self._idle = self._idle, []
        for db in idle:
            with suppress(*_AWAY, asyncpg.PostgresError):
                await db.close(timeout=1)

    async def _take(self) -> Connection:
        while self._idle:
            db = self._idle.pop()
            if not db.is_closed():
                return db
        return await _connect(self._dsn)

    def _give(self, db: Connection, *, usable: bool) -> None:
        if usable and not self._closed and not db.is_closed():
            self._idle.append(db)
        else:
            db.terminate()


async def _connect(dsn: str) -> Connection:
    return await asyncpg.connect(
        dsn,
        timeout=PATIENCE_S,
        server_settings=_SESSION,
        statement_cache_size=512,
        max_cached_statement_lifetime=0,
    )
