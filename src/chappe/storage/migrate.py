"""Bring a database to today's schema. Each function blocks: call it from a thread where a loop runs.

Migrations only expand, so yesterday's code runs on today's schema while a cluster is renewed node by node.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import asyncpg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from chappe.storage import sqlite_path
from chappe.storage.errors import Unavailable
from chappe.storage.partitions import create_partitions, mark_partitioned
from chappe.storage.schema import metadata

T = TypeVar("T")

_log = structlog.get_logger("storage")

CONNECT_S = 10.0
_LOCK = 0x6368617070650001  # "chappe", 1: of the advisory lock that one migration holds


def upgrade(url: str) -> None:
    """Apply all pending migrations in one transaction; a second process meanwhile waits, then finds none.

    A database that a newer version has been at is left as it is, with a warning.
    """

    def work(connection: sa.Connection) -> None:
        revision = MigrationContext.configure(connection).get_current_revision()
        if is_newer(revision):
            _log.warning("the database is of a newer version of Chappe, whose tables serve this one too", at=revision)
        else:
            command.upgrade(_config(connection), "head")
        create_partitions(connection, round(time.time() * 1000))

    _locked(url, work)


def current(url: str) -> str | None:
    """The revision of the database, None for an empty or missing one. Raises StoreError if it cannot be reached."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    return _locked(url, lambda connection: MigrationContext.configure(connection).get_current_revision())


def head() -> str | None:
    """The newest revision of this version of Chappe."""
    return _scripts().get_current_head()


def pending(url: str) -> list[str]:
    """The revisions that `upgrade` would apply, oldest first; none of a newer version's database."""
    now = current(url)
    if is_newer(now):
        return []
    newest_first = _scripts().iterate_revisions("head", now or "base")
    return [script.revision for script in newest_first][::-1]


def create_all(url: str, tables: sa.MetaData = metadata) -> None:
    """Create the tables of all rooms that have been imported, without migrations: for a room's own tests."""

    def work(connection: sa.Connection) -> None:
        mark_partitioned(tables)
        tables.create_all(connection)
        create_partitions(connection, round(time.time() * 1000))

    _locked(url, work)


def is_newer(revision: str | None) -> bool:
    """Whether a version that came after this one has migrated the database."""
    return revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _locked(url: str, work: Callable[[sa.Connection], T]) -> T:
    """Run `work` in one transaction that excludes every other migration."""
    path = sqlite_path(url)
    try:
        return _on_sqlite(path, work) if path is not None else asyncio.run(_on_postgres(url, work))
    except (sa.exc.OperationalError, sa.exc.InterfaceError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error


def _on_sqlite(path: Path, work: Callable[[sa.Connection], T]) -> T:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={"timeout": 60, "isolation_level": None},
    )
    # sqlite3 would begin a transaction before the first INSERT only, and leave CREATE TABLE outside of it
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("begin immediate"))
    with engine.begin() as connection:
        return work(connection)


async def _on_postgres(url: str, work: Callable[[sa.Connection], T]) -> T:
    # our own connect, so that the address means the same here as in the store
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url, timeout=CONNECT_S), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
