"""An embedded store moves to PostgreSQL whole: resumable, verified, and with every odd row named."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from chappe.storage import StoreError, Unavailable, exclusive, migrate, open_store
from chappe.storage import copy as copying
from chappe.storage.checksum import Checksum
from chappe.storage.copy import CopyError, Report, Step, copy
from tests.support.history import fill

MESSAGES = 1_200
NOW = int(time.time() * 1000)


@pytest.fixture
async def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a year of messages, closed; slices are small enough for many."""
    monkeypatch.setattr(copying, "SLICE", 100)
    path = tmp_path / "chappe.db"
    await asyncio.to_thread(migrate.upgrade, f"sqlite:///{path}")
    store = await open_store(f"sqlite:///{path}")
    await fill(store, [101, 102], MESSAGES, now=NOW)
    await store.close()
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


async def ask(dsn: str, query: str, *values: Any) -> Any:
    pg = await asyncpg.connect(dsn)
    try:
        return await pg.fetchval(query, *values)
    finally:
        await pg.close()


def rows_of(report: Report) -> dict[str, int]:
    return {copied.table: copied.rows for copied in report.tables}


def stop_at(table: str, done: int) -> Callable[[Step], None]:
    """As if the process had died there."""

    def tell(step: Step) -> None:
        if step.phase == "copy" and step.table == table and step.done >= done:
            raise KeyboardInterrupt

    return tell


async def test_every_table_arrives_and_its_months_have_partitions(source: Path, postgres_dsn: str) -> None:
    report = await copy(f"sqlite:///{source}", postgres_dsn)
    assert rows_of(report)["messages"] == MESSAGES and rows_of(report)["history"] == 3 * MESSAGES
    with closing(sqlite3.connect(source)) as db:
        for table, rows in rows_of(report).items():
            assert db.execute(f"select count(*) from {table}").fetchone()[0] == rows
            assert await ask(postgres_dsn, f"select count(*) from {table}") == rows
        here = db.execute("select id, text, metadata, sent_at from messages where id % 7 = 0 order by id").fetchall()
        frames = db.execute("select message_id, id, request from history order by 1, 2").fetchall()
    pg = await asyncpg.connect(postgres_dsn)
    query = "select id, text, metadata, sent_at from messages where id % 7 = 0 order by id"
    assert [tuple(row) for row in await pg.fetch(query)] == here
    query = "select message_id, id, request from history order by 1, 2"
    assert [tuple(row) for row in await pg.fetch(query)] == frames
    assert await pg.fetchval("select count(*) from messages_default") == 0
    assert await pg.fetchval("select count(distinct tableoid) from messages") in (12, 13)
    await pg.close()


async def test_a_second_run_says_that_the_copy_is_finished(source: Path, postgres_dsn: str) -> None:
    first = await copy(f"sqlite:///{source}", postgres_dsn)
    steps: list[Step] = []
    assert await copy(f"sqlite:///{source}", postgres_dsn, steps.append) == Report(first.finished_at)
    assert steps == []


async def test_a_copy_that_broke_off_goes_on(source: Path, postgres_dsn: str) -> None:
    began: dict[str, int] = {}

    def note(step: Step) -> None:
        if step.phase == "copy":
            began.setdefault(step.table, step.done)

    for table, done in (("history", 0), ("history", 700), ("messages", MESSAGES), ("message_tags", 100)):
        with pytest.raises(KeyboardInterrupt):
            await copy(f"sqlite:///{source}", postgres_dsn, stop_at(table, done))
    report = await copy(f"sqlite:///{source}", postgres_dsn, note)
    assert rows_of(report)["messages"] == MESSAGES
    assert (began["history"], began["messages"], began["message_tags"]) == (3 * MESSAGES, MESSAGES, 100)


async def test_a_lost_connection_is_told_and_the_copy_goes_on(source: Path, postgres_dsn: str) -> None:
    cut = False

    def tell(step: Step) -> None:
        nonlocal cut
        if step.table == "messages" and step.done >= 500 and not cut:
            cut = True
            asyncio.get_running_loop().create_task(
                ask(
                    postgres_dsn,
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where application_name = 'chappe migrate copy'",
                )
            )

    with pytest.raises(Unavailable, match="repeat the command"):
        await copy(f"sqlite:///{source}", postgres_dsn, lambda step: (tell(step), time.sleep(0.02))[0])
    assert cut
    assert rows_of(await copy(f"sqlite:///{source}", postgres_dsn))["messages"] == MESSAGES


async def test_a_store_that_is_served_is_not_copied(source: Path, postgres_dsn: str) -> None:
    claim = exclusive.claim(f"sqlite:///{source}")
    assert claim is not None
    with claim, pytest.raises(exclusive.AlreadyServed):
        await copy(f"sqlite:///{source}", postgres_dsn)


async def test_a_target_with_rows_of_its_own_is_left_alone(source: Path, postgres_dsn: str) -> None:
    await asyncio.to_thread(migrate.upgrade, postgres_dsn)
    await ask(postgres_dsn, "insert into schedules (name) values ('theirs')")
    with pytest.raises(CopyError, match="schedules of the target has rows"):
        await copy(f"sqlite:///{source}", postgres_dsn)
    assert await ask(postgres_dsn, "select count(*) from messages") == 0


async def test_a_half_copied_target_that_somebody_used_is_left_alone(source: Path, postgres_dsn: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        await copy(f"sqlite:///{source}", postgres_dsn, stop_at("messages", 300))
    await ask(postgres_dsn, "insert into nodes values (1, 'a', 'b', 0, 0)")
    with pytest.raises(CopyError, match="nodes of the target has rows"):
        await copy(f"sqlite:///{source}", postgres_dsn)


async def test_two_copies_into_one_database_do_not_mix(source: Path, postgres_dsn: str) -> None:
    pg = await asyncpg.connect(postgres_dsn)
    await pg.execute("select pg_advisory_lock($1)", copying._LOCK)
    with pytest.raises(CopyError, match="another copy"):
        await copy(f"sqlite:///{source}", postgres_dsn)
    await pg.close()


async def test_each_row_that_postgresql_refuses_is_named(source: Path, postgres_dsn: str) -> None:
    odd = {
        "text = 'a' || char(0) || 'b'": "text holds U[+]0000",
        "segments = 'three'": "segments is 'three', no smallint",
        "segments = 70000": "segments is 70000, no smallint",
        "login_id = 1.5": "login_id is 1.5, no bigint",
        "sender = x'ff00'": "sender holds bytes, no text",
        "sender = cast(x'c328' as text)": "sender is not UTF-8",
    }
    with closing(sqlite3.connect(source)) as db:
        numbers = [row[0] for row in db.execute("select id from messages order by id limit 6 offset 777")]
    for number, wrong in zip(numbers, odd, strict=True):
        change(source, f"update messages set {wrong} where id = {number}")
    for number, words in zip(numbers, odd.values(), strict=True):
        with pytest.raises(CopyError, match=f"messages, id {number}: {words}"):
            await copy(f"sqlite:///{source}", postgres_dsn)
        mended = "text = 'mended', segments = 1, login_id = null, sender = 'Acme'"
        change(source, f"update messages set {mended} where id = {number}")
    assert rows_of(await copy(f"sqlite:///{source}", postgres_dsn))["messages"] == MESSAGES


async def test_a_row_that_only_the_server_refuses_is_found_too(source: Path, postgres_dsn: str) -> None:
    await asyncio.to_thread(migrate.upgrade, postgres_dsn)
    await ask(postgres_dsn, "alter table messages add constraint short check (correlation_id <> 'odd')")
    with closing(sqlite3.connect(source)) as db:
        [odd] = db.execute("select id from messages order by id limit 1 offset 555").fetchone()
    change(source, f"update messages set correlation_id = 'odd' where id = {odd}")
    with pytest.raises(CopyError, match=f"messages, id {odd}: .*violates check constraint"):
        await copy(f"sqlite:///{source}", postgres_dsn)


async def test_a_source_that_was_written_to_meanwhile_is_noticed(source: Path, postgres_dsn: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        await copy(f"sqlite:///{source}", postgres_dsn, stop_at("messages", 500))
    change(source, "update messages set state = 9 where id = (select min(id) from messages)")
    with pytest.raises(CopyError, match="messages differs: 1200 rows"):
        await copy(f"sqlite:///{source}", postgres_dsn)


async def test_positions_go_on_and_leases_are_free(source: Path, postgres_dsn: str) -> None:
    far = NOW + 3_600_000
    change(
        source,
        "insert into events (kind, account_id, created_at, payload) values ('k', 1, 1, '{}'), ('k', 1, 2, '{}')",
        "insert into events (kind, account_id, created_at, payload) values ('k', 1, 3, '{}')",
        "delete from events where position = 3",
        f"insert into event_cursors values ('r', 'k', 0, 1, 'me', 4, {far}, {far})",
        f"insert into jobs values (7, 'j', '{{}}', 5, 1, 'me', {far}, 1, null, null)",
    )
    await copy(f"sqlite:///{source}", postgres_dsn)
    emit = "insert into events (kind, account_id, created_at, payload) values ('k', 1, 4, '{}') returning position"
    assert await ask(postgres_dsn, emit) == 4
    behind = """select array_agg(e.position order by e.tx, e.position) from events e, event_cursors c
        where (e.tx, e.position) > (c.tx, c.position)"""
    assert await ask(postgres_dsn, behind) == [2, 4]
    leases = "select max(lease_until) from (select lease_until from jobs union all select lease_until from {}) as l"
    assert await ask(postgres_dsn, leases.format("event_cursors")) == 0


async def test_what_is_no_store_is_told(source: Path, postgres_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(CopyError, match="a file that exists"):
        await copy(f"sqlite:///{tmp_path}/none.db", postgres_dsn)
    with pytest.raises(CopyError, match="the target must be postgresql"):
        await copy(f"sqlite:///{source}", "mysql://there")
    (tmp_path / "other.db").touch()
    with pytest.raises(CopyError, match="no store of Chappe's"):
        await copy(f"sqlite:///{tmp_path}/other.db", postgres_dsn)
    change(source, "update alembic_version set version_num = '0000'")
    with pytest.raises(CopyError, match="run `chappe migrate`"):
        await copy(f"sqlite:///{source}", postgres_dsn)
    change(source, f"update alembic_version set version_num = '{migrate.head()}'")
    with pytest.raises(StoreError):
        await copy(f"sqlite:///{source}", "postgresql://nobody:wrong@127.0.0.1:1/none")


def test_a_checksum_is_that_of_the_rows_in_any_order() -> None:
    rows: list[tuple[Any, ...]] = [(1, "a", None, b"x"), (2, "b", 1.5, b""), (2, "b", 1.5, b"")]
    one, other, less = Checksum(), Checksum(), Checksum()
    one.add(rows)
    other.add(rows[2:])
    other.add(rows[:2])
    less.add(rows[:1])
    assert (one.rows, str(one)) == (other.rows, str(other))
    assert str(less) != str(one)  # a row that is there twice does not vanish
