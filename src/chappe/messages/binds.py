"""The binds of this node: taken when free, handed over when we go or another comes, dropped when our lease ends.

What the rows say is done, again and again: a look each second and at every news, the difference carried out, so that
whatever breaks off in the middle is taken up by the next round.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from chappe import nodes
from chappe.channels import Connector
from chappe.connectors import Leases
from chappe.connectors.shares import Bind
from chappe.storage import StoreError

if TYPE_CHECKING:
    from chappe.messages.pipeline import Pipeline

EVERY_S = 1.0
HAND_OVER_S: Final = 20.0  # for all binds of a node that stops
_UP_ELSEWHERE_S: Final = 4.0  # that the next bind of a connector waits for the one before
_LOOK_S: Final = 0.05  # while something is handed over
_AGAIN_S: Final = 0.5
_FINISH_S: Final = 8.0  # for links that are being changed when we stop


class Binds:
    """`run` keeps the links as the leases say; where this node does not dispatch, it only keeps the leases in sight."""

    def __init__(self, house: Pipeline, leases: Leases) -> None:
        self._house = house
        self._leases = leases
        self._wake = asyncio.Event()
        self._giving: set[Bind] = set()
        self._aligning: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises StoreError."""
        self._house.rt.store.listen(nodes.TOPIC, self.wake)
        await self._round()
        self._loop = asyncio.create_task(self._run(), name="binds")

    async def stop(self) -> None:
        """Hand over, one bind of a connector after another, to whoever takes them at once."""
        self._leaving = True
        if self._loop is None:
            return
        try:
            if self._house.dispatches:
                async with asyncio.timeout(HAND_OVER_S):
                    await self._hand_over_all()
        except (StoreError, TimeoutError) as error:  # then the others take them when our lease has ended
            self._house.rt.log.warning("binds were not handed over", error=str(error) or "no time left")
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)
        if changing := [*self._tasks, *self._aligning.values()]:
            _, late = await asyncio.wait(changing, timeout=_FINISH_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        self._wake.set()

    # -- the loop ---------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_S if self._leaving else EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._round()
            except StoreError as error:
                self._house.rt.log.warning("binds wait for the store", error=str(error))
            except Exception:  # without this loop binds would be held for ever, or by nobody
                self._house.rt.log.exception("binds stumbled")

    async def _round(self) -> None:
        leases = self._leases
        await leases.look()
        if not self._house.dispatches or not self._house.rt.node.holds():
            return
        if not self._leaving:
            if wanted := leases.for_us():
                await leases.take(wanted)
                await leases.look()
            await leases.forget()
            self._give_for_fairness()
        self._give_unwanted()
        self._align_all()
        await self._tell()

    def _align_all(self) -> None:
        """Open what is ours, close what is not."""
        desks = self._house.dispatcher.desks
        for connector_id in {*self._leases.mine(), *desks}:
            desk = desks.get(connector_id)
            held = (desk.connector, desk.slots) if desk is not None else None
            connector, slots = self._wanted(connector_id)
            wanted = (connector, slots) if connector is not None and slots else None
            if held != wanted and connector_id not in self._aligning:
                task = self._aligning[connector_id] = asyncio.create_task(self._align(connector_id))
                task.add_done_callback(partial(self._aligned, connector_id))

    def _aligned(self, connector_id: int, task: asyncio.Task[None]) -> None:
        del self._aligning[connector_id]
        if not task.cancelled() and (error := task.exception()):
            self._house.rt.log.error("links could not be changed", error=repr(error))  # the next round tries again
        self.wake()

    async def _align(self, connector_id: int) -> None:
        await self._house.dispatcher.hold(connector_id, lambda: self._wanted(connector_id))

    def _wanted(self, connector_id: int) -> tuple[Connector | None, frozenset[int]]:
        """The slots of a connector that the rows give us, without those that we give up."""
        mine = self._leases.mine().get(connector_id, set())
        left = frozenset(slot for slot in mine if (connector_id, slot) not in self._giving)
        return self._house.connectors.get(connector_id), left

    async def _tell(self) -> None:
        """Write the states that have changed, for the other nodes and for whoever looks."""
        changed = []
        for bind, state, error, since in self._states():
            row = self._leases.slots.get(bind)
            if (
                row is not None
                and row.owner == self._house.rt.node.incarnation
                and (row.state, row.error)
                != (
                    state,
                    error,
                )
            ):
                changed.append((bind, state, error, since))
        if changed:
            await self._leases.tell(changed)

    def _states(self) -> list[tuple[Bind, str, str, int]]:
        """How our slots are: those of a pair together."""
        now = self._house.rt.clock.now()
        found = []
        for desk in self._house.dispatcher.desks.values():
            if desk.link is None:
                continue
            link = desk.link.status()
            sessions: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
            for session in link.binds:
                sessions[int(session.get("slot", 0))].append(session)  # type: ignore[call-overload]
            for slot, members in sessions.items():
                error = next((str(m["last_error"]) for m in members if m["last_error"]), "")
                since = max(int(m["since"]) for m in members) or now
                up = all(m["up"] for m in members)
                down = "refused" if link.state == "refused" else "down" if error else "starting"
                state = ("paused" if link.circuit_open else "up") if up else down
                found.append(((desk.connector.id, slot), state, "" if state == "up" else error, since))
        return found

    # -- giving up --------------------------------------------------------------------------------------------------

    def _give_for_fairness(self) -> None:
        """One bind of a connector, when all of its are up: who takes it makes no gap."""
        for connector in self._house.connectors:
            slot = self._leases.to_give(connector) if connector.active else None
            if slot is not None and not any(given == connector.id for given, _ in self._giving):
                self._give((connector.id, slot))

    def _give_unwanted(self) -> None:
        """The binds of connectors that were stopped or deleted, or have fewer now."""
        for connector_id, slots in self._leases.mine().items():
            connector = self._house.connectors.get(connector_id)
            binds = connector.settings.binds if connector is not None and connector.active else 0
            for slot in slots:
                if slot >= binds:
                    self._give((connector_id, slot))

    def _give(self, bind: Bind) -> None:
        if bind not in self._giving:
            self._giving.add(bind)
            task = asyncio.create_task(self._hand_over(bind))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, bind: Bind) -> None:
        """Close it, then free it: it is never held twice. It stays closed until we know that it is not ours."""
        self._giving.add(bind)
        try:
            await self._align(bind[0])
            while bind[1] in self._leases.mine().get(bind[0], ()):
                try:
                    await self._leases.give_up([bind])
                    await self._leases.look()
                except StoreError:
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._giving.discard(bind)
            self.wake()

    async def _hand_over_all(self) -> None:
        await self._house.rt.node.leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leases.look()
        mine = self._leases.mine()
        await asyncio.gather(*(self._hand_over_slots(connector, sorted(slots)) for connector, slots in mine.items()))

    async def _hand_over_slots(self, connector_id: int, slots: list[int]) -> None:
        """One after another, each once the one before is up elsewhere: so the connector goes on sending."""
        for n, slot in enumerate(slots, 1):
            await self._hand_over((connector_id, slot))
            if n < len(slots):
                await self._until_up((connector_id, slot))

    async def _until_up(self, bind: Bind) -> None:
        me = self._house.rt.node.incarnation
        deadline = self._house.rt.clock.monotonic() + _UP_ELSEWHERE_S
        while self._house.rt.clock.monotonic() < deadline:
            slot = self._leases.slots.get(bind)
            if slot is None or (slot.held and slot.owner != me and slot.state == "up"):
                return
            if not any(node != me for node in self._leases.nodes):
                return  # nobody is there to take it
            await asyncio.sleep(_LOOK_S)
