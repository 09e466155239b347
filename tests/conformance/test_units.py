"""Units: all or nothing, alone with their faults, in front of everybody's eyes after the commit and not before."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from chappe.storage import Conflict, Invalid, Store, Unavailable, open_store, sql
from tests.conformance.tables import (
    ADD_NUMBERS,
    COUNT,
    DELETE_LOW,
    NOTE,
    NUMBERS,
    RAISE,
    SET_NUMBER,
    notes,
    numbers,
)
from tests.support.eventually import eventually

CLAIM = sql(
    "with picked as (select id from things where number = 0 order by id limit :limit::bigint skip_locked()) "
    "update things set number = :who::bigint where id in (select id from picked) returning id"
)


async def test_one_bad_unit_among_fifty_fails_alone(store: Store) -> None:
    await store.write(ADD_NUMBERS([(25, 0)]))
    outcomes = await asyncio.gather(
        *(store.write(ADD_NUMBERS([(n + 1000, 1)]), ADD_NUMBERS([(n, 1)])) for n in range(50)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(list) == 49
    assert isinstance(outcomes[25], Conflict)
    assert await store.read(COUNT()) == [(49 * 2 + 1,)]


async def test_one_invalid_unit_among_fifty_fails_alone(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.write(ADD_NUMBERS([(n, 1 << 63 if n == 25 else 1)])) for n in range(50)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(list) == 49
    assert isinstance(outcomes[25], Invalid)
    assert await store.read(COUNT()) == [(49,)]


async def test_a_unit_on_several_tables_tells_what_each_statement_touched(store: Store) -> None:
    """Statements on tables of their own may travel together: nobody sees it."""
    assert await store.write(ADD_NUMBERS([(n, n) for n in range(70)]), NOTE([(1, "a"), (2, "b")])) == [70, 2]
    done = await store.write(
        NOTE([(3, "c")]),
        SET_NUMBER([(1, 10), (2, 20), (1000, 1)]),
        NOTE([]),
        NOTE([(4, "d")]),
        DELETE_LOW([(2, 20), (3, 20)]),  # 2 has just been set
        ADD_NUMBERS([(3, 33)]),  # and 3 was there
    )
    assert done == [1, 2, 0, 1, 1, 1]
    assert (await numbers(store))[:5] == [(0, 0), (1, 10), (2, 20), (3, 33), (4, 4)]
    assert await notes(store) == ["a", "b", "c", "d"]


async def test_an_expectation_among_several_tables_undoes_them_all(store: Store) -> None:
    await store.write(ADD_NUMBERS([(1, 1)]))
    with pytest.raises(Conflict, match=r"1 rows instead of 2|not as many rows"):
        await store.write(NOTE([(1, "a")]), SET_NUMBER([(1, 5), (2, 5)], expect=2))
    with pytest.raises(Conflict, match=r"0 rows instead of 1|not as many rows"):
        await store.write(NOTE([(1, "a")]), RAISE([(1, 5, 0)], expect=1))
    assert await numbers(store) == [(1, 1)] and await notes(store) == []


async def test_conditional_writes_at_the_same_time_succeed_once(store: Store) -> None:
    await store.write(ADD_NUMBERS([(1, 0)]))
    take = sql("update things set number = :who::bigint where id = 1 and number = 0")
    outcomes = await asyncio.gather(
        *(store.write(take({"who": n + 1}, expect=1)) for n in range(20)), return_exceptions=True
    )
    assert [outcome for outcome in outcomes if not isinstance(outcome, Conflict)] == [[1]]


async def test_increments_at_the_same_time_all_count(store: Store) -> None:
    await store.write(ADD_NUMBERS([(n, 0) for n in range(10)]))
    count_up = sql("update things set number = number + 1 where id in each(:ids, bigint)")
    orders = [list(range(10)), list(range(9, -1, -1))]
    await asyncio.gather(*(store.write(count_up({"ids": orders[n % 2]})) for n in range(40)))
    assert await numbers(store) == [(n, 40) for n in range(10)]


async def test_two_nodes_never_claim_a_row_twice(store: Store, url: str) -> None:
    await store.write(ADD_NUMBERS([(n, 0) for n in range(300)]))
    other = await open_store(url)
    claimed: list[int] = []

    async def claim(by: Store, who: int) -> None:
        while True:
            [rows] = await by.write(CLAIM({"limit": 7, "who": who}))
            if not rows:
                return
            claimed.extend(row[0] for row in rows)

    try:
        await asyncio.gather(*(claim(by, who) for who, by in enumerate([store, other] * 4, 1)))
    finally:
        await other.close()
    assert sorted(claimed) == list(range(300))


async def test_listeners_are_woken_after_the_commit_and_only_then(store: Store) -> None:
    woken: list[str] = []
    store.listen("a", lambda: woken.append("a"))
    store.listen("b", lambda: woken.append("b"))
    with pytest.raises(Conflict):
        await store.write(SET_NUMBER([(1, 1)], expect=1), wake=["a"])
    await store.write(ADD_NUMBERS([(1, 1)]), wake=["b"])
    await asyncio.sleep(0.05)
    assert woken == ["b"]
    store.poke("a")
    assert woken == ["b", "a"]


async def test_another_node_is_woken_if_the_engine_has_other_nodes(store: Store, url: str) -> None:
    if store.engine == "sqlite":
        pytest.skip("one process writes the file")
    other = await open_store(url)
    woken: list[str] = []
    other.listen("a", lambda: woken.append("other"))
    store.listen("a", lambda: woken.append("self"))
    try:
        await store.write(ADD_NUMBERS([(1, 1)]), wake=["a"])
        await eventually(lambda: "other" in woken)
        await asyncio.sleep(0.1)
        assert sorted(woken) == ["other", "self"]  # our own notice comes back and is not heard twice
    finally:
        await other.close()


async def test_what_is_written_is_read_at_once(store: Store) -> None:
    for n in range(50):
        await store.write(ADD_NUMBERS([(n, n)]))
        assert await store.read(sql("select number from things where id = :id::bigint")({"id": n})) == [(n,)]


async def test_a_caller_that_gives_up_harms_nobody(store: Store) -> None:
    writes = [asyncio.create_task(store.write(ADD_NUMBERS([(n, n)]), NUMBERS())) for n in range(30)]
    await asyncio.sleep(0)
    for task in writes[::2]:
        task.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    await store.write(ADD_NUMBERS([(1000, 0)]))
    kept = {row[0] for row in await numbers(store)}
    assert {n for n in range(30) if n % 2} < kept


async def test_a_closed_store_refuses(url: str) -> None:
    store = await open_store(url)
    await store.close()
    with pytest.raises(Unavailable):
        await store.write(ADD_NUMBERS([(1, 1)]))


WRITER = """
import asyncio, itertools, sys
from chappe.storage import open_store
from tests.conformance.tables import ADD_NUMBERS

async def main():
    store = await open_store(sys.argv[1])
    async def write(lane):
        for n in itertools.count():
            await store.write(ADD_NUMBERS([(lane * 1_000_000 + n, 1), (lane * 1_000_000 + 500_000 + n, 2)]))
            print(lane * 1_000_000 + n, flush=True)
    await asyncio.gather(*(write(lane) for lane in range(8)))

asyncio.run(main())
"""


async def test_what_was_committed_survives_kill_9_and_no_unit_is_torn(store: Store, url: str) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs on this loop
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    acknowledged = [int(process.stdout.readline()) for _ in range(300)]
    process.kill()
    acknowledged += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    there = {row[0] for row in await numbers(store)}
    assert set(acknowledged) <= there
    assert {n + 500_000 for n in there if n % 1_000_000 < 500_000} == {n for n in there if n % 1_000_000 >= 500_000}
