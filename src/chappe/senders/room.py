"""The room in memory: the book of all senders, loaded and followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chappe.accounts import snapshot
from chappe.errors import Refused
from chappe.senders import store as table
from chappe.senders.kinds import kind_of
from chappe.senders.model import Book, Enforcement, Sender
from chappe.snapshots import Snapshot
from chappe.storage import Store

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's tables and follow them."""
    asked = rt.settings.senders
    enforcement = Enforcement(asked.enforce_registration, asked.lookalikes)

    async def load(store: Store) -> Book:
        # what refers to others first: nothing is then without what it names
        documents, registrations = await table.DOCUMENTS.load(store), await table.REGISTRATIONS.load(store)
        pools, defaults = await table.POOLS.load(store), await table.DEFAULTS.load(store)
        senders = [_current(sender) for sender in await table.SENDERS.load(store)]
        campaigns, brands = await table.CAMPAIGNS.load(store), await table.BRANDS.load(store)
        return Book(
            senders,
            registrations=registrations,
            documents=documents,
            pools=pools,
            defaults=defaults,
            protected=await table.PROTECTED.load(store),
            brands=brands,
            campaigns=campaigns,
            enforcement=enforcement,
        )

    await rt.snapshots.add(Snapshot(table.ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, table.ROOM).value
    assert isinstance(value, Book)
    return value


def found_sender(rt: Runtime, account_id: int, sender_id: int) -> Sender:
    """Raises Refused not_found."""
    sender = book(rt).get(account_id, sender_id)
    if sender is None:
        raise Refused("not_found", "There is no such sender.")
    return sender


def _current(sender: Sender) -> Sender:
    """Rows of before there were several kinds of numbers say `numeric`."""
    if sender.kind in ("alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"):
        return sender
    return msgspec.structs.replace(sender, kind=kind_of(sender.address)[0])
