"""Worlds that end with their test, and tell what they saw when it fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.world import World

MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """`await make_world(database, ...)` starts a world; the logs of its processes show when the test fails."""
    made: list[World] = []
    stumbles: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: stumbles.append(repr(context)))

    async def make(database: str, **options: Any) -> World:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        world = World(folder, database, **options)
        made.append(world)
        await world.start()
        return world

    yield make
    for world in made:
        await world.stop()
        sys.stderr.write("".join(process.tail for process in (*world.nodes, world.operator)))
    assert not stumbles, "\n".join(stumbles)  # of the test's own customers


@pytest.fixture
async def world(store_url: str, make_world: MakeWorld) -> World:
    """An installation on each of the stores."""
    return await make_world(store_url)
