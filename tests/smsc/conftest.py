from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chappe.storage import migrate
from tests.smsc.house import House, open_house


async def _closed(house: House) -> None:
    for client in house.clients:
        client.conn.abort()
    await house.close()
    await house.operator.stop()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded store with all tables, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("smsc") / "chappe.db"
    migrate.create_all(f"sqlite:///{path}")
    return path


@pytest.fixture
async def house(empty_store: Path, tmp_path: Path) -> AsyncIterator[House]:
    """On the embedded store."""
    shutil.copy(empty_store, tmp_path)
    house = await open_house(f"sqlite:///{tmp_path}/chappe.db", tmp_path, made=True)
    yield house
    await _closed(house)


@pytest.fixture
async def any_house(store_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """On either store."""
    house = await open_house(store_url, tmp_path)
    yield house
    await _closed(house)
