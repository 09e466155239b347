"""Entries that come in numbers are recorded in one unit, each after those of its person before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chappe.consent.model import Entry
from chappe.consent.recording import announce, record
from chappe.consent.room import TOPIC
from chappe.events import OptOutCreated
from chappe.storage import Op

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def record_all(rt: Runtime, entries: Sequence[Entry]) -> list[int]:
    """Record entries, all or none, and stop what they forbid before this returns; the ids, in order. Raises
    Unavailable."""
    ops: list[Op] = []
    stopped: list[int] = []
    events: list[OptOutCreated] = []
    made = [0] * len(entries)
    for wave in _waves(entries):
        recorded = record(rt, [entries[place] for place in wave])
        ops += recorded.ops
        stopped += recorded.stopped
        events += recorded.events
        for place, entry_id in zip(wave, recorded.ids, strict=True):
            made[place] = entry_id
    await rt.events.write(*ops, tell=events, wake=(TOPIC,))
    announce(rt, stopped)
    return made


def _waves(entries: Sequence[Entry]) -> list[list[int]]:
    """Places of entries, no person twice in a wave: of two rows for one key a statement would take any."""
    waves: list[list[int]] = []
    seen: Counter[str] = Counter()
    for place, entry in enumerate(entries):
        person = entry.proof.person
        if seen[person] == len(waves):
            waves.append([])
        waves[seen[person]].append(place)
        seen[person] += 1
    return waves
