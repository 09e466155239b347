"""Pools and defaults: which of its senders an account sends from when a message leaves the choice open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chappe.accounts import Change, checked
from chappe.errors import Refused
from chappe.senders.model import Book
from chappe.senders.pools import PREFIX, Default, Pool
from chappe.senders.room import book
from chappe.senders.store import DEFAULTS, POOLS

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_pool(rt: Runtime, actor: str, account_id: int, *, name: str, sender_ids: tuple[int, ...]) -> Pool:
    """Raises Refused: invalid_value, duplicate_name."""
    known = book(rt)
    pool = checked(
        Pool(id=rt.ids.next(), account_id=account_id, name=name, sender_ids=sender_ids, created_at=rt.clock.now())
    )
    _check_members(known, pool)
    if known.pool(account_id, name) is not None:
        raise Refused("duplicate_name", f"The account already has the pool {name}.", param="name")
    change = Change(rt, actor)
    change.create(POOLS, pool)
    await change.commit()
    return pool


async def update_pool(rt: Runtime, actor: str, account_id: int, pool_id: int, sender_ids: tuple[int, ...]) -> Pool:
    """Other members; people whose member stays keep it. Raises Refused: not_found, invalid_value."""
    before = found_pool(rt, account_id, pool_id)
    after = checked(msgspec.structs.replace(before, sender_ids=sender_ids))
    _check_members(book(rt), after)
    change = Change(rt, actor)
    change.update(POOLS, before, after)
    await change.commit()
    return after


async def delete_pool(rt: Runtime, actor: str, account_id: int, pool_id: int) -> None:
    """Raises Refused: not_found, in_use by a default."""
    pool = found_pool(rt, account_id, pool_id)
    used = [one.country for one in defaults_of(rt, account_id) if one.sender == PREFIX + pool.name]
    if used:
        raise Refused("in_use", f"The pool {pool.name} is the default for {', '.join(used)}.")
    change = Change(rt, actor)
    change.delete(POOLS, pool)
    await change.commit()


async def create_default(rt: Runtime, actor: str, account_id: int, *, country: str, sender: str) -> Default:
    """Raises Refused: invalid_value, sender_not_allowed, duplicate_name (the country has one)."""
    default = checked(
        Default(id=rt.ids.next(), account_id=account_id, country=country, sender=sender, created_at=rt.clock.now())
    )
    _check_sender(book(rt), default)
    if book(rt).default(account_id, country) is not None:
        raise Refused("duplicate_name", f"There is already a default for {country}.", param="country")
    change = Change(rt, actor)
    change.create(DEFAULTS, default)
    await change.commit()
    return default


async def update_default(rt: Runtime, actor: str, account_id: int, default_id: int, sender: str) -> Default:
    """Raises Refused: not_found, invalid_value, sender_not_allowed."""
    before = found_default(rt, account_id, default_id)
    after = checked(msgspec.structs.replace(before, sender=sender))
    _check_sender(book(rt), after)
    change = Change(rt, actor)
    change.update(DEFAULTS, before, after)
    await change.commit()
    return after


async def delete_default(rt: Runtime, actor: str, account_id: int, default_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(DEFAULTS, found_default(rt, account_id, default_id))
    await change.commit()


def pools_of(rt: Runtime, account_id: int) -> list[Pool]:
    return [pool for pool in book(rt).pools.values() if pool.account_id == account_id]


def defaults_of(rt: Runtime, account_id: int) -> list[Default]:
    return [default for default in book(rt).defaults.values() if default.account_id == account_id]


def found_pool(rt: Runtime, account_id: int, pool_id: int) -> Pool:
    pool = book(rt).pools.get(pool_id)
    if pool is None or pool.account_id != account_id:
        raise Refused("not_found", "There is no such pool.", param="id")
    return pool


def found_default(rt: Runtime, account_id: int, default_id: int) -> Default:
    default = book(rt).defaults.get(default_id)
    if default is None or default.account_id != account_id:
        raise Refused("not_found", "There is no such default.", param="id")
    return default


def _check_members(known: Book, pool: Pool) -> None:
    if len({*pool.sender_ids}) != len(pool.sender_ids):
        raise Refused("invalid_value", "A pool names each sender once.", param="senders")
    for index, sender_id in enumerate(pool.sender_ids):
        if known.get(pool.account_id, sender_id) is None:
            raise Refused("sender_not_allowed", "This is no sender of the account.", param=f"senders[{index}]")


def _check_sender(known: Book, default: Default) -> None:
    name = default.sender
    if name.startswith(PREFIX):
        if known.pool(default.account_id, name[len(PREFIX) :]) is None:
            raise Refused("sender_not_allowed", f"There is no pool {name[len(PREFIX) :]}.", param="sender")
    elif known.find(default.account_id, name) is None:
        raise Refused("sender_not_allowed", f"{name} is not a sender of this account.", param="sender")
