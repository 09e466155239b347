"""The operator's list of protected names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked, directory
from chappe.errors import Refused
from chappe.senders.model import Sender
from chappe.senders.protect import Names, Protected
from chappe.senders.room import book
from chappe.senders.store import PROTECTED
from chappe.text.confusable import fold

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_protected(
    rt: Runtime,
    actor: str,
    *,
    name: str,
    account_ids: tuple[int, ...] = (),
    countries: tuple[str, ...] = (),
    contained: bool = False,
) -> Protected:
    """Raises Refused: invalid_value, duplicate_name."""
    one = Protected(
        id=rt.ids.next(),
        name=name,
        account_ids=account_ids,
        countries=countries,
        contained=contained,
        created_at=rt.clock.now(),
    )
    one = _owned(rt, one)
    if any(other.name == name for other in book(rt).names.all):
        raise Refused("duplicate_name", f"{name} is protected already.", param="name")
    change = Change(rt, actor)
    change.create(PROTECTED, one)
    await change.commit()
    return one


async def update_protected(rt: Runtime, actor: str, protected_id: int, **fields: Any) -> Protected:
    """Change account_ids, countries or contained. Raises Refused: not_found, invalid_value."""
    before = found_protected(rt, protected_id)
    after = _owned(rt, msgspec.structs.replace(before, **fields))
    change = Change(rt, actor)
    change.update(PROTECTED, before, after)
    await change.commit()
    return after


async def delete_protected(rt: Runtime, actor: str, protected_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(PROTECTED, found_protected(rt, protected_id))
    await change.commit()


def found_protected(rt: Runtime, protected_id: int) -> Protected:
    for one in book(rt).names.all:
        if one.id == protected_id:
            return one
    raise Refused("not_found", "There is no such protected name.", param="id")


def lookalikes(rt: Runtime, one: Protected) -> list[Sender]:
    """The senders there are already that would be refused today; they go on until somebody suspends them."""
    alone = Names([one])
    return [
        sender
        for sender in book(rt)
        if sender.kind == "alphanumeric" and alone.rival(sender.account_id, sender.address, sender.countries)
    ]


def check_protected(one: Protected) -> Protected:
    """Raises Refused invalid_value for what cannot tell names apart."""
    one = checked(one)
    if len(fold(one.name)) < (5 if one.contained else 2):
        words = "Too short to tell names apart: 2 letters are needed, 5 for names that contain it."
        raise Refused("invalid_value", words, param="name")
    return one


def _owned(rt: Runtime, one: Protected) -> Protected:
    one = check_protected(one)
    for index, account_id in enumerate(one.account_ids):
        if directory(rt).account(account_id) is None:
            raise Refused("invalid_value", "There is no such account.", param=f"account_ids[{index}]")
    return one
