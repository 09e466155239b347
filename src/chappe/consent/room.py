"""The room in memory: the key under which persons are known, and who refused lately on any node."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from chappe import ids
from chappe.accounts import snapshot
from chappe.consent import store
from chappe.consent.persons import Persons
from chappe.consent.stops import MOST, Stops
from chappe.snapshots import Snapshot
from chappe.storage import Store, Unavailable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

ROOM = "consent"
TOPIC = "stops"  # that units which forbid something wake
_OVERLAP_MS = 60_000  # rows of a slow transaction on another node may have ids behind those seen


class Room:
    """What this process holds."""

    def __init__(self, secret: bytes) -> None:
        self.persons = Persons(secret)
        self.stops = Stops()


async def start(rt: Runtime) -> None:
    """Raises Unavailable."""
    room = Room(rt.vault.key_for("persons"))

    async def load(_store: Store) -> Room:
        return room

    await rt.snapshots.add(Snapshot(ROOM, load))
    if rt.node.fenced:
        follower = asyncio.create_task(_follow(rt, room.stops), name="stops of other nodes")

        async def end() -> None:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower

        rt.at_close(end)


def persons(rt: Runtime) -> Persons:
    return _room(rt).persons


def stops(rt: Runtime) -> Stops:
    return _room(rt).stops


def _room(rt: Runtime) -> Room:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Room)
    return value


async def _follow(rt: Runtime, mine: Stops) -> None:
    """Hear of the refusals that other nodes have stored, as soon as they have."""
    woken = asyncio.Event()
    rt.store.listen(TOPIC, woken.set)
    known: set[int] = set()
    after = ids.at(rt.clock.now())
    while True:
        await woken.wait()
        woken.clear()
        since, after = after, ids.at(rt.clock.now() - _OVERLAP_MS)
        try:
            rows = await rt.store.read(store.SINCE({"after": since, "limit": MOST}))
        except Unavailable:
            after = since
            continue  # nobody can refuse either while the store is away
        if len(rows) == MOST:
            mine.overflow()
            continue
        found = {key for (key,) in rows}
        mine.add(sorted(found - known))
        known = found
