"""A store of each engine, and runtimes that share one: two of them are two nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from chappe import logs
from chappe.clock import Clock
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Log, Settings
from chappe.storage import Store, migrate, open_store, schema
from tests.conformance import tables
from tests.support.postgres import Postgres

logs.configure(Log(format="json"))

Node = Callable[..., Awaitable[Runtime]]


@pytest.fixture(scope="session")
def shared_dsn(postgres_server: Postgres) -> Iterator[str]:
    """One PostgreSQL database for the suite: emptying its tables is quicker than making them."""
    with postgres_server.database() as dsn, ThreadPoolExecutor(1) as aside:
        aside.submit(_create, dsn).result()
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine with the tables of the ground and of this suite."""
    if request.param == "sqlite":
        lite = f"sqlite:///{tmp_path}/chappe.db"
        await asyncio.to_thread(_create, lite)
        return lite
    dsn: str = request.getfixturevalue("shared_dsn")
    names = [*tables.metadata.tables, *schema.metadata.tables]
    admin = await asyncpg.connect(dsn)
    there = {row[0] for row in await admin.fetch("select relname from pg_class where relkind in ('r', 'p')")}
    await admin.execute(f"truncate {', '.join(name for name in names if name in there)}")
    await admin.close()
    return dsn


def _create(url: str) -> None:
    migrate.create_all(url)
    migrate.create_all(url, tables.metadata)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await open_store(url)
    yield store
    await store.close()


@pytest.fixture
async def open_node(url: str, tmp_path: Path) -> AsyncIterator[Node]:
    """Opens a runtime on the store; call it twice for two nodes."""
    opened: list[Runtime] = []

    async def open_one(clock: Clock | None = None) -> Runtime:
        rt = await open_runtime(Settings(data_dir=tmp_path, database=url), clock=clock)
        opened.append(rt)
        return rt

    yield open_one
    for rt in opened:
        await rt.close()
