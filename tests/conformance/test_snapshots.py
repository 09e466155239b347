"""Whoever asks for the latest gets it, and however many ask cost few reads."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from chappe import snapshots
from chappe.runtime import Runtime
from chappe.snapshots import LOOK_EVERY_S, Snapshot, Snapshots, bump
from chappe.storage import Store
from tests.conformance.conftest import Node
from tests.conformance.tables import ADD_NUMBERS, numbers
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen was asked for."""
    monkeypatch.setattr(snapshots, "WATCH_EVERY_S", 60.0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the versions were read."""
    times: list[float] = []
    read = Snapshots._versions

    async def noted(self: Snapshots) -> dict[str, int]:
        times.append(time.monotonic())
        return await read(self)

    monkeypatch.setattr(Snapshots, "_versions", noted)
    return times


async def known(rt: Runtime) -> Snapshot[list[int]]:
    async def load(store: Store) -> list[int]:
        return [row[0] for row in await numbers(store)]

    return await rt.snapshots.add(Snapshot("numbers", load))


async def add(rt: Runtime, number: int) -> None:
    await rt.store.write(ADD_NUMBERS([(number, 0)]), bump("numbers"))


async def test_the_latest_holds_what_another_process_has_committed(open_node: Node) -> None:
    here, there = await open_node(), await open_node()
    snapshot = await known(here)
    for number in range(1, 6):
        await add(there, number)
        assert number not in snapshot.value
        await here.snapshots.latest()
        assert number in snapshot.value


async def test_a_look_that_had_begun_before_does_not_serve(open_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    rt = await open_node()
    snapshot = await known(rt)
    read, begun, go_on = Snapshots._versions, asyncio.Event(), asyncio.Event()

    async def slow(self: Snapshots) -> dict[str, int]:
        versions = await read(self)
        begun.set()
        await go_on.wait()
        return versions

    monkeypatch.setattr(Snapshots, "_versions", slow)
    early = asyncio.create_task(rt.snapshots.latest())
    await begun.wait()
    await add(rt, 1)
    late = asyncio.create_task(rt.snapshots.latest())
    await asyncio.sleep(0)
    go_on.set()
    await early
    assert snapshot.value == []
    await late
    assert snapshot.value == [1]


async def test_a_crowd_shares_one_look(open_node: Node, looks: list[float]) -> None:
    rt = await open_node()
    await asyncio.gather(*(rt.snapshots.latest() for _ in range(1_000)))
    assert len(looks) == 1


async def test_looks_are_apart_however_many_ask(open_node: Node, looks: list[float]) -> None:
    rt = await open_node()

    async def ask_again_and_again() -> None:
        for _ in range(8):
            await rt.snapshots.latest()

    await asyncio.gather(*(ask_again_and_again() for _ in range(50)))
    assert len(looks) == 8
    assert all(after - before > LOOK_EVERY_S * 0.9 for before, after in pairwise(looks))


async def test_who_asks_while_the_store_does_not_answer_waits_a_second_at_most(
    open_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    rt = await open_node()
    snapshot = await known(rt)
    monkeypatch.setattr(snapshots, "LOOK_PATIENCE_S", 0.2)
    held, read = asyncio.Event(), rt.store.read

    async def waits(op: object) -> object:
        await held.wait()
        return await read(op)  # type: ignore[arg-type]

    with monkeypatch.context() as away:
        away.setattr(rt.store, "read", waits)
        started = time.monotonic()
        await asyncio.gather(*(rt.snapshots.latest() for _ in range(20)))
        assert 0.15 < time.monotonic() - started < 2
        assert snapshot.value == []
    held.set()
    await add(rt, 1)
    await rt.snapshots.latest()
    assert snapshot.value == [1]


async def test_a_node_that_is_told_of_a_change_needs_no_watch(open_node: Node) -> None:
    here = await open_node()
    if here.store.engine == "sqlite":
        pytest.skip("another process hears nothing of it: it watches")
    there = await open_node()
    snapshot = await known(here)
    await there.store.write(ADD_NUMBERS([(7, 0)]), bump("numbers"), wake=(snapshots.TOPIC,))
    await eventually(lambda: snapshot.value == [7])
