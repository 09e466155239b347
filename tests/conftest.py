"""Fixtures for every room: a real PostgreSQL for the whole run, a fresh database for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.postgres import Postgres, start_postgres

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for the run, started when the first test asks for it."""
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres_dsn(postgres_server: Postgres) -> Iterator[str]:
    """The DSN of an empty database of this test's own."""
    with postgres_server.database() as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each engine: `sqlite:///<tmp>/chappe.db`, then `postgresql://...`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/chappe.db"
    dsn: str = request.getfixturevalue("postgres_dsn")
    return dsn
