"""Move an embedded store to PostgreSQL: every table in slices by key order, resumable, verified by checksums.

A table of our own in the target (`chappe_copy`) says how far each table is, written with the rows themselves: a copy
that broke off goes on where it stopped. When all rows are there, both sides are read once more and their checksums
compared; then positions and leases are put right and the copy is declared finished, in one transaction.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg
from asyncpg.connection import Connection

from chappe.storage import exclusive, migrate, partitions, sqlite_path
from chappe.storage.checksum import Checksum
from chappe.storage.copy_tables import Table, first_flaw, select, shape
from chappe.storage.errors import StoreError, Unavailable
from chappe.storage.statements import Row

SLICE = 10_000
NOT_COPIED = frozenset({"alembic_version", "chappe_copy", "nodes"})  # who served the old store does not serve the new
_LOCK = 0x6368617070650002  # "chappe", 2: one copy into a database at a time
_SESSION = {
    "application_name": "chappe migrate copy",
    "jit": "off",
    "synchronous_commit": "off",  # a slice lost with its note of progress is copied again; the last commit waits
}
_STATE = """create table if not exists chappe_copy (
    name text primary key, copied bigint not null, last text, finished_at bigint
)"""
_WHOLE = ""  # the row of `chappe_copy` that speaks of all tables

Phase = Literal["count", "copy", "verify"]


class CopyError(StoreError):
    """The copy cannot be made, or is not what it was made from; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a table is: `done` of `total` rows in this phase."""

    phase: Phase
    table: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that is the same on both sides."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Report:
    """`tables` is empty if the copy had been finished before, at `finished_at` (milliseconds)."""

    finished_at: int
    tables: tuple[Copied, ...] = ()


Tell = Callable[[Step], None]


async def copy(source: str, target: str, tell: Tell = lambda _step: None) -> Report:
    """Copy the embedded store at `source` into the PostgreSQL database at `target`, which is empty or half copied.

    Raises CopyError, AlreadyServed (a process serves the source), Unavailable (the target went away: call again).
    """
    path = sqlite_path(source)
    if path is None or not path.exists():
        raise CopyError(f"{source} is no embedded store: give sqlite:///FILE, a file that exists")
    if not target.startswith(("postgresql://", "postgres://")):
        raise CopyError("the target must be postgresql://USER:PASSWORD@HOST/NAME")
    claim = exclusive.claim(source)
    assert claim is not None
    with claim, closing(_open(path)) as db:
        _check_revision(db, path)
        if await asyncio.to_thread(migrate.current, target) is None:
            await asyncio.to_thread(migrate.upgrade, target)
        elif await asyncio.to_thread(migrate.pending, target):
            raise CopyError("the target has the tables of another version: run `chappe migrate` on it first")
        async with _connection(target) as pg:
            return await _Copy(db, pg, tell).run()


class _Copy:
    def __init__(self, db: sqlite3.Connection, pg: Connection, tell: Tell) -> None:
        self.db = db
        self.pg = pg
        self.tell = tell

    async def run(self) -> Report:
        tables = await shape(self.db, self.pg, NOT_COPIED)
        finished_at = await self._begin(tables)
        if finished_at is not None:
            return Report(finished_at)
        counts = {}
        for table in tables:
            self.tell(Step("count", table.name, 0, 0))
            cursor = await asyncio.to_thread(self.db.execute, table.count)
            [counts[table.name]] = cursor.fetchone()
        # the small ones, which are what is configured, come last: a half copied database sends nothing
        tables.sort(key=lambda table: -counts[table.name])
        for table in tables:
            if table.name in partitions.PARTITIONED:
                await self._make_months(table.name)
            await self._copy(table, counts[table.name])
        made = [await self._verified(table, counts[table.name]) for table in tables]
        for table in tables:
            await self.pg.execute(f"analyze {table.name}")
        return Report(await self._finish(tables), tuple(made))

    async def _begin(self, tables: Sequence[Table]) -> int | None:
        """Check that the target is empty or ours, half copied; when it was finished, if it was."""
        names = {table.name for table in tables} | {"nodes"}
        if await self.pg.fetchval("select to_regclass('chappe_copy')") is None:
            await self._need_empty(names)
            await self.pg.execute(_STATE)
        state = dict(await self.pg.fetch("select name, finished_at from chappe_copy"))
        if _WHOLE not in state:
            await self._need_empty(names - state.keys())
        return state.get(_WHOLE)

    async def _need_empty(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if await self.pg.fetchval(f"select exists (select from {name})"):
                raise CopyError(f"{name} of the target has rows that no copy wrote: give an empty database")

    async def _make_months(self, table: str) -> None:
        """The partitions that the rows will lie in; what has none would fall into the default one, for ever."""
        column = partitions.PARTITIONED[table]
        smallest = f"select min({column}) from {table} where {column} >= ?"
        months = partitions.months_of(lambda least: self.db.execute(smallest, (least,)).fetchone()[0])
        there = {row[0] for row in await self.pg.fetch(partitions.EXISTING)}
        for name, ddl in partitions.wanted(table, months):
            if name not in there:
                await self.pg.execute(ddl)

    # -- rows -------------------------------------------------------------------------------------------------------

    async def _copy(self, table: Table, total: int) -> None:
        state = await self.pg.fetchrow("select copied, last from chappe_copy where name = $1", table.name)
        done, last = (state[0], json.loads(state[1] or "null")) if state else (0, None)
        self.tell(Step("copy", table.name, done, total))
        try:
            async for rows in _slices(self.db, table, last):
                await self._write(table, rows, done + len(rows))
                done, last = done + len(rows), table.key_of(rows[-1])
                self.tell(Step("copy", table.name, done, total))
        except (sqlite3.Error, asyncpg.PostgresError, ValueError, TypeError, OverflowError) as error:
            if self.pg.is_closed():
                raise
            raise CopyError(await self._blame(table, last, error)) from error

    async def _write(self, table: Table, rows: Sequence[Row], done: int) -> None:
        table.check_numbers(rows)
        last = json.dumps(table.key_of(rows[-1]))
        async with self.pg.transaction():
            await self.pg.copy_records_to_table(table.name, records=rows, columns=table.names)
            await self.pg.execute(
                "insert into chappe_copy (name, copied, last) values ($1, $2, $3) "
                "on conflict (name) do update set copied = excluded.copied, last = excluded.last",
                table.name,
                done,
                last,
            )

    async def _blame(self, table: Table, last: Any, error: Exception) -> str:
        """The row of the next slice that PostgreSQL refuses, in words."""
        with closing(_lenient(self.db)) as db:
            rows = select(db, table, last).fetchmany(SLICE)
        found = first_flaw(table, rows) or await self._refused(table, rows)
        return f"{found or f'{table.name}: {error}'}. Nothing of this slice was copied: mend the row, then repeat."

    async def _refused(self, table: Table, rows: list[Row]) -> str | None:
        """Halve the slice until one row is left that the target refuses by itself."""
        problem: Exception | None = None
        while len(rows) > 1 or problem is None:
            half = rows[: max(1, len(rows) // 2)]
            try:
                async with self.pg.transaction():
                    await self.pg.copy_records_to_table(table.name, records=half, columns=table.names)
                    raise _Undo
            except _Undo:
                rows = rows[len(half) :]
                if not rows:
                    return None
            except (asyncpg.PostgresError, ValueError, TypeError, OverflowError) as error:
                rows, problem = half, error
        return f"{table.place(rows[0])}: {problem}"

    # -- the same on both sides? ------------------------------------------------------------------------------------

    async def _verified(self, table: Table, total: int) -> Copied:
        """Both sides read anew. Raises CopyError where they differ."""
        here, there = Checksum(), Checksum()

        def told(total: int) -> None:
            self.tell(Step("verify", table.name, (here.rows + there.rows) // 2, total))

        async for rows in _slices(self.db, table, None, ordered=False):
            await asyncio.to_thread(here.add, rows)
            told(total)
        async with self.pg.transaction(readonly=True):
            cursor = await self.pg.cursor(table.read)
            while records := await cursor.fetch(SLICE):
                await asyncio.to_thread(there.add, records)
                told(total)
        if (here.rows, here.value) != (there.rows, there.value):
            raise CopyError(
                f"{table.name} differs: {here.rows} rows with checksum {here} here, {there.rows} with {there} in the "
                "target. One of them was written to since the copy began: copy again, into an empty database"
            )
        return Copied(table.name, here.rows, str(here))

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _finish(self, tables: Sequence[Table]) -> int:
        """Positions go on where the old store stopped, nobody holds a lease, and the copy is a Chappe's database."""
        if await self.pg.fetchval("select exists (select from nodes)"):
            raise CopyError("a Chappe was started on the target before the copy was finished: use an empty database")
        finished_at = round(time.time() * 1000)
        async with self.pg.transaction():
            await self.pg.execute("set local synchronous_commit = on")
            for table in tables:
                if table.identity is not None:
                    await self._restart(table.name, table.identity)
                if "lease_until" in table.names:
                    await self.pg.execute(f"update {table.name} set lease_until = 0 where lease_until <> 0")
            await self.pg.execute(
                "insert into chappe_copy (name, copied, finished_at) values ($1, 0, $2)", _WHOLE, finished_at
            )
        return finished_at

    async def _restart(self, table: str, column: str) -> None:
        """Have an identity column go on behind all that was ever handed out, deleted rows too."""
        used = self.db.execute("select seq from sqlite_sequence where name = ?", (table,)).fetchone()
        if used is not None:
            sequence = await self.pg.fetchval("select pg_get_serial_sequence($1, $2)", table, column)
            await self.pg.execute("select setval($1::regclass, $2)", sequence, used[0])


class _Undo(Exception):
    """Takes back what was only tried."""


# -- connections ----------------------------------------------------------------------------------------------------


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _lenient(db: sqlite3.Connection) -> sqlite3.Connection:
    """The same file, with text that is not UTF-8 as lone surrogates instead of an error."""
    copy = _open(Path(db.execute("pragma database_list").fetchone()[2]))
    copy.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    return copy


def _check_revision(db: sqlite3.Connection, path: Path) -> None:
    try:
        revision = db.execute("select version_num from alembic_version").fetchone()
    except sqlite3.Error as error:
        raise CopyError(f"{path} is no store of Chappe's: {error}") from error
    if revision is None or revision[0] != migrate.head():
        raise CopyError(f"{path} has the tables of another version: run `chappe migrate` on it first")


@asynccontextmanager
async def _connection(target: str) -> AsyncIterator[Connection]:
    """Raises Unavailable if the target does not answer, or goes away within the block."""
    try:
        pg = await asyncpg.connect(target, timeout=migrate.CONNECT_S, server_settings=_SESSION)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error
    try:
        for patience in range(10, -1, -1):  # the server may not have noticed yet that the one before us is gone
            if await pg.fetchval("select pg_try_advisory_lock($1)", _LOCK):
                break
            if not patience:
                raise CopyError("another copy into this database is running")
            await asyncio.sleep(0.1)
        yield pg
        await pg.close()
    except Exception as error:
        if pg.is_closed():  # whatever the driver made of it
            raise Unavailable(f"the target went away ({error}): repeat the command, the copy goes on") from error
        raise
    finally:
        pg.terminate()


async def _slices(
    db: sqlite3.Connection, table: Table, last: Any, *, ordered: bool = True
) -> AsyncIterator[Sequence[Row]]:
    """The rows behind the key `last`; the next slice is read while the caller works on this one."""
    cursor = select(db, table, last) if ordered else db.execute(table.read)
    following: Awaitable[list[Row]] = asyncio.ensure_future(asyncio.to_thread(cursor.fetchmany, SLICE))
    try:
        while rows := await following:
            following = asyncio.ensure_future(asyncio.to_thread(cursor.fetchmany, SLICE))
            yield rows
    finally:
        await asyncio.gather(following, return_exceptions=True)
        cursor.close()
