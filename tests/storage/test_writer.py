"""The process that writes an embedded store: what it survives, and what its end costs."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chappe.storage import Invalid, Unavailable, migrate, sql
from chappe.storage.sqlite import SqliteStore
from chappe.storage.writer import STEP, Checkpoints, connect
from tests.conformance import tables
from tests.conformance.tables import ADD_NUMBERS, numbers
from tests.support.eventually import eventually

LATER = """
import asyncio, sys
from pathlib import Path
from chappe.storage import sql
from chappe.storage.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.write(sql("insert into things (id, number) values (1, 1)")())
    print(store._writing._process.pid, flush=True)
    while True:
        await store.write(sql("update things set number = number + 1")())

asyncio.run(main())
"""


class Kind(enum.IntEnum):
    THIRD = 3


class Word(enum.StrEnum):
    BIG = "4"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    await asyncio.to_thread(migrate.create_all, f"sqlite:///{tmp_path}/chappe.db", tables.metadata)
    store = SqliteStore(tmp_path / "chappe.db")
    yield store
    await store.close()


def writer_of(store: SqliteStore) -> int:
    return store._writing._process.pid


async def test_units_behind_a_killed_writer_are_in_doubt_and_the_next_one_starts_another(store: SqliteStore) -> None:
    await store.write(ADD_NUMBERS([(0, 0)]))
    first = writer_of(store)
    os.kill(first, signal.SIGSTOP)
    waiting = [asyncio.create_task(store.write(ADD_NUMBERS([(n, n)]))) for n in range(1, 50)]
    await asyncio.sleep(0.05)
    os.kill(first, signal.SIGKILL)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) and outcome.unknown for outcome in outcomes)
    await asyncio.sleep(1)
    await store.write(ADD_NUMBERS([(100, 1)]))
    assert writer_of(store) != first
    assert [number for number, _ in await numbers(store)] == [0, 100]


async def test_a_writer_that_cannot_stay_up_is_not_started_all_the_time(store: SqliteStore) -> None:
    first = writer_of(store)
    os.kill(first, signal.SIGKILL)
    refused = 0
    async with asyncio.timeout(5):
        while writer_of(store) == first:
            try:
                await store.write(sql("select 1")())
            except Unavailable:
                refused += 1
            await asyncio.sleep(0.01)
    assert refused > 10


async def test_signals_to_the_whole_group_do_not_end_the_writer_before_the_server(store: SqliteStore) -> None:
    await store.write(ADD_NUMBERS([(1, 1)]))  # it is up, and deaf to them
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(writer_of(store), name)
    assert await store.write(ADD_NUMBERS([(2, 2)])) == [1]


async def test_a_killed_server_takes_its_writer_along(store: SqliteStore) -> None:
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", LATER, store.path, stdout=subprocess.PIPE)
    assert server.stdout is not None
    pid = int(await server.stdout.readline())
    server.kill()
    await server.wait()
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), within_s=3)
    before = await numbers(store)
    await asyncio.sleep(0.1)
    assert await numbers(store) == before and before[0][1] >= 1
    assert await store.write(ADD_NUMBERS([(2, 2)])) == [1]  # nothing is locked


async def test_what_nobody_waits_for_any_more_is_not_begun(store: SqliteStore, tmp_path: Path) -> None:
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("begin immediate")
    mine = SqliteStore(store.path)
    task = asyncio.create_task(mine.write(ADD_NUMBERS([(1, 1)])))
    await asyncio.sleep(0.2)
    mine._writing._hang_up()  # as when the server is killed
    await asyncio.to_thread(mine._writing._process.wait, 5)
    other.execute("rollback")
    other.close()
    assert await numbers(store) == []
    task.cancel()


async def test_values_become_plain_or_are_refused_alone(store: SqliteStore) -> None:
    good = store.write(ADD_NUMBERS([(1, Kind.THIRD), (2, Word.BIG)]))
    bad = store.write(ADD_NUMBERS([(3, object())]))
    missing = store.write(ADD_NUMBERS([(None, 1)]))
    short = store.write(ADD_NUMBERS([(4,)]))
    done = await asyncio.gather(good, bad, missing, short, return_exceptions=True)
    assert done[0] == [2] and [type(one) for one in done[1:]] == [Invalid] * 3
    assert await numbers(store) == [(1, 3), (2, 4)]


async def test_any_number_of_rows_and_any_size_of_unit(store: SqliteStore) -> None:
    counts = [1, 2, 3, STEP - 1, STEP, STEP + 1, 5 * STEP + 7]
    start = 0
    for count in counts:
        assert await store.write(ADD_NUMBERS([(start + n, n) for n in range(count)])) == [count]
        start += count
    assert len(await numbers(store)) == sum(counts)
    long = "x" * 3_000_000  # more than the socket takes at once
    done = await asyncio.gather(*(store.write(sql("select length(:text)")({"text": long})) for _ in range(5)))
    assert done == [[[(len(long),)]]] * 5


async def test_closing_waits_for_what_was_taken_and_leaves_one_file(tmp_path: Path, store: SqliteStore) -> None:
    path = tmp_path / "apart.db"
    await asyncio.to_thread(migrate.create_all, f"sqlite:///{path}", tables.metadata)
    apart = SqliteStore(path)
    begin = time.monotonic()
    waiting = [asyncio.create_task(apart.write(ADD_NUMBERS([(n, n)]))) for n in range(300)]
    await asyncio.sleep(0)
    await apart.close()
    assert [await one for one in waiting] == [[1]] * 300 and time.monotonic() - begin < 5
    assert [name for name in sorted(os.listdir(tmp_path)) if name.startswith("apart")] == ["apart.db"]
    with pytest.raises(Unavailable, match="closed"):
        await apart.write(ADD_NUMBERS([(1, 1)]))


def test_the_log_stays_short_while_nothing_ever_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chappe.storage.writer.LOG_PAGES", 300)
    monkeypatch.setattr("chappe.storage.writer.COPY_EVERY", 32)
    path = tmp_path / "busy.db"
    db, longest = connect(path), 0
    db.execute("create table things (id integer primary key, octets blob)")
    checkpoints = Checkpoints(db, str(path))
    checkpoints.start()
    for n in range(3000):  # five pages each
        db.execute("insert into things values (?, randomblob(20000))", (n,))
        checkpoints.committed()
        longest = max(longest, (tmp_path / "busy.db-wal").stat().st_size // 4096)
    checkpoints.end()
    db.close()
    assert 300 < longest < 3000, longest  # of 15,000 written
