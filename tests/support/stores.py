"""Stores for tests: the tables of all rooms that the test has imported, on either engine."""

from __future__ import annotations

import asyncio

from chappe import runtime
from chappe.storage import Store, migrate, open_store

assert runtime  # the ground's own tables hang on the metadata once it is imported


async def make_store(url: str) -> Store:
    """The store at `url` (`store_url` gives an empty one of each engine) with all tables made; close it yourself."""
    await asyncio.to_thread(migrate.create_all, url)
    return await open_store(url)
