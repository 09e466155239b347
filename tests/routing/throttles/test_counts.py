"""What hours and days have counted outlives the process, and is divided among nodes, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chappe.accounts import Account
from chappe.clock import FakeClock
from chappe.errors import Refused
from chappe.routing import throttles
from chappe.routing.throttles import Denied, Passed
from chappe.routing.throttles import store as table
from chappe.routing.throttles.counts import Members
from chappe.runtime import Runtime
from chappe.storage import Op, Unavailable
from tests.accounts.runtime import start

HOUR_S = 3_600


class Node:
    """A process: its runtime, on a clock that stands still."""

    def __init__(self, rt: Runtime, number: int, others: Callable[[], Sequence[int]]) -> None:
        self.rt = rt
        self.gate = throttles.gate(rt)
        self.clock = rt.clock = FakeClock()
        self._number, self._others = number, others

    async def open(self) -> None:
        async def nodes() -> Members:
            return self._number, self._others()

        await self.gate.open(self.rt, nodes)

    async def look(self) -> None:
        """As each second."""
        assert self.gate._counts is not None
        await self.gate._counts.look(self.rt)

    async def close(self) -> None:
        await self.gate.close(self.rt)

    def passed(self, times: int = 1, country: str = "FR") -> int:
        """How many of so many messages may go at once."""
        answers = [
            self.gate.pass_(7, "Acme", "alphanumeric", 3, country, self.clock.now(), until=self.clock.now() + 1)
            for _ in range(times)
        ]
        return sum(isinstance(answer, Passed) and answer.due is None for answer in answers)


Start = Callable[..., Awaitable[Node]]


@pytest.fixture
async def node(store_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """`await node(1)`: a process more on the same store; `await node(1, (1, 2))` sees those."""
    running: list[Runtime] = []

    async def more(number: int = 1, others: Sequence[int] | Callable[[], Sequence[int]] = ()) -> Node:
        rt = await start(store_url, tmp_path)
        running.append(rt)
        seen = others if callable(others) else lambda: others
        one = Node(rt, number, seen)
        await one.open()
        return one

    yield more
    for rt in running:
        await rt.close()


async def limit(rt: Runtime, most: int = 5, **fields: Any) -> throttles.Throttle:
    plain: dict[str, Any] = {"name": "t", "scope": "country", "per": "day", "over": "refuse"}
    return await throttles.create_throttle(rt, "test", most=most, **(plain | fields))


async def test_a_restart_goes_on_with_the_day_and_the_next_day_begins_anew(node: Start) -> None:
    first = await node()
    await limit(first.rt)
    assert first.passed(3) == 3
    await first.close()
    second = await node(2)
    assert second.passed(3) == 2
    assert second.passed(2, country="BE") == 2
    await second.look()
    third = await node(3)
    assert third.passed(9) == 0 and third.passed(9, country="BE") == 3
    third.clock.advance(24 * HOUR_S)
    assert third.passed(9) == 5


async def test_messages_that_wait_for_another_day_are_counted_in_it_after_a_restart(node: Start) -> None:
    first = await node()
    await limit(first.rt, 2, over="wait")
    now = first.clock.now()
    dues = [first.gate.pass_(7, "Acme", "alphanumeric", 3, "FR", now)[0] for _ in range(3)]
    assert dues[:2] == [None, None] and dues[2]
    await first.close()
    second = await node(2)
    second.clock.advance(24 * HOUR_S)
    assert second.passed(9) == 1


async def test_nodes_divide_what_is_left_when_one_comes_and_when_one_goes(node: Start) -> None:
    members: list[int] = [1]
    one = await node(1, lambda: members)
    await limit(one.rt, 20)
    assert one.passed(6) == 6
    await one.look()
    members.append(2)
    two = await node(2, lambda: members)
    await one.look()
    assert two.passed(99) == 7  # half of the 14 that are left
    assert one.passed(4) == 4
    await asyncio.gather(one.look(), two.look())
    members.remove(1)
    await two.look()
    assert two.passed(99) == 3


async def test_serving_nodes_are_seen_and_the_embedded_store_has_one(node: Start) -> None:
    one = await node()
    mine, nodes = await throttles.serving(one.rt)
    assert mine == one.rt.node.incarnation
    assert list(nodes) == ([mine] if one.rt.store.engine == "sqlite" else [])  # a command serves nothing


async def test_a_write_whose_fate_is_unknown_is_made_again_and_counts_once(
    node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await node()
    await limit(one.rt)
    assert one.passed(2) == 2
    store, written = one.rt.store, one.rt.store.write

    async def write_and_lose_the_answer(*ops: Op, wake: Any = ()) -> list[Any]:
        await written(*ops, wake=wake)
        raise Unavailable("the connection was lost", unknown=True)

    with monkeypatch.context() as lost:
        lost.setattr(store, "write", write_and_lose_the_answer)
        with pytest.raises(Unavailable):
            await one.look()
    assert one.passed(1) == 1
    await one.close()
    assert (await node(2)).passed(9) == 2


async def test_the_loop_writes_within_a_second_and_forgets_days_that_are_over(
    node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chappe.routing.throttles.counts.EVERY_S", 0.01)
    monkeypatch.setattr("chappe.routing.throttles.counts.TIDY_EVERY", 1)
    one = await node()
    await limit(one.rt)
    one.passed(2)
    keeping = asyncio.create_task(one.gate.keep(one.rt))
    try:
        assert await _until(one, 1)
        one.clock.advance(24 * HOUR_S)
        assert await _until(one, 0)
    finally:
        keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert not one.gate._quotas


async def _until(one: Node, rows: int) -> bool:
    async with asyncio.timeout(10):
        while len(await one.rt.store.scan(table.OVER({"now": 1 << 62, "limit": 9}))) != rows:
            await asyncio.sleep(0.01)
    return True


# -- records --------------------------------------------------------------------------------------------------------


async def test_a_change_reaches_the_gate_of_every_node(node: Start) -> None:
    one, two = await node(1), await node(2)
    made = await limit(one.rt, 1)
    await two.rt.snapshots.latest()
    assert (one.passed(3), two.passed(3)) == (1, 1)
    await throttles.update_throttle(two.rt, "test", made.id, most=3)
    await one.rt.snapshots.latest()
    assert (one.passed(9), two.passed(9)) == (2, 2)
    await throttles.delete_throttle(one.rt, "test", made.id)
    await two.rt.snapshots.latest()
    assert (one.passed(9), two.passed(9)) == (9, 9)


SENSELESS: list[tuple[dict[str, Any], str, str]] = [
    ({"sender": "Acme"}, "sender", "The scope country has no sender."),
    ({"scope": "account", "country": "FR"}, "country", "has no country"),
    ({"scope": "account", "connector_id": 5}, "connector", "has no connector"),
    ({"scope": "planet"}, "scope", "planet"),
    ({"country": "ZZ"}, "country", "There is no country ZZ."),
    ({"country": "fr"}, "country", "match"),
    ({"zone": "Mars/Phobos"}, "zone", "There is no time zone Mars/Phobos."),
    ({"zone": "../etc/passwd"}, "zone", "There is no time zone"),
    ({"zone": "Europe/Paris", "per": "second"}, "zone", "Only hours and days"),
    ({"most": -1}, "most", ">= 0"),
    ({"burst": 0}, "burst", ">= 1"),
    ({"per": "week"}, "per", "week"),
    ({"over": "shout"}, "over", "shout"),
    ({"name": "a b"}, "name", "match"),
    ({"account_id": 5}, "account_id", "There is no such account."),
]


async def test_what_makes_no_sense_is_refused_by_its_field(rt: Runtime, subtests: pytest.Subtests) -> None:
    for fields, param, words in SENSELESS:
        with subtests.test(str(fields)):
            with pytest.raises(Refused) as caught:
                await limit(rt, **fields)
            assert (caught.value.code, caught.value.param) == ("invalid_value", param)
            assert words in caught.value.message
    assert not throttles.gate(rt).throttles


async def test_names_are_unique_and_a_sender_is_stored_without_its_plus(rt: Runtime, acme: Account) -> None:
    made = await limit(rt, scope="sender", sender="+33612345678", account_id=acme.id)
    assert made.sender == "33612345678"
    with pytest.raises(Refused, match="already a throttle t"):
        await limit(rt)
    assert (await throttles.update_throttle(rt, "test", made.id, name="t", most=0)).most == 0
    answer = throttles.gate(rt).pass_(acme.id, "33612345678", "long_code", 3, "FR", rt.clock.now())
    assert isinstance(answer, Denied)
    for wrong in (made.id + 1, 5):
        with pytest.raises(Refused, match="no such throttle"):
            await throttles.delete_throttle(rt, "test", wrong)
