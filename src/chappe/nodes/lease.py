"""Each process on a store leases a number, with which it makes ids, and its liveness, on which all that it holds rests.

The lease is on the database's clock. The process keeps a deadline of its own, measured from before the statement that
renewed it and a margin short of its end: past that it `holds` nothing. Who is late may still renew, until another
process *buries* it: from that commit on its rows are anybody's, and it comes back as another incarnation. So after an
outage of the database everybody goes on as before, and what a process holds is never held by two.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from chappe import __version__
from chappe.ids import NODES, Ids
from chappe.nodes import store as table
from chappe.nodes.vitals import Vitals
from chappe.storage import Conflict, Store, StoreError, Unavailable

LEASE_S = 6.0
RENEW_S = 1.5
MARGIN_S = 1.0  # between our deadline and the end of the lease: time to end what we hold
ALONE_LEASE_S = 60.0  # where nobody waits for our end
REST_S = 60.0  # of a number whose process has died: a paused one may still make ids with it
_AGAIN_S: Final = 0.5
_PATIENCE_S: Final = 3.0
_SLOW_S: Final = 1.0  # a renewal that took so long tells that others may have been late as well

_log = structlog.get_logger("nodes")

# the time that a machine sleeps passes for leases
_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)


def _clock() -> float:
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)


class NoNodeLeft(Exception):
    """All 256 numbers are leased to other processes, or rest."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A process as it told of itself. `stats` may lack whatever its version does not tell."""

    number: int
    name: str
    incarnation: int
    roles: tuple[str, ...]
    version: str
    started_at: int
    lease_left_ms: int
    stats: dict[str, Any]

    @property
    def late(self) -> bool:
        """Its lease is over, and nobody has taken what it held yet."""
        return self.lease_left_ms <= 0


async def listing(store: Store) -> list[NodeInfo]:
    """All processes on the store, the oldest first. Commands have no roles. Raises Unavailable."""
    return [_info(row) for row in await store.scan(table.LISTING())]


class Node:
    """This process's lease, kept as long as `keep` runs.

    `fenced`: other processes may serve this store, and take what we hold when our lease has ended. Else nothing depends
    on the lease but the number, and a slow disk does no harm. `roles` are empty for a command.
    """

    def __init__(self, store: Store, ids: Ids, name: str, *, roles: Sequence[str] = (), fenced: bool = False) -> None:
        self._store = store
        self._ids = ids
        self.name = name
        self.roles = tuple(roles)
        self.fenced = fenced
        self.number = -1
        self.counters: Callable[[], Mapping[str, int]] = dict
        """What only grows, and is told as a rate per second."""
        self.gauges: Callable[[], Mapping[str, float]] = dict
        self._token = secrets.token_hex(8)
        self._lease_s = LEASE_S if fenced else ALONE_LEASE_S
        self._until = 0.0
        self._renewed_at = 0.0
        self._steady_since = float("-inf")  # renewals have been in time since then
        self._lost = False
        self._anew = False
        self._alarm: asyncio.TimerHandle | None = None
        self._watchers: list[tuple[Callable[[], None], Callable[[bool], None]]] = []
        self._vitals: Vitals | None = None

    @property
    def incarnation(self) -> int:
        """This run of the process, as rows that it owns name it."""
        return int(self._token, 16) >> 1  # 63 bits: the store's integers are signed

    def holds(self) -> bool:
        """Whether what this process has leased is surely still its own."""
        return not self.fenced or _clock() < self._until

    def watch(self, lost: Callable[[], None], back: Callable[[bool], None]) -> None:
        """`lost` is called at the deadline of a lease that was not renewed, `back` when there is one again: with True
        if we are another incarnation now, whose former things others may have.
        """
        self._watchers.append((lost, back))

    async def lease(self) -> None:
        """Take a free number for our ids. Raises NoNodeLeft or Unavailable."""
        while True:
            number = await self._free_number()
            before = _clock()
            params = {
                "node": number,
                "name": self.name,
                "token": self._token,
                "lease": round(self._lease_s * 1000),
                "incarnation": self.incarnation,
                "roles": ",".join(self.roles),
                "version": __version__,
                "rest": round(REST_S * 1000),
            }
            try:
                await self._store.write(table.LEASE(params, expect=1))
            except Conflict:
                continue  # another process was faster
            self.number = number
            self._ids.move(number)
            self._extend(before)
            return

    async def keep(self) -> None:
        """Renew the lease for ever; begin anew where it was lost."""
        if self.roles:
            self._vitals = Vitals()
        pause_s = RENEW_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(RENEW_S, _AGAIN_S)
            try:
                await self._renew()
                if self.fenced and self.roles:
                    await self._bury()
                pause_s = RENEW_S
            except (Unavailable, TimeoutError) as error:
                self._steady_since = _clock()
                _log.warning("the node's lease was not renewed", reason=str(error) or "no answer in time")
            except NoNodeLeft:
                _log.error("no node number is free")
            except Exception:  # without this loop the process holds nothing any more
                _log.exception("the node's lease was not renewed")

    async def leave(self) -> None:
        """Take no part any more: the others share out without us what we give up from now on. Raises StoreError."""
        self.roles = ()
        await self._store.write(self._renewal(), wake=(table.TOPIC,))

    async def release(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._vitals is not None:
            self._vitals.stop()
        with suppress(StoreError):  # then the lease ends by itself
            await self._store.write(table.RELEASE({"node": self.number, "token": self._token}))

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _free_number(self) -> int:
        rows = await self._store.read(table.NUMBERS({"rest": round(REST_S * 1000)}))
        unused = sorted(set(range(NODES)) - {row[0] for row in rows})
        if unused:
            return secrets.choice(unused)
        rested = [(row[1], row[0]) for row in rows if row[2]]
        if not rested:
            raise NoNodeLeft
        _, number = min(rested)  # whose process is dead the longest
        return int(number)

    def _renewal(self) -> Any:
        params = {
            "node": self.number,
            "token": self._token,
            "lease": round(self._lease_s * 1000),
            "roles": ",".join(self.roles),
            "stats": self._stats(),
        }
        return table.RENEW(params)

    def _stats(self) -> str | None:
        if self._vitals is None:
            return None
        told = self._vitals.look(self.counters()) | dict(self.gauges())
        told["lease_age_s"] = round(_clock() - self._renewed_at, 2)
        return msgspec.json.encode(told).decode()

    async def _renew(self) -> None:
        before = _clock()
        async with asyncio.timeout(_PATIENCE_S if self.fenced else None):
            [renewed] = await self._store.write(self._renewal())
        if not renewed:
            await self._begin_anew()
            return
        if _clock() - before > _SLOW_S:
            self._steady_since = _clock()
        self._extend(before)

    async def _begin_anew(self) -> None:
        """We were buried, or our number is another's."""
        _log.warning("the node's lease was lost", node=self.number)
        self._until = 0.0
        self._expire()
        self._token, self._anew = secrets.token_hex(8), True
        await self.lease()

    def _extend(self, before: float) -> None:
        """The lease counts from before its statement was sent."""
        self._renewed_at = before
        if not self.fenced:
            return
        self._until = before + self._lease_s - MARGIN_S
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, self._until - _clock()), self._expire)
        if self._lost and self.holds():
            anew, self._lost, self._anew = self._anew, False, False
            _log.info("the node's lease is back", node=self.number, anew=anew)
            for _, back in self._watchers:
                back(anew)

    def _expire(self) -> None:
        if self._lost or not self.fenced:
            return
        if self.holds():  # timers and leases have different clocks
            self._alarm = asyncio.get_running_loop().call_later(0.01, self._expire)
            return
        self._lost = True
        _log.warning("the node's lease has ended: it lets go of what it holds", node=self.number)
        for lost, _ in self._watchers:
            lost()

    async def _bury(self) -> None:
        """End the incarnations that are late, once we know that it is not the store that was."""
        if _clock() - self._steady_since < self._lease_s:
            return
        [buried] = await self._store.write(table.BURY())
        if buried:
            _log.warning("nodes have died", count=buried)
            await self._store.write(wake=(table.TOPIC,))


def _info(row: Sequence[Any]) -> NodeInfo:
    number, name, incarnation, roles, version, started_at, left, stats = row
    told = msgspec.json.decode(stats) if stats else {}
    return NodeInfo(number, name, incarnation, tuple(filter(None, roles.split(","))), version, started_at, left, told)
