"""The outbox: in commit order, exactly once in its effects, whatever crashes or overtakes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import asyncpg
import pytest

from chappe.clock import FakeClock
from chappe.events import TOPIC, AtOnce, Effects, EndpointPaused, InboundReceived, MessageUpdated
from chappe.runtime import Runtime
from chappe.storage import Conflict, Op, open_store, sql
from tests.conformance.conftest import Node
from tests.conformance.tables import ADD_NUMBERS, NOTE, notes, numbers
from tests.support.eventually import eventually

EXPIRE = sql("update event_cursors set lease_until = 0")
COUNT = sql("select count(*) from events")
CURSOR = sql("select tx, position, lease_until, epoch from event_cursors where name = 'note'")


def paused(number: int, account: int = 1) -> EndpointPaused:
    return EndpointPaused(account_id=account, occurred_at=5, endpoint_id=number, url="u", reason="dead", failures=3)


async def note(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
    return [NOTE([(rt.ids.next(), str(event.endpoint_id)) for event in events])]


async def emit(rt: Runtime, *numbers: int) -> None:
    await rt.store.write(*rt.events.emit([paused(number) for number in numbers]), wake=(TOPIC,))


async def test_a_reaction_hears_each_event_once_and_in_order(open_node: Node) -> None:
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    for n in range(0, 60, 3):
        await emit(rt, n, n + 1, n + 2)
    await eventually(lambda: _noted(rt, 60))
    assert await notes(rt.store) == [str(n) for n in range(60)]
    lag = await rt.events.lag("note")
    assert (lag.waiting, lag.age_ms) == (0, 0)


async def test_an_event_keeps_every_field(open_node: Node) -> None:
    rt = await open_node()
    heard: list[object] = []

    async def hear(_rt: Runtime, events: list[MessageUpdated]) -> list[Op]:
        heard.extend(events)
        return []

    update = MessageUpdated(
        account_id=1, occurred_at=2, message_id=(1 << 62) + 1, state="delivered", sequence=3, to="+33612345678",
        created_at=1, sender="Chappe", text="é€😀", tags=["a"], metadata={"k": [1, None, "v"]}, receipts=17,
        error={"code": "x"}, test=True, login_id=9, final_at=2,
    )  # fmt: skip
    inbound = InboundReceived(account_id=1, occurred_at=2, inbound_id=3, to="38036", sender="+33612345678", udh="0500")

    async def hear_inbound(_rt: Runtime, events: list[InboundReceived]) -> list[Op]:
        heard.extend(events)
        return []

    rt.events.on(MessageUpdated, "hear", hear)
    rt.events.on(InboundReceived, "hear.inbound", hear_inbound)
    await rt.events.start(rt)
    await rt.store.write(*rt.events.emit([update, inbound]), wake=(TOPIC,))
    await eventually(lambda: len(heard) == 2)
    assert update in heard and inbound in heard


async def test_an_event_of_a_unit_that_fails_is_never_heard(open_node: Node) -> None:
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    with pytest.raises(Conflict):
        await rt.store.write(*rt.events.emit([paused(1)]), NOTE([(1, "a"), (1, "b")]), wake=(TOPIC,))
    await emit(rt, 2)
    await eventually(lambda: _noted(rt, 1))
    assert await notes(rt.store) == ["2"]


async def test_events_that_nobody_wants_are_not_stored(open_node: Node) -> None:
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note, wanted=lambda event: event.account_id == 7)
    assert (
        rt.events.emit([paused(1), InboundReceived(account_id=7, occurred_at=1, inbound_id=1, to="a", sender="b")])
        == []
    )
    await rt.events.start(rt)
    await rt.store.write(*rt.events.emit([paused(1), paused(2, account=7)]), wake=(TOPIC,))
    await eventually(lambda: _noted(rt, 1))
    assert await notes(rt.store) == ["2"]


def acting(how: Callable[[list[int]], Effects]) -> AtOnce[EndpointPaused]:
    return lambda _rt, events: how([event.endpoint_id for event in events])


async def test_a_reaction_may_act_in_the_unit_that_tells(open_node: Node) -> None:
    rt = await open_node()
    done: list[str] = []

    def act(numbers: list[int]) -> Effects:
        rows = [(rt.ids.next(), f"at once {number}") for number in numbers]
        return Effects([NOTE(rows)], after=lambda: done.append("after"), undo=lambda: done.append("undo"))

    rt.events.on(EndpointPaused, "note", note, at_once=acting(act), wanted=lambda event: event.account_id == 1)
    await rt.events.start(rt)
    assert await rt.events.write(NOTE([(rt.ids.next(), "mine")]), tell=[paused(1), paused(2, account=7)]) == [1]
    assert (await notes(rt.store), done) == (["mine", "at once 1"], ["after"])
    assert await rt.store.read(COUNT()) == [(0,)]
    with pytest.raises(Conflict):
        await rt.events.write(NOTE([(1, "a"), (1, "b")]), tell=[paused(3)])
    assert (await notes(rt.store), done) == (["mine", "at once 1"], ["after", "undo"])


async def test_what_fails_after_the_commit_is_no_failed_commit(open_node: Node) -> None:
    rt = await open_node()

    def broken() -> None:
        raise RuntimeError("after the commit")

    rt.events.on(EndpointPaused, "note", note, at_once=acting(lambda _numbers: Effects(after=broken)))
    await rt.events.start(rt)
    assert await rt.events.write(NOTE([(rt.ids.next(), "mine")]), tell=[paused(1)]) == [1]
    assert await notes(rt.store) == ["mine"]


async def test_what_a_reaction_cannot_do_at_once_comes_to_it_by_the_outbox(open_node: Node) -> None:
    rt = await open_node()

    def act(numbers: list[int]) -> Effects:
        if 13 in numbers:
            raise RuntimeError("not at once")
        return Effects([NOTE([(rt.ids.next(), "at once")])], left=[paused(number) for number in numbers if number > 1])

    heard: list[int] = []

    async def hear(_rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        heard.extend(event.endpoint_id for event in events)
        return []

    rt.events.on(EndpointPaused, "note", note, at_once=acting(act))
    rt.events.on(EndpointPaused, "other", hear)
    await rt.events.start(rt)
    await rt.events.write(tell=[paused(1), paused(2)])
    await rt.events.write(tell=[paused(13)])
    await rt.store.write(*rt.events.emit([paused(4)]), wake=(TOPIC,))
    await eventually(lambda: _noted(rt, 4))
    assert await notes(rt.store) == ["at once", "2", "13", "4"]
    await eventually(lambda: heard == [1, 2, 13, 4])


async def test_a_new_reaction_begins_at_the_end_or_at_the_start_as_told(open_node: Node) -> None:
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await emit(rt, 1, 2)
    rt.events.on(EndpointPaused, "all", _nothing, from_start=True)
    await rt.events.start(rt)
    assert (await rt.events.lag("note")).waiting == 0
    await emit(rt, 3)
    await eventually(lambda: _noted(rt, 1))
    assert await notes(rt.store) == ["3"]
    await rt.close()

    later = await open_node()
    heard: list[int] = []

    async def hear(_rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        heard.extend(event.endpoint_id for event in events)
        return []

    later.events.on(EndpointPaused, "late", hear, from_start=True)
    await later.events.start(later)
    await eventually(lambda: heard == [1, 2, 3])


async def test_a_restart_goes_on_where_the_last_commit_was(open_node: Node) -> None:
    first = await open_node()
    first.events.on(EndpointPaused, "note", note)
    await first.events.start(first)
    await emit(first, 1)
    await eventually(lambda: _noted(first, 1))
    await first.events.stop()
    await emit(first, 2, 3)
    await first.close()
    second = await open_node()
    second.events.on(EndpointPaused, "note", note)
    await second.events.start(second)
    await eventually(lambda: _noted(second, 3))
    assert await notes(second.store) == ["1", "2", "3"]


async def test_a_node_that_froze_in_a_reaction_cannot_commit_after_another_took_over(open_node: Node) -> None:
    frozen, healthy = await open_node(), await open_node()
    arrived, thaw = asyncio.Event(), asyncio.Event()

    async def freeze(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        arrived.set()
        await thaw.wait()
        return await note(rt, events)

    frozen.events.on(EndpointPaused, "note", freeze)
    healthy.events.on(EndpointPaused, "note", note)
    await frozen.events.start(frozen)
    await emit(frozen, 1, 2)
    await asyncio.wait_for(arrived.wait(), 5)
    await healthy.events.start(healthy)
    await asyncio.sleep(0.2)
    assert await notes(healthy.store) == []  # the lease holds
    await healthy.store.write(EXPIRE(), wake=(TOPIC,))
    await eventually(lambda: _noted(healthy, 2))
    thaw.set()
    await emit(healthy, 3)
    await eventually(lambda: _noted(healthy, 3))
    await frozen.events.stop()
    assert await notes(healthy.store) == ["1", "2", "3"]


async def test_two_nodes_share_a_reaction_without_doing_anything_twice(open_node: Node) -> None:
    nodes = [await open_node(), await open_node()]
    for rt in nodes:
        rt.events.on(EndpointPaused, "note", note, max_batch=3)
        await rt.events.start(rt)
    for n in range(40):
        await emit(nodes[n % 2], n)
    await eventually(lambda: _noted(nodes[0], 40))
    await asyncio.sleep(0.1)
    assert sorted(map(int, await notes(nodes[0].store))) == list(range(40))


async def test_an_idle_reaction_writes_nothing(open_node: Node) -> None:
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    await emit(rt, 1)
    await eventually(lambda: _noted(rt, 1))
    before = await rt.store.read(CURSOR())
    rt.store.poke(TOPIC)
    await asyncio.sleep(1.3)
    assert await rt.store.read(CURSOR()) == before


async def test_a_poisoned_event_is_set_aside_and_the_others_go_on(open_node: Node) -> None:
    clock = FakeClock()
    rt = await open_node(clock)
    tries = 0

    async def choke(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        nonlocal tries
        if any(event.endpoint_id == 13 for event in events):
            tries += len(events) == 1
            raise ValueError("thirteen")
        return await note(rt, events)

    rt.events.on(EndpointPaused, "note", choke)
    await rt.events.start(rt)
    await emit(rt, 12, 13, 14)
    await eventually(lambda: _noted(rt, 2))
    assert await notes(rt.store) == ["12", "14"]
    await eventually(lambda: _aside(rt, 1))
    for expected in (2, 3, 4, 5):
        await asyncio.sleep(0.05)
        assert tries == expected - 1  # it waits for its time
        clock.advance(200)
        rt.store.poke(TOPIC)
        await eventually(partial(_aside, rt, expected))
    [aside] = await rt.events.aside()
    assert (aside.reaction, aside.kind, aside.due_at, aside.error) == (
        "note",
        "endpoint.paused",
        None,
        "ValueError('thirteen')",
    )
    clock.advance(10_000)
    rt.store.poke(TOPIC)
    await asyncio.sleep(0.1)
    assert tries == 5
    await emit(rt, 15)
    await eventually(lambda: _noted(rt, 3))


async def test_an_event_set_aside_succeeds_later_exactly_once(open_node: Node) -> None:
    clock = FakeClock()
    rt = await open_node(clock)
    broken = True

    async def moody(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        if broken:
            raise ValueError("not now")
        return await note(rt, events)

    rt.events.on(EndpointPaused, "note", moody)
    await rt.events.start(rt)
    await emit(rt, 1, 2)
    await eventually(lambda: _asides(rt, 2))
    broken = False
    clock.advance(3)
    rt.store.poke(TOPIC)
    await eventually(lambda: _noted(rt, 2))
    await eventually(lambda: _asides(rt, 0))
    assert sorted(await notes(rt.store)) == ["1", "2"]


async def test_effects_that_conflict_are_gathered_again(open_node: Node) -> None:
    rt = await open_node()
    await rt.store.write(ADD_NUMBERS([(1, 0)]))
    seen = iter([5, 0, 0])  # at first something stale
    step = sql("update things set number = number + 1 where id = 1 and number = :seen::bigint")

    async def count(_rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        return [step({"seen": next(seen)}, expect=1)]

    rt.events.on(EndpointPaused, "note", count)
    await rt.events.start(rt)
    await emit(rt, 1)

    async def counted() -> bool:
        return await numbers(rt.store) == [(1, 1)]

    await eventually(counted)
    assert await rt.events.aside() == []


async def test_what_all_reactions_have_passed_is_pruned_and_nothing_else(open_node: Node) -> None:
    rt = await open_node()
    gate = asyncio.Event()

    async def slow(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
        await gate.wait()
        return []

    rt.events.on(EndpointPaused, "note", note)
    rt.events.on(EndpointPaused, "slow", slow)
    await rt.events.start(rt)
    await emit(rt, *range(10))
    await eventually(lambda: _noted(rt, 10))
    assert await rt.events.prune() == 0
    gate.set()

    async def pruned() -> bool:
        await rt.events.prune()
        return await rt.store.read(COUNT()) == [(0,)]

    await eventually(pruned)
    await emit(rt, 10)  # positions go on rising although the table was empty
    await eventually(lambda: _noted(rt, 11))


async def test_the_cursor_of_a_reaction_that_is_gone_holds_nothing_back(open_node: Node) -> None:
    old = await open_node()
    old.events.on(EndpointPaused, "gone", _nothing)
    await old.events.start(old)
    await old.close()
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    await emit(rt, 1)
    await eventually(lambda: _noted(rt, 1))
    assert await rt.events.prune() == 0
    await rt.store.write(sql("update event_cursors set seen_at = 0 where name = 'gone'")())
    assert await rt.events.prune() == 1


async def test_on_postgres_no_event_is_skipped_that_an_overtaken_transaction_commits_later(
    open_node: Node, url: str
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("one writer: nothing overtakes")
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    slow = await asyncpg.connect(url)
    transaction = slow.transaction()
    await transaction.start()
    [op] = rt.events.emit([paused(1)])
    await slow.execute(op.statement.postgres, *op.statement.postgres_params(op.params))
    await emit(rt, 2)
    await asyncio.sleep(0.3)
    assert await notes(rt.store) == []  # 2 waits for what may still come before it
    await transaction.commit()
    await slow.close()
    await eventually(lambda: _noted(rt, 2))
    assert await notes(rt.store) == ["1", "2"]


async def test_on_postgres_many_writers_at_once_lose_no_event(open_node: Node, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("one writer: nothing overtakes")
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note, max_batch=7)
    await rt.events.start(rt)
    other = await open_store(url)
    pause = sql("select pg_sleep(:seconds::float8)")

    async def write(lane: int) -> None:
        for n in range(15):
            event = rt.events.emit([paused(lane * 100 + n)])
            await (other if lane % 2 else rt.store).write(*event, pause({"seconds": (lane * 7 + n) % 5 / 1000}))

    await asyncio.gather(*(write(lane) for lane in range(8)))
    await eventually(lambda: _noted(rt, 120))
    await other.close()
    heard = [int(text) for text in await notes(rt.store)]
    assert sorted(heard) == sorted(lane * 100 + n for lane in range(8) for n in range(15))


async def test_on_postgres_a_dump_restored_into_a_younger_server_goes_on(open_node: Node, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("transactions have no numbers")
    rt = await open_node()
    rt.events.on(EndpointPaused, "note", note)
    await rt.events.start(rt)
    await emit(rt, 1)
    await eventually(lambda: _noted(rt, 1))
    await rt.events.stop()
    await emit(rt, 2, 3)
    for name in ("events", "event_cursors"):  # what the old server's larger numbers look like here
        await rt.store.write(sql(f"update {name} set tx = tx + 1000000000")())
    await rt.close()
    later = await open_node()
    later.events.on(EndpointPaused, "note", note)
    await emit(later, 4)
    await later.events.start(later)
    await eventually(lambda: _noted(later, 4))
    assert await notes(later.store) == ["1", "2", "3", "4"]


async def _nothing(rt: Runtime, events: list[EndpointPaused]) -> list[Op]:
    return []


async def _noted(rt: Runtime, count: int) -> bool:
    return len(await notes(rt.store)) >= count


async def _asides(rt: Runtime, count: int) -> bool:
    return len(await rt.events.aside()) == count


async def _aside(rt: Runtime, tries: int) -> bool:
    return [aside.tries for aside in await rt.events.aside()] == [tries]
