"""The room in memory: the domains of all accounts, loaded and followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe.accounts import snapshot
from chappe.fraud.model import Domains
from chappe.fraud.store import DOMAINS, ROOM
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""

    async def load(store: Store) -> Domains:
        return Domains(await DOMAINS.load(store))

    await rt.snapshots.add(Snapshot(ROOM, load))


def domains(rt: Runtime) -> Domains:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Domains)
    return value
