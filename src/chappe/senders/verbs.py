"""Senders: created, changed, deleted; and the book of them in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked, snapshot
from chappe.errors import Refused
from chappe.senders.model import Book, Sender, fault
from chappe.senders.store import ROOM, SENDERS
from chappe.snapshots import Snapshot
from chappe.storage import Store
from chappe.text import sender_kind

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def start(rt: Runtime) -> None:
    """Read the room's table and follow it."""

    async def load(store: Store) -> Book:
        return Book(await SENDERS.load(store))

    await rt.snapshots.add(Snapshot(ROOM, load))


def book(rt: Runtime) -> Book:
    value = snapshot(rt, ROOM).value
    assert isinstance(value, Book)
    return value


async def create_sender(
    rt: Runtime,
    actor: str,
    account_id: int,
    *,
    address: str,
    countries: tuple[str, ...] = (),
    status: str = "active",
    inbound: bool = False,
    connector_ids: tuple[int, ...] = (),
) -> Sender:
    """Raises Refused: sender_invalid, invalid_value, duplicate_name (also: another account receives on it)."""
    sender = new_sender(
        id=rt.ids.next(),
        account_id=account_id,
        address=address,
        countries=countries,
        status=status,
        inbound=inbound,
        connector_ids=connector_ids,
        created_at=rt.clock.now(),
    )
    known = book(rt)
    if known.find(account_id, address):
        raise Refused("duplicate_name", f"The account already has the sender {address}.", param="address")
    check_ownership(known, sender)
    change = Change(rt, actor)
    change.create(SENDERS, sender)
    await change.commit()
    return sender


async def update_sender(rt: Runtime, actor: str, account_id: int, sender_id: int, **fields: Any) -> Sender:
    """Change countries, status, inbound or connector_ids. Raises Refused: not_found, invalid_value, duplicate_name."""
    before = found_sender(rt, account_id, sender_id)
    after = checked(msgspec.structs.replace(before, **fields))
    check_ownership(book(rt), after)
    change = Change(rt, actor)
    change.update(SENDERS, before, after)
    await change.commit()
    return after


async def delete_sender(rt: Runtime, actor: str, account_id: int, sender_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(SENDERS, found_sender(rt, account_id, sender_id))
    await change.commit()


def new_sender(*, address: str, **fields: Any) -> Sender:
    """A sender whose kind is told from its address. Raises Refused sender_invalid or invalid_value."""
    wrong = fault(address)
    if wrong is not None:
        raise Refused(wrong.code, wrong.message, param="address", action=wrong.action)
    return checked(Sender(address=address, kind=sender_kind(address), **fields))  # type: ignore[arg-type]


def check_ownership(known: Book, sender: Sender) -> None:
    """Nobody else may already receive what this sender would."""
    if not sender.inbound:
        return
    if (other := known.rival(sender)) is not None:
        raise Refused(
            "duplicate_name", f"Messages to {other.address} already belong to another account.", param="address"
        )


def found_sender(rt: Runtime, account_id: int, sender_id: int) -> Sender:
    sender = book(rt).get(account_id, sender_id)
    if sender is None:
        raise Refused("not_found", "There is no such sender.")
    return sender
