"""A database that is away, locked, full or read-only: refused with a reason, nothing lost, resumed by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from chappe.storage import Store, Unavailable, migrate, open_store, sql
from chappe.storage.postgres import PostgresStore
from chappe.storage.sqlite import SqliteStore
from chappe.storage.writer import connect
from chappe.storage.writing import MAX_WAITING
from tests.conformance import tables
from tests.conformance.tables import ADD, ADD_NUMBERS, numbers
from tests.support.eventually import eventually
from tests.support.postgres import Postgres

pytestmark = pytest.mark.usefixtures("syncing_postgres")

PATIENCE_S = 0.6


@pytest.fixture
async def lite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    await asyncio.to_thread(migrate.create_all, f"sqlite:///{tmp_path}/chappe.db", tables.metadata)
    store = SqliteStore(tmp_path / "chappe.db", lock_patience_s=PATIENCE_S)
    yield store
    await store.close()


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[PostgresStore]:
    await asyncio.to_thread(migrate.create_all, postgres_dsn, tables.metadata)
    store = await PostgresStore(postgres_dsn, patience_s=PATIENCE_S).open()
    yield store
    await store.close()


# -- SQLite ---------------------------------------------------------------------------------------------------------


async def test_the_writer_syncs_every_commit(lite: SqliteStore) -> None:
    [[row], [mode]] = await lite.write(
        sql("select synchronous from pragma_synchronous")(), sql("select journal_mode from pragma_journal_mode")()
    )
    assert (row, mode) == ((2,), ("wal",))  # 2 is FULL


async def test_no_write_is_answered_while_another_process_holds_the_lock(lite: SqliteStore) -> None:
    other = connect(lite.path)
    other.execute("begin immediate")
    start = time.monotonic()
    waiting = [asyncio.create_task(lite.write(ADD_NUMBERS([(n, n)]))) for n in range(20)]
    done, _ = await asyncio.wait(waiting, timeout=PATIENCE_S / 2)
    assert not done
    assert await numbers(lite) == []  # readers do not wait
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert not any(outcome.unknown for outcome in outcomes if isinstance(outcome, Unavailable))
    assert time.monotonic() - start < PATIENCE_S + 3
    other.execute("rollback")
    await lite.write(ADD_NUMBERS([(100, 1)]))
    assert await numbers(lite) == [(100, 1)]
    other.close()


async def test_a_lock_that_ends_in_time_is_waited_for(lite: SqliteStore) -> None:
    other = connect(lite.path)
    other.execute("begin immediate")
    waiting = asyncio.create_task(lite.write(ADD_NUMBERS([(1, 1)])))
    await asyncio.sleep(PATIENCE_S / 3)
    other.execute("rollback")
    assert await waiting == [1]
    other.close()


async def test_more_writes_than_may_wait_are_refused_at_once(lite: SqliteStore) -> None:
    other = connect(lite.path)
    other.execute("begin immediate")
    waiting = [asyncio.create_task(lite.write(ADD_NUMBERS([(n, n)]))) for n in range(MAX_WAITING + 300)]
    done, _ = await asyncio.wait(waiting, timeout=PATIENCE_S / 4)
    assert 0 < len(done) <= 300
    assert all("too many" in str(task.exception()) for task in done)
    other.execute("rollback")
    other.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(outcome == [1] for outcome in outcomes) == len(await numbers(lite)) >= MAX_WAITING


async def test_a_full_disk_refuses_new_rows_keeps_the_old_ones_and_takes_rows_again_later(lite: SqliteStore) -> None:
    async def limit(pages: int) -> None:
        await lite.write(sql(f"pragma max_page_count = {pages}")())

    await lite.write(ADD_NUMBERS([(1, 1)]))
    [[pages]] = await lite.read(sql("select page_count from pragma_page_count")())
    await limit(pages + 20)
    big = b"x" * 50_000
    written = [1]
    with pytest.raises(Unavailable, match="full"):
        for n in range(2, 10):
            await lite.write(ADD([(n, n, None, None, None, None, big)]))
            written.append(n)
    assert [number for number, _ in await numbers(lite)] == written
    with pytest.raises(Unavailable, match="full"):
        await lite.write(ADD([(50, 50, None, None, None, None, big * 2)]))
    await limit(1_000_000)
    await lite.write(ADD([(50, 50, None, None, None, None, big * 2)]))
    check = sqlite3.connect(lite.path)
    assert check.execute("pragma integrity_check").fetchone() == ("ok",)
    assert [row[0] for row in check.execute("select id from things order by id")] == [*written, 50]
    check.close()


async def test_a_search_that_takes_too_long_is_given_up(lite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.storage.sqlite.SCAN_S", 0.2)
    endless = sql("with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n")
    with pytest.raises(Unavailable, match="interrupted"):
        await lite.scan(endless())
    assert await lite.scan(sql("select 1")()) == [(1,)]


# -- PostgreSQL -----------------------------------------------------------------------------------------------------


async def test_no_write_is_answered_while_the_server_is_stopped(
    postgres: PostgresStore, postgres_server: Postgres
) -> None:
    await asyncio.gather(*(postgres.write(ADD_NUMBERS([(n, n)]), ADD_NUMBERS([(n + 10, n)])) for n in range(3)))
    postgres_server.pause()
    start = time.monotonic()
    try:
        waiting = [
            asyncio.create_task(postgres.write(ADD_NUMBERS([(n, n)]), ADD_NUMBERS([(n + 100, n)])))
            for n in range(20, 40)
        ]
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE_S / 2)
        assert not done
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        with pytest.raises(Unavailable):
            await postgres.read(tables.NUMBERS())
    finally:
        postgres_server.resume()
    assert time.monotonic() - start < 3 * PATIENCE_S + 1
    await eventually(lambda: _writes(postgres, 500))
    assert {0, 1, 2, 10, 11, 12} <= {row[0] for row in await numbers(postgres)}


async def test_connections_that_the_server_ends_are_made_anew(postgres: PostgresStore, postgres_dsn: str) -> None:
    await postgres.write(ADD_NUMBERS([(1, 1)]))
    admin = await asyncpg.connect(postgres_dsn)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> $1"
    slow = asyncio.create_task(postgres.write(ADD_NUMBERS([(2, 2)]), sql("select pg_sleep(0.5)")()))
    await asyncio.sleep(0.1)
    await admin.execute(kill, admin.get_server_pid())
    with pytest.raises(Unavailable) as refused:
        await slow
    assert not refused.value.unknown
    await eventually(lambda: _writes(postgres, 3))
    assert await numbers(postgres) == [(1, 1), (3, 1)]
    await admin.close()


async def test_a_server_that_became_read_only_is_away_until_it_takes_writes_again(
    postgres: PostgresStore, postgres_dsn: str
) -> None:
    admin = await asyncpg.connect(postgres_dsn)
    name = await admin.fetchval("select current_database()")
    await admin.execute(f"alter database {name} set default_transaction_read_only = on")
    await postgres.close()
    standby = await PostgresStore(postgres_dsn).open()
    with pytest.raises(Unavailable, match="read-only"):
        await standby.write(ADD_NUMBERS([(1, 1)]))
    await admin.execute("set default_transaction_read_only = off")
    await admin.execute(f"alter database {name} set default_transaction_read_only = off")
    await eventually(lambda: _writes(standby, 1))  # the refusing connection was thrown away
    await standby.close()
    await admin.close()


async def test_a_commit_does_not_rest_on_the_servers_defaults(postgres_dsn: str) -> None:
    admin = await asyncpg.connect(postgres_dsn)
    name = await admin.fetchval("select current_database()")
    await admin.execute(f"alter database {name} set synchronous_commit = off")
    await admin.execute(f"alter database {name} set default_transaction_isolation = 'serializable'")
    await admin.close()
    store = await PostgresStore(postgres_dsn).open()
    show = sql("select current_setting('synchronous_commit'), current_setting('transaction_isolation')")
    assert [tuple(row) for row in await store.read(show())] == [("on", "read committed")]
    await store.close()


async def test_a_statement_outlives_a_change_of_its_table(postgres: PostgresStore, postgres_dsn: str) -> None:
    everything = sql("select * from things")
    await postgres.write(ADD_NUMBERS([(1, 1)]), everything())
    admin = await asyncpg.connect(postgres_dsn)
    await admin.execute("alter table things add column more bigint")  # what a migration does under our feet
    await admin.close()
    [_, rows] = await postgres.write(ADD_NUMBERS([(2, 2)]), everything())
    assert len(rows) == 2


async def test_an_address_where_nothing_answers_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await open_store("postgresql://nobody:wrong@127.0.0.1:1/none")


async def _writes(store: Store, number: int) -> bool:
    try:
        await store.write(ADD_NUMBERS([(number, 1)]))
    except Unavailable:
        return False
    return True
