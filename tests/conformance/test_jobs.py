"""Jobs: done once, tried again with an end, taken over from the dead; and work that comes round on one node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chappe.clock import FakeClock
from chappe.jobs import TOPIC
from chappe.runtime import Runtime
from chappe.storage import Conflict, Op, sql
from tests.conformance.conftest import Node
from tests.conformance.tables import NOTE, notes
from tests.support.eventually import eventually

COUNT = sql("select count(*) from jobs")
EXPIRE = sql("update jobs set lease_until = 1 where lease_until > 0")


async def note(rt: Runtime, payload: Any) -> list[Op]:
    return [NOTE([(rt.ids.next(), str(payload))])]


async def enqueue(rt: Runtime, *payloads: Any) -> None:
    await rt.store.write(rt.jobs.enqueue_many("note", [(payload, None) for payload in payloads]), wake=(TOPIC,))


async def test_jobs_are_done_once_and_are_gone(open_node: Node) -> None:
    rt = await open_node()
    rt.jobs.register("note", note)
    await rt.jobs.start(rt)
    await enqueue(rt, *range(100))
    await eventually(lambda: _gone(rt))
    assert sorted(map(int, await notes(rt.store))) == list(range(100))


async def test_a_payload_comes_as_it_was_given(open_node: Node) -> None:
    rt = await open_node()
    got: list[Any] = []

    async def handler(_rt: Runtime, payload: Any) -> None:
        got.append(payload)

    rt.jobs.register("note", handler)
    await rt.jobs.start(rt)
    payload = {"id": (1 << 62) + 1, "text": "é", "list": [1, None, {"a": True}]}
    await enqueue(rt, payload)
    await eventually(lambda: got == [payload])


async def test_a_job_of_a_unit_that_fails_is_not_there(open_node: Node) -> None:
    rt = await open_node()
    with pytest.raises(Conflict):
        await rt.store.write(rt.jobs.enqueue("note", 1), NOTE([(1, "a"), (1, "b")]))
    assert await rt.store.read(COUNT()) == [(0,)]


async def test_a_job_waits_until_it_is_due(open_node: Node) -> None:
    rt = await open_node()
    rt.jobs.register("note", note)
    await rt.jobs.start(rt)
    due_at = rt.clock.now() + 400
    await rt.store.write(rt.jobs.enqueue("note", "later", due_at), wake=(TOPIC,))
    await eventually(lambda: _gone(rt), 2)  # nobody pokes: it knows when to look
    assert due_at <= rt.clock.now() < due_at + 1_000


async def test_a_job_that_fails_is_tried_again_later(open_node: Node) -> None:
    clock = FakeClock()
    rt = await open_node(clock)
    tries = 0

    async def handler(rt: Runtime, payload: Any) -> list[Op]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError("away")
        return await note(rt, payload)

    rt.jobs.register("note", handler, backoff=lambda tries: 10.0 * tries)
    await rt.jobs.start(rt)
    await enqueue(rt, "x")
    await eventually(lambda: tries == 1)
    for seconds, expected in ((9, 1), (2, 2), (19, 2), (2, 3)):
        clock.advance(seconds)
        await asyncio.sleep(0.1)
        rt.store.poke(TOPIC)
        assert await _settles(lambda: tries, expected)
    await eventually(lambda: _gone(rt))
    assert await notes(rt.store) == ["x"]


async def test_a_job_dies_after_its_last_try_is_visible_and_can_be_revived(open_node: Node) -> None:
    rt = await open_node()
    broken = True

    async def handler(rt: Runtime, payload: Any) -> list[Op]:
        if broken:
            raise ValueError("no")
        return await note(rt, payload)

    rt.jobs.register("note", handler, max_tries=3, backoff=lambda _tries: 0.01)
    await rt.jobs.start(rt)
    await enqueue(rt, "x")

    async def died() -> bool:
        return await rt.jobs.count_dead() == {"note": 1}

    await eventually(died)
    [dead] = await rt.jobs.dead()
    assert (dead.kind, dead.payload, dead.tries, dead.error) == ("note", '"x"', 3, "ValueError('no')")
    broken = False
    await rt.jobs.revive(dead.id)
    await eventually(lambda: _gone(rt))
    assert await notes(rt.store) == ["x"]
    with pytest.raises(Conflict):
        await rt.jobs.revive(dead.id)


async def test_a_job_that_hangs_is_a_failure(open_node: Node) -> None:
    rt = await open_node()

    async def hang(_rt: Runtime, _payload: Any) -> None:
        await asyncio.sleep(60)

    rt.jobs.register("note", hang, max_tries=1, timeout_s=0.1)
    await rt.jobs.start(rt)
    await enqueue(rt, "x")

    async def died() -> bool:
        return "TimeoutError" in "".join(job.error for job in await rt.jobs.dead())

    await eventually(died)


async def test_the_job_of_a_dead_node_is_taken_over_and_its_ghost_cannot_end_it(open_node: Node) -> None:
    frozen, healthy = await open_node(), await open_node()
    arrived, thaw = asyncio.Event(), asyncio.Event()

    async def freeze(rt: Runtime, payload: Any) -> list[Op]:
        arrived.set()
        await thaw.wait()
        return await note(rt, payload)

    frozen.jobs.register("note", freeze)
    healthy.jobs.register("note", note)
    await frozen.jobs.start(frozen)
    await enqueue(frozen, "x")
    await asyncio.wait_for(arrived.wait(), 5)
    await healthy.jobs.start(healthy)
    await asyncio.sleep(0.1)
    assert await notes(healthy.store) == []  # the lease holds
    await healthy.store.write(EXPIRE(), wake=(TOPIC,))
    healthy.store.poke(TOPIC)
    await eventually(lambda: _gone(healthy))
    thaw.set()
    await frozen.jobs.stop()
    assert await notes(healthy.store) == ["x"]


async def test_two_nodes_do_no_job_twice(open_node: Node) -> None:
    nodes = [await open_node(), await open_node()]
    for rt in nodes:
        rt.jobs.register("note", note)
        await rt.jobs.start(rt)
    for n in range(0, 100, 5):
        await enqueue(nodes[n % 2], *range(n, n + 5))
        nodes[(n + 1) % 2].store.poke(TOPIC)
    await eventually(lambda: _gone(nodes[0]))
    assert sorted(map(int, await notes(nodes[0].store))) == list(range(100))


async def test_stopping_lets_running_jobs_finish_and_gives_back_the_rest(
    open_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.jobs.queue.DRAIN_S", 0.3)
    rt = await open_node()

    async def handler(rt: Runtime, payload: Any) -> list[Op]:
        await asyncio.sleep(payload)
        return await note(rt, payload)

    rt.jobs.register("note", handler)
    await rt.jobs.start(rt)
    await enqueue(rt, 0.15, 60)
    await asyncio.sleep(0.1)
    await rt.jobs.stop()
    assert await notes(rt.store) == ["0.15"]
    state = sql("select tries, lease_until from jobs")
    assert await rt.store.read(state()) == [(0, 0)]


async def test_what_comes_round_runs_on_one_node_and_moves_to_another(
    open_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.jobs.schedule.HOLD_S", 0.1)
    nodes = [await open_node(), await open_node()]
    ran: list[str] = []

    async def sweep(rt: Runtime) -> None:
        ran.append(rt.node.name if rt is nodes[0] else "other")

    for rt in nodes:
        rt.jobs.every("sweep", 0.05, sweep)
    await nodes[0].jobs.start(nodes[0])
    await eventually(lambda: len(ran) >= 3)
    await nodes[1].jobs.start(nodes[1])
    await eventually(lambda: len(ran) >= 8)
    assert "other" not in ran
    await nodes[0].jobs.stop()
    await eventually(lambda: ran[-1] == "other")


async def test_what_failed_comes_round_again(open_node: Node) -> None:
    rt = await open_node()
    runs = 0

    async def sweep(_rt: Runtime) -> None:
        nonlocal runs
        runs += 1
        raise ValueError("dust")

    rt.jobs.every("sweep", 0.02, sweep)
    await rt.jobs.start(rt)
    await eventually(lambda: runs >= 3)


async def test_what_ran_today_does_not_run_again_after_a_restart(open_node: Node) -> None:
    runs = 0

    async def daily(_rt: Runtime) -> None:
        nonlocal runs
        runs += 1

    for expected in (1, 1):
        rt = await open_node()
        rt.jobs.every("daily", 86_400, daily)
        await rt.jobs.start(rt)
        await asyncio.sleep(0.2)
        assert runs == expected
        await rt.close()


async def _settles(value: Callable[[], int], expected: int) -> bool:
    await eventually(lambda: value() == expected)
    await asyncio.sleep(0.05)
    return value() == expected


async def _gone(rt: Runtime) -> bool:
    return await rt.store.read(COUNT()) == [(0,)]
