from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.smpp.aio.peers import Pair


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    for conn in pair.mine:
        conn.abort()
    if pair.server is not None:
        await pair.server.close(0.2)
