"""What quotas have counted outlives the process: written once a second, read when a node comes or goes.

So a restart forgets a second at most, and nodes divide among them what is really left of a day.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from chappe.nodes.store import SERVING
from chappe.routing.throttles import store
from chappe.routing.throttles.rule import Share
from chappe.storage import StoreError

if TYPE_CHECKING:
    from chappe.routing.throttles.gate import Gate
    from chappe.runtime import Runtime

EVERY_S: Final = 1.0
TIDY_EVERY: Final = 30  # rounds
_SLICE: Final = 1_000

Members = tuple[int, Sequence[int]]
"""Our number, and those of all nodes that ask their gates, ours among them."""
Nodes = Callable[[], Awaitable[Members]]


async def serving(rt: Runtime) -> Members:
    """All nodes that serve the store. Raises Unavailable."""
    mine = rt.node.incarnation
    if not rt.node.fenced:
        return mine, (mine,)
    return mine, [row[0] for row in await rt.store.read(SERVING())]


class Counts:
    """Keeps the counts of this process's gate."""

    def __init__(self, gate: Gate, owner: int, nodes: Nodes) -> None:
        self._gate = gate
        self._owner = owner
        self._nodes = nodes
        self._members: tuple[int, ...] = ()
        self._mine = 0
        self._unwritten: dict[tuple[int, str, int], int] = {}

    async def look(self, rt: Runtime) -> None:
        """Write what was counted, and see who else is there. Raises StoreError."""
        mine, nodes = await self._nodes()
        members = tuple(sorted({*nodes, mine}))
        await self.write(rt)  # before we divide: the others read it
        if (members, mine) != (self._members, self._mine):
            await self._divide(rt, Share(members.index(mine), len(members)))
            self._members, self._mine = members, mine

    async def keep(self, rt: Runtime) -> None:
        """A look each second, for ever."""
        rounds = 0
        while True:
            await asyncio.sleep(EVERY_S)
            rounds += 1
            try:
                await self.look(rt)
                if rounds % TIDY_EVERY == 0:
                    await self._tidy(rt)
            except StoreError as error:
                rt.log.warning("counts of throttles wait for the store", error=str(error))
            except Exception:  # without this loop a restart would forget the day
                rt.log.exception("counts of throttles were not written")

    async def write(self, rt: Runtime) -> None:
        """Raises StoreError; then it is written the next time."""
        for number, subject, end, counted in self._gate.changed():
            self._unwritten[number, subject, end] = counted
        while self._unwritten:
            batch = dict(islice(self._unwritten.items(), _SLICE))
            rows = [(*key, self._owner, counted) for key, counted in batch.items()]
            await rt.store.write(store.ADD_COUNTS(rows), store.SET_COUNTS(rows))
            for key in batch:
                del self._unwritten[key]

    async def _divide(self, rt: Runtime, share: Share) -> None:
        now = rt.clock.now()
        rows = await rt.store.scan(store.COUNTED({"now": now, "owner": self._owner}))
        others: defaultdict[tuple[int, str], dict[int, int]] = defaultdict(dict)
        for number, subject, end, counted in rows:
            others[number, subject][end] = counted
        self._gate.divide(share, dict(others), now)

    async def _tidy(self, rt: Runtime) -> None:
        now = rt.clock.now()
        self._gate.tidy(now)
        rows = await rt.store.scan(store.OVER({"now": now, "limit": _SLICE}))
        if rows:
            await rt.store.write(store.DROP_COUNTS(rows))
