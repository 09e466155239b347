"""The room at work: what this node learns, what it tells the others, and whom it chooses.

Counting and choosing happen in memory. Every second what was counted is aged into tallies; every two seconds the
tallies that changed are written to this node's rows, and those of the other nodes are read; a node that is alone does
so every ten. After a restart a node begins with what the rows hold; what a crash loses is what was counted since the
last time they were written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chappe.accounts import snapshot
from chappe.routing.quality import rows, store, truth
from chappe.routing.quality.chooser import Chooser
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import (
    EVERYWHERE,
    REFUSED,
    Canary,
    Demotion,
    Estimate,
    Key,
    country_of,
    place_of,
)
from chappe.routing.quality.truth import Canaries, Truth
from chappe.snapshots import Snapshot
from chappe.storage import Conflict, Op, Store, Unavailable

if TYPE_CHECKING:
    from chappe.runtime import Runtime

TICK_S: Final = 1.0
EXCHANGE_S: Final = 2.0
ALONE_S: Final = 10.0  # between two writings where no other node waits for them
_SHARE: Final = 20  # an exchange takes a twentieth of the time at most
ALIVE_S: Final = 30.0
TRUST_S: Final = 60.0
OVERLAP_MS: Final = 15_000  # a row's time is that of its statement, and it is seen only after its commit
REDRAWN: Final = 100  # tables made anew in a second: some ten milliseconds
MOST_TABLES: Final = 50_000
WAITING_SUSPECTS: Final = 1_000
SUSPECTS_AN_HOUR: Final = 100  # for each connector: enough for a dispute, and the table stays small

Tracked = Callable[[int], bool]
"""Whether a connector's supplier sends receipts: of one that does not, nothing can be told."""


class Quality:
    """How connectors do at places, on this node. Made by `start`."""

    def __init__(self, rt: Runtime, tracked: Tracked) -> None:
        settings = rt.settings.route_quality
        self._rt = rt
        self.tracked = tracked
        self.floor_ms = settings.receipt_floor_ms
        self.evidence = Evidence(settings.half_life_minutes * 60_000)
        self.chooser = Chooser(self.evidence, settings.explore_percent / 100.0)
        self.demotions: dict[Key, Demotion] = {}
        self.times: dict[Key, int] = {}
        self.canaries: dict[str, Canary] = {}
        self.hits: dict[Key, Canaries] = {}
        self.suspects: deque[tuple[Any, ...]] = deque(maxlen=WAITING_SUSPECTS)
        self._suspected: dict[int, int] = {}  # connector -> how many within the hour
        self._hour = 0
        self._node = 0
        self._since = 0
        self._changed: set[Key] = set()
        self._written: set[Key] = set()
        self._stale: dict[Key, None] = {}
        self._exchanging = asyncio.Lock()
        self._exchange_at = self._alive = self._weighed = float("-inf")
        self._task: asyncio.Task[None] | None = None

    # -- what others ask --------------------------------------------------------------------------------------------

    def score(self, connector_id: int, place: str, seed: int) -> float:
        """What a connector is worth for the message with the id `seed`: the higher the better. At least 2: the message
        explores; below 0: the connector is demoted. The same for the same seed until more is known."""
        return self.chooser.score(
            connector_id, place, seed, bool(self.demotions) and self.demoted(connector_id, place) is not None
        )

    def demoted(self, connector_id: int, place: str) -> Demotion | None:
        """The demotion that holds for a connector at a place: its own, the country's, or that for everywhere."""
        known = self.demotions
        if not known:
            return None
        return (
            known.get((connector_id, place))
            or known.get((connector_id, country_of(place)))
            or known.get((connector_id, EVERYWHERE))
        )

    def estimate(self, connector_id: int, place: str) -> Estimate:
        """How a connector does at a place, as of the last second."""
        return self.evidence.estimate(connector_id, place)

    def truth(self, connector_id: int) -> Truth:
        """What speaks for and against the receipts of a connector."""
        return truth.assess(self.evidence, connector_id, self.hits, self.floor_ms)

    # -- what others tell -------------------------------------------------------------------------------------------

    def refused(self, connector_id: int, country: str, operator: str | None, at: int) -> None:
        """A connector refused a message that goes on to another one. One that ends there is told as failed."""
        if self.tracked(connector_id):
            place = place_of(country, operator)
            self.evidence.count(connector_id, place, country or place, at, REFUSED)

    def suspect(self, connector_id: int, message_id: int, place: str, why: str, delay_ms: int, at: int) -> None:
        """Keep a message for a dispute with the supplier; only so many an hour."""
        hour = at // 3_600_000
        if hour != self._hour:
            self._hour, self._suspected = hour, {}
        count = self._suspected.get(connector_id, 0)
        if count < SUSPECTS_AN_HOUR:
            self._suspected[connector_id] = count + 1
            self.suspects.append((connector_id, message_id, place, why, delay_ms, at))

    # -- life -------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read what is known, and begin to learn. Raises Unavailable."""
        await self._join()
        await self._read()
        await self.weigh()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what was learnt."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self.refresh()
            try:
                await self.exchange()
            except Unavailable as error:
                self._rt.log.warning("route quality of the last seconds is lost", reason=error.reason)

    async def _run(self) -> None:
        clock = self._rt.clock
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.refresh()
                if clock.monotonic() >= self._exchange_at:
                    await self.exchange()
                if clock.monotonic() - self._weighed >= TRUST_S:
                    await self.weigh()
            except Unavailable:
                pass  # what was counted waits in memory
            except Exception:  # without this task nothing would be learnt any more
                self._rt.log.exception("route quality stumbled")

    def refresh(self) -> None:
        """Age in what was counted, and draw anew for what it concerns, as far as there is time."""
        touched = self.evidence.fold(self._rt.clock.now())
        self._changed |= touched
        tables = self.chooser.known()
        if len(tables) > MOST_TABLES:
            self.chooser.forget()
            return
        countries = {(connector_id, country_of(place)) for connector_id, place in touched}
        for key in tables:
            if key in touched or key in countries:
                self._stale[key] = None
        if not self._stale:
            self._stale = dict.fromkeys(tables)  # what nobody uses is doubted more and more
        for key in list(self._stale)[:REDRAWN]:
            del self._stale[key]
            self.chooser.draw(*key)

    # -- with the other nodes ---------------------------------------------------------------------------------------

    async def exchange(self) -> None:
        """Write what changed here, read what changed elsewhere. Raises Unavailable."""
        async with self._exchanging:
            began = self._rt.clock.monotonic()
            self._exchange_at = began + EXCHANGE_S
            await self._tell()
            others = await self._read()
            took = self._rt.clock.monotonic() - began
            self._exchange_at = began + max(EXCHANGE_S if others else ALONE_S, _SHARE * took)

    async def _join(self) -> None:
        """Take a new number for this node's rows."""
        self._node = self._rt.ids.next()
        self._written.clear()
        await self._rt.store.write(store.BORN([(self._node,)]))
        self._alive = self._rt.clock.monotonic()

    async def _tell(self) -> None:
        changed, self._changed = self._changed, set()
        waiting = list(self.suspects)
        now = self._rt.clock.monotonic()
        ops: list[Op] = []
        if changed or now - self._alive >= ALIVE_S:
            ops.append(store.ALIVE([(self._node,)], expect=1))
        told = []
        for connector_id, place in sorted(changed):
            tally = self.evidence.own[connector_id, place]
            tally.trim()
            told.append((self._node, connector_id, place, tally.country, rows.written(tally)))
        if fresh := [row for row in told if row[1:3] not in self._written]:
            ops.append(store.ADD(fresh))
        if told:
            ops.append(store.SET([(*row[:3], row[4]) for row in told], expect=len(told)))
        if waiting:
            ops.append(store.ADD_SUSPECTS(waiting))
        if not ops:
            return
        try:
            await self._rt.store.write(*ops)
        except Conflict:
            await self._inherited()
            return
        except BaseException:
            self._changed |= changed
            raise
        self._alive = now
        self._written |= changed
        for _ in waiting:
            self.suspects.popleft()

    async def _inherited(self) -> None:
        """We were away for so long that what we had counted was taken over into the common rows."""
        self._rt.log.warning("this node was taken for gone: its route quality starts from the common rows")
        self.evidence.own.clear()
        self._changed.clear()
        self._since = 0
        await self._join()

    async def _read(self) -> bool:
        """Whether there are other nodes."""
        scan = self._rt.store.scan
        nodes = [row[0] for row in await scan(store.NODES())]
        known = {*nodes, store.COMMON} - {self._node}
        self.evidence.keep(known)
        for node, connector_id, place, country, text, changed_at in await scan(
            store.SINCE({"since": self._since - OVERLAP_MS, "node": self._node})
        ):
            self._since = max(self._since, changed_at)
            if node in known:
                self._hear(node, (connector_id, place), country, text)
        return len(known) > 1

    def _hear(self, node: int, key: Key, country: str, text: str) -> None:
        try:
            tally = rows.read(country, text)
        except msgspec.MsgspecError as error:
            self._rt.log.warning("a row of route quality cannot be read", node=node, error=str(error))
            return
        self.evidence.learn(key, node, tally)
        if self.chooser.knows(key):
            self._stale[key] = None

    async def weigh(self) -> None:
        """Look how far receipts can be trusted. Raises Unavailable."""
        self._weighed = self._rt.clock.monotonic()
        found = await self._rt.store.scan(store.CANARY_HITS())
        self.hits = {(row[0], row[1]): Canaries(row[2], row[3]) for row in found}
        made: dict[Key, float] = {}
        for count, key in enumerate(self.evidence.measured()):
            made[key] = truth.trust(self.evidence, key, self.hits, self.floor_ms)
            if count % 50 == 49:
                await asyncio.sleep(0)  # the messages go first
        self.chooser.trust = made

    # -- what the tables say ----------------------------------------------------------------------------------------

    async def load(self, source: Store) -> Quality:
        """Read who is demoted and which numbers are canaries. Raises Unavailable."""
        demotions, times, epochs = {}, {}, {}
        for row in await source.scan(store.DEMOTIONS()):
            connector_id, place, state, since, reason, evidence, against_ppm, count, hold_until = row
            key = (connector_id, place)
            times[key], epochs[key] = count, since
            if state == "demoted":
                demotions[key] = Demotion(
                    connector_id=connector_id,
                    place=place,
                    since=since,
                    reason=reason,
                    evidence=msgspec.json.decode(evidence),
                    against=against_ppm / 1e6,
                    times=count,
                    hold_until=hold_until,
                )
        canaries = await store.CANARIES.load(source)
        self.canaries = {one.number: one for one in canaries}
        self.demotions, self.times = demotions, times
        self._follow(epochs)
        return self

    def _follow(self, epochs: Mapping[Key, int]) -> None:
        if epochs != self.evidence.epochs:
            self._changed |= self.evidence.follow(epochs)
            self._stale = dict.fromkeys(self.chooser.known())


def of(rt: Runtime) -> Quality:
    """The Quality of this process. Raises KeyError when it was not started."""
    value = snapshot(rt, store.ROOM).value
    assert isinstance(value, Quality)
    return value


async def load(rt: Runtime, tracked: Tracked) -> Quality:
    made = Quality(rt, tracked)
    await rt.snapshots.add(Snapshot(store.ROOM, made.load))
    await made.open()
    return made
