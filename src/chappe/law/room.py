"""The room in memory: the adjustments of all accounts, followed, and the verdicts of lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.law.own import Book
from chappe.law.store import ADJUSTMENTS, ROOM
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""

    async def load(store: Store) -> Book:
        return Book(await ADJUSTMENTS.load(store))

    await rt.snapshots.add(Snapshot(ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Book)
    return value
