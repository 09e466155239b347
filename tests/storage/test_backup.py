"""A backup of an embedded store is one moment of it, whole, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from chappe.storage import backup as backups
from chappe.storage import insert_many, migrate, sql
from chappe.storage.backup import BackupError, backup
from chappe.storage.schema import key, required
from chappe.storage.sqlite import SqliteStore

metadata = sa.MetaData()
halves = [sa.Table(f"half{n}", metadata, key("id"), required("text", sa.Text())) for n in (1, 2)]
ADD = [insert_many(half) for half in halves]
ROWS = 20_000
TEXT = "x" * 400


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    """A store of about 17 MB whose every unit writes a row into both halves."""
    path = tmp_path / "chappe.db"
    await asyncio.to_thread(migrate.create_all, f"sqlite:///{path}", metadata)
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table alembic_version (version_num text)")
    store = SqliteStore(path)
    rows = [(n, TEXT) for n in range(ROWS)]
    await store.write(*(add(rows) for add in ADD))
    return store


async def test_a_backup_under_traffic_is_one_moment(store: SqliteStore, tmp_path: Path) -> None:
    written, stopping = ROWS, False
    seen: list[int] = []

    async def traffic() -> None:
        nonlocal written
        while not stopping:
            row = [(written, TEXT)]
            await store.write(*(add(row) for add in ADD), sql("update half1 set text = 'y' where id = 1")())
            written += 1

    writing = asyncio.create_task(traffic())
    await asyncio.sleep(0.05)
    before = written
    copy = tmp_path / "copy.db"
    size = await asyncio.to_thread(backup, store.path, copy, lambda phase, done, _: seen.append(done))
    after, stopping = written, True
    await writing
    assert after > before, "nobody wrote meanwhile"
    with closing(sqlite3.connect(copy)) as db:
        counts = [db.execute(f"select count(*), max(id) from half{n}").fetchone() for n in (1, 2)]
    assert counts[0] == counts[1] and before <= counts[0][0] <= after
    assert (size, copy.stat().st_mode & 0o777) == (copy.stat().st_size, 0o600)
    copied = seen[: seen.index(max(seen)) + 1]
    assert copied == sorted(copied) and len(copied) <= size / 4096 / backups.PAGES + 2, "it began anew"
    await store.close()


async def test_the_log_that_grew_meanwhile_is_moved_for_the_writer(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "PAGES", 100)
    shrunk: list[int] = []
    shrink = backups._shrink

    def measured(db: sqlite3.Connection) -> None:
        shrink(db)
        _, logged, moved = db.execute("pragma wal_checkpoint(passive)").fetchone()
        shrunk.append(logged - moved)

    monkeypatch.setattr(backups, "_shrink", measured)
    loop = asyncio.get_running_loop()

    def tell(_phase: str, done: int, total: int) -> None:
        if done * 2 < total:  # each fills hundreds of pages of the log, which the snapshot keeps from shrinking
            update = sql("update half2 set text = text || 'z' where id % 7 = 0")
            asyncio.run_coroutine_threadsafe(store.write(update()), loop).result()

    await asyncio.to_thread(backup, store.path, tmp_path / "copy.db", tell)
    assert shrunk[0] < backups.SETTLED
    await store.close()


async def test_what_is_damaged_gets_no_name(store: SqliteStore, tmp_path: Path) -> None:
    await store.close()
    with store.path.open("r+b") as file:
        file.seek(4096 * 500)
        file.write(b"\xff" * 4096)
    with pytest.raises(BackupError, match=r"damaged|malformed"):
        backup(store.path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists() and not (tmp_path / "copy.db.part").exists()


async def test_nothing_is_written_over(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "monday.db").write_text("the only one")
    with pytest.raises(BackupError, match="exists"):
        backup(store.path, tmp_path / "monday.db")
    assert (tmp_path / "monday.db").read_text() == "the only one"
    await store.close()


def test_what_cannot_be_copied_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupError, match="no store at"):
        backup(tmp_path / "none.db", tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("create table t (a)")
    with pytest.raises(BackupError, match="no store of Chappe's"):
        backup(tmp_path / "other.db", tmp_path / "copy.db")
    monkeypatch.setattr(backups.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(BackupError, match="MiB free"):
        backup(tmp_path / "other.db", tmp_path / "copy.db")
