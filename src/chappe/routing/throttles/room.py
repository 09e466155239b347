"""The room in memory: the gate of this process, which follows the table of throttles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.errors import Refused
from chappe.routing.throttles.gate import Gate
from chappe.routing.throttles.model import Throttle
from chappe.routing.throttles.store import ROOM, THROTTLES
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""
    one = Gate()

    async def load(store: Store) -> Gate:
        one.follow(await THROTTLES.load(store))
        return one

    await rt.snapshots.add(Snapshot(ROOM, load))


def gate(rt: Runtime) -> Gate:
    """The one gate of this process."""
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Gate)
    return value


def found_throttle(rt: Runtime, throttle_id: int) -> Throttle:
    """Raises Refused not_found."""
    throttle = gate(rt).throttles.get(throttle_id)
    if throttle is None:
        raise Refused("not_found", "There is no such throttle.", param="id")
    return throttle


def named(rt: Runtime, name: str) -> Throttle | None:
    return next((throttle for throttle in gate(rt).throttles.values() if throttle.name == name), None)


def using(rt: Runtime, connector_id: int) -> list[str]:
    """The names of the throttles of a connector."""
    return [throttle.name for throttle in gate(rt).throttles.values() if throttle.connector_id == connector_id]
