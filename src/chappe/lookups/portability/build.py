"""From a national file to an index: read, sorted on the disk, settled number by number, written."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from chappe.lookups.portability.errors import PortabilityError, by_line, judge
from chappe.lookups.portability.index import IN_DOUBT, Contents, Index, Meta, Origin, write
from chappe.lookups.portability.intake import (
    DATED,
    OPERATOR,
    REMOVED,
    WIDTH,
    Columns,
    Intake,
    Progress,
    Source,
)
from chappe.lookups.portability.sorting import CHUNK, ordered
from chappe.tabular import Fault, Faults

_NUMBER = 7  # octets at the beginning of a record
_DOUBT = IN_DOUBT.to_bytes(2, "big")
_REMOVED = REMOVED.to_bytes(2, "big")


class Built(NamedTuple):
    """A new index, and the first of the faults that were allowed."""

    meta: Meta
    faults: tuple[Fault, ...]


def build(
    source: Source,
    target: Path,
    *,
    country: str,
    columns: Columns,
    operators_map: Mapping[str, str],
    origin: Origin,
    base: Index | None = None,
    max_faults: int = 0,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> Built:
    """Make the index `target` of a file of ported numbers: a path, an open binary file, octets or pieces of them.

    Of several rows for a number the latest date wins; two operators on one date contradict each other. With `base`
    the rows change that index: they add numbers, give them another operator, or take them away. Up to `max_faults`
    broken lines are left out, their numbers in doubt.

    Holds `chunk` rows in memory and 18 octets a row on the disk, in unnamed files beside `target`. Raises Faulty and
    other PortabilityError, OSError, and what `progress` raises; `target` is then as it was.
    """
    faults = Faults()
    intake = Intake(country, columns, operators_map, faults, base.meta.operators if base else ("",))
    settled = _settled(ordered(intake.records(source, progress), WIDTH, target.parent, chunk), faults)
    changed = settled if base is None else _changed(base.items(), settled)

    def contents(count: int) -> Contents:
        judge(faults, max_faults)
        if not count:
            raise PortabilityError("portability_empty", "There is no ported number in the file.")
        return Contents(
            country=country.upper(),
            origin=origin,
            operators=intake.operators,
            rows=intake.rows,
            faults=dict(faults.counts),
        )

    meta = write(target, ((number, code) for number, code in changed if code != REMOVED), contents)
    return Built(meta, by_line(faults))


def _settled(records: Iterable[bytes], faults: Faults) -> Iterator[tuple[int, int]]:
    """Each number once, and the operator of its latest row."""
    held = b""
    for record in records:
        if held[:_NUMBER] != record[:_NUMBER]:
            if held:
                yield _pair(held)
            held = record
        else:
            held = _later(held, record, faults)
    if held:
        yield _pair(held)


def _pair(record: bytes) -> tuple[int, int]:
    return int.from_bytes(record[:_NUMBER], "big"), int.from_bytes(record[OPERATOR:], "big")


def _later(held: bytes, record: bytes, faults: Faults) -> bytes:
    """What holds after another row for the same number, whose date is the same or later."""
    before, now = held[OPERATOR:], record[OPERATOR:]
    if held[:DATED] != record[:DATED] or before == now:
        return record
    if _REMOVED in (before, now):
        return record  # taken away and given: a journal, its order counts
    line, first = (int.from_bytes(one[DATED:OPERATOR], "big") for one in (record, held))
    words = f"The number has another operator in line {first}, with the same date."
    faults.add(line, "operator", "rows_contradict", words)
    return record[:OPERATOR] + _DOUBT


def _changed(old: Iterator[tuple[int, int]], new: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The numbers of both in order; where both have one, the new one counts."""
    last = -1
    for number, code in heapq.merge(new, old, key=itemgetter(0)):  # of equals the first iterable's comes first
        if number != last:
            yield number, code
        last = number
