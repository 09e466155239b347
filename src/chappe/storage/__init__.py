"""The store: statements as values, two engines behind one port, migrations for both.

`open_store(url)` takes `sqlite:///path/to/file` or `postgresql://...`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg

from chappe.storage.contract import Store
from chappe.storage.errors import Conflict, Invalid, StoreError, Unavailable
from chappe.storage.postgres import PostgresStore
from chappe.storage.sqlite import SqliteStore
from chappe.storage.statements import Op, Row, Statement, core, delete_many, insert_many, sql, update_many

__all__ = [
    "Conflict",
    "Invalid",
    "Op",
    "Row",
    "Statement",
    "Store",
    "StoreError",
    "Unavailable",
    "core",
    "delete_many",
    "insert_many",
    "open_store",
    "sql",
    "update_many",
]


def sqlite_path(url: str) -> Path | None:
    """The file of an embedded store, None for a server's address."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


async def open_store(url: str) -> Store:
    """Open the store of an already migrated database; raises Unavailable or ValueError."""
    path = sqlite_path(url)
    if path is not None:
        try:
            return SqliteStore(path)
        except sqlite3.Error as error:
            raise Unavailable(f"{path}: {error}") from error
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("the database must be sqlite:///FILE or postgresql://...")
    try:
        return await PostgresStore(url).open()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error
