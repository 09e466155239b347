"""The leases of binds, as they lie in the store. A bind is leased, not a connector: one with n binds has n slots.

A slot is held by an incarnation of a node for as long as that node lives, so one renewal of the node's lease renews
them all (`chappe.nodes.lease`). Its epoch counts the owners. The owner writes its state into the row, for all to see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chappe.channels import Connector, LinkStatus
from chappe.connectors import store
from chappe.connectors.book import book
from chappe.connectors.shares import Bind, Shares
from chappe.nodes import TOPIC
from chappe.nodes.store import SERVING

if TYPE_CHECKING:
    from chappe.runtime import Runtime

_WORKS: Final = ("up", "starting")
_VACANT_MS: Final = 15_000  # so long a connector without a holder is only on its way to the next
_LEFT_S: Final = 4.0  # a slot that nobody has taken for so long is anybody's, whosever turn it was


@dataclass(frozen=True, slots=True)
class Slot:
    """A row of `bind_leases`. `held`: its owner lives."""

    connector_id: int
    slot: int
    owner: int
    node: str
    epoch: int
    state: str
    error: str
    since: int
    held: int

    @property
    def bind(self) -> Bind:
        return self.connector_id, self.slot


class Leases:
    """What `look` saw last, and this node's hand on the rows. All that touches the store raises StoreError."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._unusable: dict[int, int] = {}  # connector: since when, in milliseconds
        self._vacant: dict[int, int] = {}
        self._free: dict[Bind, float] = {}  # since when, on the monotonic clock
        self.slots: dict[Bind, Slot] = {}
        self.nodes: list[int] = []
        """The incarnations of all that may hold binds."""

    async def look(self) -> None:
        rows = await self._rt.store.read(store.SLOTS())
        serving = await self._rt.store.read(SERVING())
        slots = [Slot(*row) for row in rows]
        self.slots = {slot.bind: slot for slot in slots}
        self.nodes = [incarnation for incarnation, roles in serving if "dispatch" in roles.split(",")]
        self._judge()

    # -- what everybody asks ----------------------------------------------------------------------------------------

    def usable(self, connector_id: int) -> bool:
        """Whether some node can send by it, or soon will."""
        return connector_id not in self._unusable

    def stranded(self, before: int) -> list[int]:
        """The connectors that nobody has been able to send by since before that moment."""
        return [connector_id for connector_id, since in self._unusable.items() if since < before]

    def of(self, connector_id: int) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.connector_id == connector_id]

    def status(self, connector: Connector) -> LinkStatus:
        """The link of a connector over all nodes."""
        rows = {slot.slot: slot for slot in self.of(connector.id)}
        sessions = 2 if connector.settings.bind_type == "pair" else 1
        told = LinkStatus(binds_wanted=connector.settings.binds * sessions)
        states: list[str] = []
        for number in range(connector.settings.binds):
            row = rows.get(number)
            held = row is not None and row.held
            state = row.state if row is not None and held else "free"
            states.append(state)
            told.binds.append(
                {
                    "slot": number,
                    "node": row.node if row is not None and held else None,
                    "type": connector.settings.bind_type,
                    "state": state,
                    "up": state == "up",
                    "since": row.since if row is not None else 0,
                    "last_error": row.error if row is not None and held else "",
                }
            )
            if row is not None and held:
                told.since = max(told.since, row.since)
                told.last_error = row.error or told.last_error
        told.binds_up = states.count("up") * sessions
        told.circuit_open = "paused" in states and "up" not in states
        told.state = _together(states)  # type: ignore[assignment]
        return told

    # -- what a node that dispatches asks ---------------------------------------------------------------------------

    def mine(self) -> dict[int, set[int]]:
        """The slots that we hold, by connector."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        for slot in self.slots.values():
            if slot.owner == self._rt.node.incarnation and slot.held:
                found[slot.connector_id].add(slot.slot)
        return found

    def free(self) -> list[Bind]:
        """The slots of active connectors that nobody holds."""
        wanted = [(c.id, slot) for c in book(self._rt) if c.active for slot in range(c.settings.binds)]
        return [bind for bind in wanted if bind not in self.slots or not self.slots[bind].held]

    def for_us(self) -> list[Bind]:
        """The free slots that this node should take."""
        now, me = self._rt.clock.monotonic(), self._rt.node.incarnation
        free = self.free()
        self._free = {bind: self._free.get(bind, now) for bind in free}
        takers = self._shares().takers(free)
        return [bind for bind in free if takers.get(bind) == me or now - self._free[bind] > _LEFT_S]

    def to_give(self, connector: Connector) -> int | None:
        """The slot that this node should give up for the sake of one that holds fewer: only while all are up, so that
        the others carry on."""
        rows = self.of(connector.id)
        if connector.settings.binds < 2 or len(rows) < connector.settings.binds:
            return None
        if not all(slot.held and slot.state == "up" for slot in rows):
            return None
        if not self._shares().gives(self._rt.node.incarnation, connector.id):
            return None
        return max(self.mine()[connector.id])

    async def take(self, binds: Sequence[Bind]) -> None:
        """Take what is still free of these; `look` tells which they were."""
        node, now = self._rt.node, self._rt.clock.now()
        fresh = [(*bind, 0, "", 0, "free", "", now) for bind in binds if bind not in self.slots]
        taken = [(*bind, node.incarnation, node.name, now) for bind in binds]
        await self._rt.store.write(store.ADD_SLOTS(fresh), store.TAKE(taken), wake=(TOPIC,))

    async def give_up(self, binds: Iterable[Bind]) -> None:
        """Free what we hold of these; their sessions have ended."""
        now, me = self._rt.clock.now(), self._rt.node.incarnation
        await self._rt.store.write(store.GIVE_UP([(*bind, now, me) for bind in binds]), wake=(TOPIC,))

    async def tell(self, states: Sequence[tuple[Bind, str, str, int]]) -> None:
        """Write how our slots are: (slot, state, last error, since)."""
        me = self._rt.node.incarnation
        rows = [(*bind, state, error, since, me) for bind, state, error, since in states]
        await self._rt.store.write(store.TELL(rows), wake=(TOPIC,))

    async def forget(self) -> None:
        """Remove the rows of slots that no connector has any more."""
        known = {(c.id, slot) for c in book(self._rt) if c.active for slot in range(c.settings.binds)}
        gone = [(*slot.bind, slot.epoch) for slot in self.slots.values() if slot.bind not in known and not slot.held]
        if gone:
            await self._rt.store.write(store.FORGET(gone))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _shares(self) -> Shares:
        return Shares(self.nodes, {slot.bind: slot.owner for slot in self.slots.values() if slot.held})

    def _judge(self) -> None:
        """Which connectors nobody can send by, and since when we know it."""
        now = self._rt.clock.now()
        unusable, vacant = {}, {}
        states: defaultdict[int, list[str]] = defaultdict(list)
        for slot in self.slots.values():
            if slot.held:
                states[slot.connector_id].append(slot.state)
        for connector in book(self._rt):
            known = states.get(connector.id, [])
            if any(state in _WORKS for state in known):
                continue
            if not known:
                vacant[connector.id] = self._vacant.get(connector.id, now)
                if now - vacant[connector.id] < _VACANT_MS:
                    continue
            unusable[connector.id] = self._unusable.get(connector.id, now)
        self._unusable, self._vacant = unusable, vacant


def _together(states: Sequence[str]) -> str:
    """The state of a link whose binds have these."""
    if all(state == "up" for state in states):
        return "up"
    if "up" in states or "paused" in states:
        return "degraded"
    if "starting" in states or "free" in states:
        return "starting"
    return "refused" if "refused" in states else "down"
