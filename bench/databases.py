"""The stores that cases run on: empty and gone afterwards, or with a history in a folder that stays."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.postgres import Server

STORES = ("sqlite", "postgres")
HISTORY = "history.json"
KEPT = "chappe_bench_history"


@dataclass(frozen=True)
class Database:
    """`folder` is Chappe's data folder; `history` the number of messages that were there before."""

    store: str
    url: str
    folder: Path
    history: int
    cpu_s: Callable[[], float]
    """CPU seconds that its server has used."""

    def size(self) -> int:
        """Octets on disk."""
        if self.store == "sqlite":
            return sum(path.stat().st_size for path in self.folder.glob("chappe.db*"))
        return asyncio.run(_size(self.url))

    def wal_size(self) -> int:
        """Octets of SQLite's write-ahead log; 0 on PostgreSQL, which keeps its own in bounds."""
        wal = self.folder / "chappe.db-wal"
        return wal.stat().st_size if wal.exists() else 0


@contextmanager
def opened(store: str, *, data: Path | None = None, server: str | None = None) -> Iterator[Database]:
    """An empty database, or the one in the folder `data`. `server` is the URL of a PostgreSQL that runs already."""
    with tempfile.TemporaryDirectory(prefix="chappe-bench-") as scratch:
        folder = (data or Path(scratch)).resolve() / store
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / HISTORY
        history = json.loads(known.read_text())["messages"] if known.exists() else 0
        if store == "sqlite":
            yield Database(store, f"sqlite:///{folder}/chappe.db", folder, history, lambda: 0.0)
            return
        postgres = Server(folder / "server" if data else None, server)
        try:
            url = postgres.database(KEPT if data else "chappe_bench", fresh=data is None)
            yield Database(store, url, folder, history, postgres.cpu_s)
        finally:
            postgres.stop()


async def _size(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        size: int = await connection.fetchval("select pg_database_size(current_database())")
        return size
    finally:
        await connection.close()
