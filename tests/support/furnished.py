"""PostgreSQL databases that have all tables, used by one test after the other.

A copy of a database costs the server a quarter of a second of processor, emptying one a twentieth of that. What a test
has left in any other shape than it was is thrown away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import asyncpg

from tests.support.postgres import Postgres, apart

_ALONE = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
# relations with their columns, constraints, triggers, and settings of the database
_SHAPE = """
select md5(string_agg(line, ',' order by line)) from (
    select concat_ws(' ', relname, relkind, attname, atttypid, attnotnull)
    from pg_class join pg_attribute on attrelid = pg_class.oid where relnamespace = 'public'::regnamespace
    union all select concat_ws(' ', conname, conrelid::regclass) from pg_constraint
    where connamespace = 'public'::regnamespace
    union all select concat_ws(' ', tgname, tgrelid::regclass) from pg_trigger where not tgisinternal
    union all select setconfig::text from pg_db_role_setting join pg_database on setdatabase = pg_database.oid
    where datname = current_database()
) as shape (line)
"""
_EMPTY = """
do $$ declare name regclass; begin
    for name in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
        and not relispartition and relname <> 'alembic_version'
    loop execute format('delete from %s', name); end loop;
    for name in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'S'
    loop perform setval(name, 1, false); end loop;
end $$
"""


class Furnished:
    """Databases on `server` with the tables of the one whose DSN is `template`."""

    def __init__(self, server: Postgres, template: str) -> None:
        self._server = server
        self._template = template
        self._shape = apart(_shape(template))
        self._free: list[str] = []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The DSN of a database without any rows, in synchronous and in asynchronous code."""
        dsn = self._free.pop() if self._free else apart(self._server.create_database(self._template))
        try:
            yield dsn
        finally:
            self._server.resume()  # a test that failed may have left it paused
            apart(self._take_back(dsn))

    async def _take_back(self, dsn: str) -> None:
        try:
            await _empty(dsn, self._shape)
        except (asyncpg.PostgresError, OSError, ValueError):
            await self._server.drop_database(dsn)
        else:
            self._free.append(dsn)


async def _shape(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    shape: str = await connection.fetchval(_SHAPE)
    await connection.close()
    return shape


async def _empty(dsn: str, shape: str) -> None:
    """Raises ValueError when it is no longer of that shape."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_ALONE)
        if await connection.fetchval(_SHAPE) != shape:
            raise ValueError(f"{dsn} has another shape")
        await connection.execute("set lock_timeout = '2s'")
        await connection.execute("set session_replication_role = replica")  # also what no trigger lets anybody delete
        await connection.execute(_EMPTY)
    finally:
        await connection.close()
