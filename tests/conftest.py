"""Fixtures for every room: a real PostgreSQL for the whole run, and a fresh store for each test that asks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from chappe.storage import migrate
from tests.support.furnished import Furnished
from tests.support.postgres import Postgres, apart, start_postgres
from tests.support.workers import Sharing

# A busy machine is no failure, and the same code passes twice; `--hypothesis-profile explore` looks further.
settings.register_profile("explore", deadline=None)
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Only asked where there are several workers (`make test`)."""
    return Sharing(config, log)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for the run (for each worker of it), started when the first test asks for it."""
    server = start_postgres(sync=False)
    yield server
    server.stop()


@pytest.fixture
def syncing_postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """For tests about durability: commits wait for the disk (a database is then made in 0.5 s instead of 0.05 s)."""
    postgres_server.sync(True)
    yield postgres_server
    postgres_server.sync(False)


@pytest.fixture
def postgres_dsn(postgres_server: Postgres) -> Iterator[str]:
    """The DSN of an empty database of this test's own."""
    with postgres_server.database() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def furnished(postgres_server: Postgres) -> Iterator[Furnished]:
    """`with furnished.database() as dsn`: a PostgreSQL database with all tables and no rows."""
    with postgres_server.database() as template:
        apart(asyncio.to_thread(migrate.upgrade, template))
        yield Furnished(postgres_server, template)


@pytest.fixture
def postgres_url(furnished: Furnished) -> Iterator[str]:
    """A PostgreSQL database for this test alone, with all tables and no rows."""
    with furnished.database() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def make_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """`make_sqlite(folder)` makes the store `sqlite:///<folder>/chappe.db` with all tables."""
    template = tmp_path_factory.mktemp("template") / "chappe.db"
    migrate.upgrade(f"sqlite:///{template}")
    return lambda folder: f"sqlite:///{shutil.copy(template, folder)}"


@pytest.fixture
def sqlite_url(make_sqlite: Callable[[Path], str], tmp_path: Path) -> str:
    """`sqlite:///<tmp_path>/chappe.db` with all tables."""
    return make_sqlite(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A store of each engine with all tables and no rows: `sqlite:///...`, then `postgresql://...`."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each engine that nobody has opened yet, without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/chappe.db"
    dsn: str = request.getfixturevalue("postgres_dsn")
    return dsn
