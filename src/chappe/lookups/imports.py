"""Own data put in force on a running installation: ranges of a country, and word that a portability file is new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chappe.accounts import Change
from chappe.errors import Refused
from chappe.lookups.rangetables import RangeTable
from chappe.lookups.room import range_tables
from chappe.lookups.store import RANGES, ROOM
from chappe.numbers.ranges import Range
from chappe.snapshots import TOPIC, bump

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def import_ranges(rt: Runtime, actor: str, country: str, source: str, ranges: Iterable[Range]) -> RangeTable:
    """Put the ranges of a country in force, in place of those that were imported before; every node has them within a
    second. `source` names the document. Raises Refused for a table without ranges, Unavailable."""
    rows = tuple((one.first, one.last, one.mccmnc, one.region) for one in ranges)
    if not rows:
        raise Refused("invalid_value", "The table has no ranges; the one in force stays.")
    before = range_tables(rt).get(country)
    table = RangeTable(
        id=rt.ids.next() if before is None else before.id,
        country=country,
        source=source,
        imported_at=rt.clock.now(),
        count=len(rows),
        ranges=rows,
    )
    change = Change(rt, actor)
    if before is None:
        change.create(RANGES, table)
    else:
        change.update(RANGES, before, table)
    await change.commit()
    return table


async def remove_ranges(rt: Runtime, actor: str, country: str) -> None:
    """Go back to the published ranges of a country. Raises Refused not_found."""
    table = range_tables(rt).get(country)
    if table is None:
        raise Refused("not_found", f"No ranges of {country} were imported.")
    change = Change(rt, actor)
    change.delete(RANGES, table)
    await change.commit()


async def tell_nodes(rt: Runtime) -> None:
    """Have every node look at its portability files now. Raises Unavailable."""
    await rt.store.write(bump(ROOM), wake=(TOPIC,))
