"""Entries get their place in their account's chain, by one node, within a second or two of being recorded.

Whoever records an entry does not wait for the chain: two nodes that record for the same account never meet. An entry
that a crash left unsealed is sealed later. Two nodes that seal at once cannot fork a chain, for its numbers are unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from chappe import ids
from chappe.consent import store
from chappe.consent.chain import Head, link, public_of
from chappe.storage import Conflict, Op, Row

if TYPE_CHECKING:
    from chappe.runtime import Runtime

EVERY_S: Final = 1.0
SLICE: Final = 1_000  # entries in one unit
MOST_SLICES: Final = 50  # in one run: then others have their turn
LATE_S: Final = 60.0

Chain = tuple[int, int]
"""Account and test."""


def seal_regularly(rt: Runtime) -> None:
    """Have one node seal; before `rt.jobs.start`."""

    async def run(rt: Runtime) -> None:
        await seal(rt)

    rt.jobs.every("consent.seal", EVERY_S, run)


async def seal(rt: Runtime) -> int:
    """Seal what is not; gives how many entries. Raises Unavailable."""
    done = 0
    if not await rt.store.read(store.UNSEALED({"limit": 1})):
        return done
    for _ in range(MOST_SLICES):
        rows = await rt.store.scan(store.UNSEALED({"limit": SLICE}))
        if not rows:
            break
        try:
            await rt.store.write(*await _sealing(rt, rows))
        except Conflict:  # another node was faster with some of them: look again
            continue
        done += len(rows)
        if len(rows) < SLICE:
            break
    return done


async def head(rt: Runtime, account_id: int, test: bool) -> Head:
    """The end of an account's chain. Raises Unavailable."""
    return (await _heads(rt, [account_id])).get((account_id, int(test)), Head())


async def lag_s(rt: Runtime) -> float:
    """How long ago the oldest entry was recorded that is not sealed. Raises Unavailable."""
    rows = await rt.store.read(store.UNSEALED({"limit": 1}))
    return max(0.0, (rt.clock.now() - ids.millis(rows[0][0])) / 1000) if rows else 0.0


async def late(rt: Runtime) -> str | None:
    """Words for an alarm, when consents are not sealed any more. Raises Unavailable."""
    lag = await lag_s(rt)
    return f"a consent of {lag:.0f} s ago is not sealed yet" if lag > LATE_S else None


async def _sealing(rt: Runtime, rows: Sequence[Row]) -> list[Op]:
    """One unit that seals these rows behind what is sealed."""
    before = await _heads(rt, sorted({row[1] for row in rows}))
    after = dict(before)
    sealed = []
    for row in rows:
        chain = (row[1], row[2])
        end = after.get(chain, Head())
        sequence = end.sequence + 1
        after[chain] = Head(sequence, link(end.hash, public_of(row, sequence)))
        sealed.append((row[0], *after[chain]))
    moved = [(*chain, *end) for chain, end in sorted(after.items()) if before.get(chain) != end]
    begun = [(*chain, *Head()) for chain in sorted(after.keys() - before.keys())]
    return [
        *([store.BEGIN_CHAINS(begun)] if begun else ()),
        store.MOVE_CHAINS(moved, expect=len(moved)),
        store.SEAL(sealed, expect=len(sealed)),
    ]


async def _heads(rt: Runtime, account_ids: Sequence[int]) -> dict[Chain, Head]:
    rows = await rt.store.read(store.HEADS({"account_ids": list(account_ids)}))
    return {(account_id, test): Head(sequence, bytes(hash_)) for account_id, test, sequence, hash_ in rows}
