"""Filling PostgreSQL: child processes make rows and COPY them, indexes are built at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import asyncpg

from bench.databases import Database
from bench.history.story import DAY_MS, Cast, Story
from chappe.messages import store
from chappe.storage import open_store
from chappe.storage.partitions import ensure_partitions

CHAPTER = 20_000
_TABLES = ("messages", "history", "message_tags", "parts")
_INDEXES = """select c.relname, pg_get_indexdef(c.oid) from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    where t.relname = any($1::text[]) and not i.indisprimary and not c.relispartition"""


def fill(database: Database, cast: Cast, workers: int, step: Callable[[int], None]) -> int:
    """Write all messages; the octets of their texts."""
    asyncio.run(_make_months(database.url, cast))
    indexes = asyncio.run(_drop_indexes(database.url))
    pieces = [(n, min(n + CHAPTER, cast.count)) for n in range(0, cast.count, CHAPTER)]
    octets = 0
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(cast, database.url)) as pool:
        for done in as_completed([pool.submit(_copy, *piece) for piece in pieces]):
            messages, text = done.result()
            octets += text
            step(messages)
    asyncio.run(_finish(database.url, indexes))
    return octets


async def _make_months(url: str, cast: Cast) -> None:
    opened = await open_store(url)
    try:
        for moment in range(cast.began, cast.ended, 28 * DAY_MS):
            await ensure_partitions(opened, moment)
    finally:
        await opened.close()


async def _drop_indexes(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        indexes = await connection.fetch(_INDEXES, list(_TABLES))
        for name, _ in indexes:
            await connection.execute(f"drop index {name}")
        return [ddl.replace(" ON ONLY ", " ON ") for _, ddl in indexes]
    finally:
        await connection.close()


async def _finish(url: str, indexes: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("set maintenance_work_mem = '512MB'")
        for ddl in indexes:
            await connection.execute(ddl, timeout=3600)
        for table in _TABLES:
            await connection.execute(f"vacuum (freeze, analyze) {table}", timeout=3600)
        await connection.execute("checkpoint", timeout=3600)
    finally:
        await connection.close()


class _Copier:
    """A child process's story, loop and connection."""

    def __init__(self, cast: Cast, url: str) -> None:
        self.story = Story(cast)
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self.loop.run_until_complete(asyncpg.connect(url))
        self.loop.run_until_complete(self.connection.execute("set synchronous_commit = off"))

    async def copy(self, first: int, last: int) -> int:
        chapter = self.story.chapter(first, last)
        async with self.connection.transaction():
            for table, rows in (
                (store.messages, chapter.messages),
                (store.history, chapter.history),
                (store.message_tags, chapter.tags),
                (store.parts, chapter.parts),
            ):
                columns = [column.name for column in table.columns]
                await self.connection.copy_records_to_table(table.name, records=rows, columns=columns)
        return chapter.text_octets


_copier: _Copier


def _begin(cast: Cast, url: str) -> None:
    global _copier
    _copier = _Copier(cast, url)


def _copy(first: int, last: int) -> tuple[int, int]:
    return last - first, _copier.loop.run_until_complete(_copier.copy(first, last))
