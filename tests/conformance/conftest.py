"""A store of each engine, and runtimes that share one: two of them are two nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from chappe import logs
from chappe.clock import Clock
from chappe.runtime import Runtime, open_runtime
from chappe.settings import Log, Settings
from chappe.storage import Store, migrate, open_store
from tests.conformance import tables
from tests.support.furnished import Furnished
from tests.support.postgres import Postgres, apart

logs.configure(Log(format="json"))

Node = Callable[..., Awaitable[Runtime]]


@pytest.fixture(scope="session")
def with_things(postgres_server: Postgres) -> Iterator[Furnished]:
    """PostgreSQL databases with the tables of this suite too."""
    with postgres_server.database() as template:
        apart(asyncio.to_thread(migrate.create_all, template))
        apart(asyncio.to_thread(migrate.create_all, template, tables.metadata))
        yield Furnished(postgres_server, template)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of each engine with the tables of the ground and of this suite, and no rows."""
    if request.param == "sqlite":
        lite: str = request.getfixturevalue("sqlite_url")
        migrate.create_all(lite, tables.metadata)
        yield lite
    else:
        with request.getfixturevalue("with_things").database() as dsn:
            yield dsn


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
