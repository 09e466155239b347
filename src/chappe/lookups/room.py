"""The room at work: `start(rt)` before `rt.jobs.start`, and `close` of what it gives at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chappe.accounts import snapshot
from chappe.lookups.chain import Chain
from chappe.lookups.rangetables import RangeTable
from chappe.lookups.store import RANGES, RANGES_ROOM, ROOM, SOURCES
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def load(rt: Runtime) -> Chain:
    """Read the sources and follow them. Raises Unavailable."""
    made = Chain(rt)

    async def read(store: Store) -> Chain:
        await made.data.refresh()
        made.follow(await SOURCES.load(store))
        return made

    async def read_ranges(store: Store) -> list[RangeTable]:
        tables = await RANGES.load(store)
        await made.data.use(tables)
        return tables

    await rt.snapshots.add(Snapshot(RANGES_ROOM, read_ranges))
    await rt.snapshots.add(Snapshot(ROOM, read))
    return made


def range_tables(rt: Runtime) -> dict[str, RangeTable]:
    """The tables of ranges that were imported, by country."""
    tables: Any = snapshot(rt, RANGES_ROOM).value
    return {table.country: table for table in tables}


def chain(rt: Runtime) -> Chain:
    """The look-ups of this process."""
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Chain)
    return value


async def invalidate(rt: Runtime, digits: Sequence[str]) -> None:
    """Forget what sources have said of these numbers (E.164 without +): a network has just answered `unknown
    subscriber`, or that they are not its own. Other nodes may use what they have in memory for a minute more. Raises
    Unavailable."""
    if digits:
        await chain(rt).cache.forget(digits)
