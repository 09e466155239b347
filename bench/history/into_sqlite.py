"""Filling the embedded store: one writer, rows from child processes, indexes built at the end."""

from __future__ import annotations

import marshal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import islice
from multiprocessing import get_context
from typing import Any

from bench.databases import Database
from bench.history.story import Cast, Chapter, Story
from chappe.messages import store

CHAPTER = 10_000
_TABLES = ("messages", "history", "message_tags", "parts")


def fill(database: Database, cast: Cast, workers: int, step: Callable[[int], None]) -> int:
    """Write all messages; the octets of their texts. What is half written when we are killed is worth nothing."""
    path = database.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma locking_mode = exclusive")
        db.execute("pragma journal_mode = off")
        db.execute("pragma synchronous = off")
        db.execute("pragma cache_size = -1000000")
        indexes = db.execute(
            f"select name, sql from sqlite_master where type = 'index' and sql is not null and tbl_name in {_TABLES}"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"drop index {name}")
        octets = sum(_insert(db, chapter, step) for chapter in _chapters(cast, workers))
        for _, ddl in indexes:
            db.execute(ddl)
        db.execute("pragma synchronous = full")
        db.execute("pragma journal_mode = wal")
    return octets


def _insert(db: sqlite3.Connection, chapter: Chapter, step: Callable[[int], None]) -> int:
    db.execute("begin")
    for table, rows in (
        (store.messages, chapter.messages),
        (store.history, chapter.history),
        (store.message_tags, chapter.tags),
        (store.parts, chapter.parts),
    ):
        names = [column.name for column in table.columns]
        db.executemany(f"insert into {table.name} ({', '.join(names)}) values ({', '.join('?' * len(names))})", rows)
    db.execute("commit")
    step(len(chapter.messages))
    return chapter.text_octets


def _chapters(cast: Cast, workers: int) -> Iterator[Chapter]:
    """In their order; a few are made ahead."""
    pieces = iter([(n, min(n + CHAPTER, cast.count)) for n in range(0, cast.count, CHAPTER)])
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(cast,)) as pool:
        ahead = [pool.submit(_write, *piece) for piece in islice(pieces, 2 * workers)]
        while ahead:
            rows = marshal.loads(ahead.pop(0).result())
            ahead += [pool.submit(_write, *piece) for piece in islice(pieces, 1)]
            yield Chapter(*rows)


_story: Story


def _begin(cast: Cast) -> None:
    global _story
    _story = Story(cast)


def _write(first: int, last: int) -> bytes:
    """The rows of a chapter; marshal is several times quicker than pickle on plain tuples."""
    chapter = _story.chapter(first, last)
    rows: Sequence[Any] = (chapter.messages, chapter.history, chapter.tags, chapter.parts, chapter.text_octets)
    return marshal.dumps(tuple(rows))
