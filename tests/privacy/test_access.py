"""Whoever looks at the data of a person is in the log before they see it, or within a second."""

from __future__ import annotations

import pytest

from chappe import ids, privacy
from chappe.batching import Full
from chappe.privacy import access
from chappe.storage import Unavailable
from tests.privacy.conftest import ALICE, BOB, NOW, World, world
from tests.support.eventually import eventually

__all__ = ["world"]


async def logged(world: World, account_id: int | None, **which: object) -> list[tuple[str, str, int | None]]:
    found = await privacy.entries(world.rt, account_id, **which)  # type: ignore[arg-type]
    return [(one.actor, one.action, one.count) for one in found]


async def test_single_looks_are_stored_together_and_exports_at_once(world: World) -> None:
    rt = world.rt
    entry = await privacy.looked(rt, world.acme, "key_1", "export", ALICE, count=None)
    privacy.saw(rt, world.acme, "key_2", "search", BOB, count=3)
    privacy.saw(rt, world.rival, "key_3", "proof", ALICE)
    assert await logged(world, None) == [("key_1", "export", None)]
    await privacy.counted(rt, entry, 12)
    await privacy.flush(rt)
    assert await logged(world, world.acme) == [("key_2", "search", 3), ("key_1", "export", 12)]
    assert await logged(world, world.acme, person=ALICE) == [("key_1", "export", 12)]
    assert await logged(world, None, person=ALICE) == [("key_3", "proof", 1), ("key_1", "export", 12)]
    assert await logged(world, world.rival, person=BOB) == []
    assert await logged(world, None, action="search") == [("key_2", "search", 3)]
    newest = (await privacy.entries(rt, None, limit=1))[0]
    assert len(await privacy.entries(rt, None, before=newest.id)) == 2


async def test_looks_are_stored_by_themselves_and_at_the_end(world: World) -> None:
    privacy.saw(world.rt, world.acme, "key_1", "search", ALICE)

    async def stored() -> bool:
        return bool(await logged(world, world.acme))

    await eventually(stored)
    waiting = access.Waiting(world.rt)
    waiting.add(access.entry(world.rt, world.acme, "key_2", "search", ALICE, False, 1))
    await waiting.close()
    await waiting.close()
    assert [actor for actor, *_ in await logged(world, world.acme)] == ["key_2", "key_1"]


async def test_nobody_looks_when_it_cannot_be_written_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MOST", 3)
    waiting, write = access.Waiting(world.rt), world.rt.store.write

    async def away(*_ops: object, **_options: object) -> list[object]:
        raise Unavailable("away")

    rows = [access.entry(world.rt, world.acme, f"key_{n}", "search", ALICE, False, n) for n in range(4)]
    for row in rows[:3]:
        waiting.add(row)
    with pytest.raises(Full):
        waiting.add(rows[3])
    world.rt.store.write = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await waiting.flush()
    world.rt.store.write = write  # type: ignore[method-assign]
    await world.rt.store.write(access.entry_op(rows[0]))  # it was written after all
    await waiting.flush()
    assert [count for *_, count in await logged(world, world.acme)] == [2, 1, 0]


async def test_the_log_is_forgotten_in_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "SLICE", 2)
    for _ in range(5):
        await privacy.looked(world.rt, world.acme, "key", "proof", ALICE)
    await access.forget(world.rt)
    assert await world.count("access_log") == 5
    days = world.rt.settings.retention.access_log_days
    assert days == 400
    world.rt.clock.now = lambda: NOW() + (days + 1) * 86_400_000  # type: ignore[method-assign]
    young = (ids.at(world.rt.clock.now()), world.acme, world.rt.clock.now(), "key", "proof", None, 1)
    await world.rt.store.write(access.entry_op(young))
    await access.forget(world.rt)
    assert [one.id for one in await privacy.entries(world.rt, None)] == [young[0]]
