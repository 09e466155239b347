"""Groups of accounts, which routes name: created, changed, deleted, each time as a new version of the routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from chappe.accounts import checked, directory
from chappe.errors import Refused
from chappe.routing.editions import Edition
from chappe.routing.model import AccountGroup
from chappe.routing.room import table
from chappe.routing.store import ACCOUNT_GROUPS

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_account_group(rt: Runtime, actor: str, *, name: str, account_ids: Sequence[int] = ()) -> AccountGroup:
    """Raises Refused: invalid_value, duplicate_name."""
    group = new_account_group(rt, name, account_ids)
    if name in table(rt).account_groups:
        raise Refused("duplicate_name", f"There is already an account group {name}.", param="name")
    change = Edition(rt, actor)
    change.create(ACCOUNT_GROUPS, group)
    await change.commit()
    return group


async def update_account_group(rt: Runtime, actor: str, group_id: int, account_ids: Sequence[int]) -> AccountGroup:
    """Other members; routes name the group, so its name stays. Raises Refused: not_found, invalid_value."""
    before = found_group(rt, group_id)
    after = msgspec.structs.replace(before, account_ids=tuple(dict.fromkeys(account_ids)))
    check_members(rt, after)
    change = Edition(rt, actor)
    change.update(ACCOUNT_GROUPS, before, after)
    await change.commit()
    return after


async def delete_account_group(rt: Runtime, actor: str, group_id: int) -> None:
    """Raises Refused: not_found, in_use by a route."""
    group = found_group(rt, group_id)
    if names := table(rt).naming(group.name):
        raise Refused("in_use", f"The group is used by the route {', '.join(names[:5])}.")
    change = Edition(rt, actor)
    change.delete(ACCOUNT_GROUPS, group)
    await change.commit()


def new_account_group(rt: Runtime, name: str, account_ids: Sequence[int]) -> AccountGroup:
    """Raises Refused invalid_value."""
    group = AccountGroup(rt.ids.next(), name, tuple(dict.fromkeys(account_ids)), rt.clock.now())
    check_members(rt, group)
    return checked(group)


def check_members(rt: Runtime, group: AccountGroup) -> None:
    """Raises Refused invalid_value for what is no account."""
    for at, account_id in enumerate(group.account_ids):
        if directory(rt).account(account_id) is None:
            raise Refused("invalid_value", "There is no such account.", param=f"account_ids[{at}]")


def found_group(rt: Runtime, group_id: int) -> AccountGroup:
    group = table(rt).group(group_id)
    if group is None:
        raise Refused("not_found", "There is no such account group.")
    return group
