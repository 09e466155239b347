from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.smsc.house import House, open_house


async def _closed(house: House) -> None:
    for client in house.clients:
        client.conn.abort()
    await house.close()
    await house.operator.stop()


@pytest.fixture
async def house(sqlite_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """On the embedded store."""
    house = await open_house(sqlite_url, tmp_path)
    yield house
    await _closed(house)


@pytest.fixture
async def any_house(store_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """On either store."""
    house = await open_house(store_url, tmp_path)
    yield house
    await _closed(house)
