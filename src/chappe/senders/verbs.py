"""Senders: created, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.senders.kinds import NUMERIC, Kind, Overrides, kind_of
from chappe.senders.model import Book, Sender
from chappe.senders.room import book, found_sender
from chappe.senders.store import SENDERS
from chappe.senders.verdict import fault

if TYPE_CHECKING:
    from chappe.runtime import Runtime


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
    kind: Kind | None = None,
    overrides: Overrides | None = None,
    campaign_id: int | None = None,
    vouched: bool = False,
) -> Sender:
    """`vouched`: the operator knows whose name it is, however it looks.

    Raises Refused: sender_invalid, invalid_value, sender_lookalike, duplicate_name (also: another account receives
    on it).
    """
    known = book(rt)
    sender = new_sender(
        id=rt.ids.next(),
        account_id=account_id,
        address=address,
        kind=kind,
        countries=countries,
        status=status,
        inbound=inbound,
        connector_ids=connector_ids,
        created_at=rt.clock.now(),
        overrides=overrides or Overrides(),
        campaign_id=campaign_id,
    )
    if known.find(account_id, address):
        raise Refused("duplicate_name", f"The account already has the sender {address}.", param="address")
    check_ownership(known, sender)
    _check_campaign(known, sender)
    if not vouched:
        sender = _guarded(known, sender)
    change = Change(rt, actor)
    change.create(SENDERS, sender)
    await change.commit()
    return sender


async def update_sender(
    rt: Runtime, actor: str, account_id: int, sender_id: int, *, vouched: bool = False, **fields: Any
) -> Sender:
    """Change countries, status, inbound, connector_ids, kind, overrides or campaign_id.

    Raises Refused: not_found, invalid_value, sender_lookalike, duplicate_name.
    """
    before = found_sender(rt, account_id, sender_id)
    after = checked(msgspec.structs.replace(before, **fields))
    _check_kind(after)
    check_ownership(book(rt), after)
    _check_campaign(book(rt), after)
    if not vouched and after.countries != before.countries:
        after = _guarded(book(rt), after)
    change = Change(rt, actor)
    change.update(SENDERS, before, after)
    await change.commit()
    return after


async def delete_sender(rt: Runtime, actor: str, account_id: int, sender_id: int) -> None:
    """Raises Refused not_found, or in_use by a pool or a registration that was handed in."""
    known, sender = book(rt), found_sender(rt, account_id, sender_id)
    pools = [pool.name for pool in known.pools.values() if sender_id in pool.sender_ids]
    if pools:
        raise Refused("in_use", f"{sender.address} is in the pool {', '.join(pools)}.")
    filed = [one for one in known.registrations.values() if one.sender_id == sender_id]
    if filed:
        countries = ", ".join(sorted({one.country for one in filed}))
        raise Refused("in_use", f"{sender.address} has registrations in {countries}.")
    change = Change(rt, actor)
    change.delete(SENDERS, sender)
    await change.commit()


def new_sender(*, address: str, kind: Kind | None = None, **fields: Any) -> Sender:
    """A sender whose kind is told from its address unless it is given. Raises Refused sender_invalid, invalid_value."""
    wrong = fault(address)
    if wrong is not None:
        raise Refused(wrong.code, wrong.message, param="address", action=wrong.action)
    sender = checked(Sender(address=address, kind=kind or kind_of(address)[0], **fields))
    _check_kind(sender)
    return sender


def check_ownership(known: Book, sender: Sender) -> None:
    """Nobody else may already receive what this sender would."""
    if not sender.inbound:
        return
    if (other := known.rival(sender)) is not None:
        raise Refused(
            "duplicate_name", f"Messages to {other.address} already belong to another account.", param="address"
        )


def _check_kind(sender: Sender) -> None:
    """A number may be another kind of number than its digits say, a name is a name."""
    told = kind_of(sender.address)[0]
    if sender.kind != told and not {sender.kind, told} <= NUMERIC:
        words = f"{sender.address} is of the kind {told}, not {sender.kind}."
        raise Refused("invalid_value", words, param="kind", action="Leave kind out: it is told from the address.")


def _check_campaign(known: Book, sender: Sender) -> None:
    if sender.campaign_id is None:
        return
    campaign = known.campaigns.get(sender.campaign_id)
    if campaign is None or campaign.account_id != sender.account_id:
        raise Refused("invalid_value", "There is no such campaign.", param="campaign")
    if sender.kind != "ten_dlc":
        raise Refused("invalid_value", f"A campaign is for local numbers, not for a {sender.kind}.", param="campaign")


def _guarded(known: Book, sender: Sender) -> Sender:
    """The sender, in review or refused if it looks like somebody else's protected name."""
    if sender.kind != "alphanumeric":
        return sender
    rival = known.names.rival(sender.account_id, sender.address, sender.countries)
    if rival is None:
        return sender
    if known.enforcement.lookalikes == "review":
        return msgspec.structs.replace(sender, status="review", inbound=False)
    words = f"{sender.address} looks like {rival.name}, which is protected."
    raise Refused("sender_lookalike", words, param="address")
