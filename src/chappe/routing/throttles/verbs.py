"""Throttles: created, changed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chappe.accounts import Change, checked, directory
from chappe.errors import Refused
from chappe.routing.throttles.model import Over, Per, Scope, SenderKind, Throttle, check
from chappe.routing.throttles.room import found_throttle, named
from chappe.routing.throttles.store import THROTTLES

if TYPE_CHECKING:
    from chappe.runtime import Runtime


async def create_throttle(
    rt: Runtime,
    actor: str,
    *,
    name: str,
    scope: Scope,
    most: int,
    per: Per = "second",
    burst: int | None = None,
    over: Over = "wait",
    account_id: int | None = None,
    sender: str | None = None,
    sender_kind: SenderKind | None = None,
    connector_id: int | None = None,
    country: str | None = None,
    zone: str = "UTC",
) -> Throttle:
    """In force on this node at once, on the others within half a second. The caller knows that the connector exists.

    Raises Refused: invalid_value, duplicate_name.
    """
    throttle = verified(
        rt,
        Throttle(
            id=rt.ids.next(),
            name=name,
            scope=scope,
            account_id=account_id,
            sender=sender,
            sender_kind=sender_kind,
            connector_id=connector_id,
            country=country,
            most=most,
            per=per,
            burst=burst,
            over=over,
            zone=zone,
            created_at=rt.clock.now(),
        ),
    )
    change = Change(rt, actor)
    change.create(THROTTLES, throttle)
    await change.commit()
    return throttle


async def update_throttle(rt: Runtime, actor: str, throttle_id: int, **fields: Any) -> Throttle:
    """Change the given fields of a Throttle. Raises Refused: not_found, and those of `create_throttle`."""
    before = found_throttle(rt, throttle_id)
    after = verified(rt, msgspec.structs.replace(before, **fields))
    change = Change(rt, actor)
    change.update(THROTTLES, before, after)
    await change.commit()
    return after


async def delete_throttle(rt: Runtime, actor: str, throttle_id: int) -> None:
    """Raises Refused not_found."""
    change = Change(rt, actor)
    change.delete(THROTTLES, found_throttle(rt, throttle_id))
    await change.commit()


def well_formed(throttle: Throttle) -> Throttle:
    """As it is stored, if its fields make sense by themselves. Raises Refused invalid_value."""
    if throttle.sender is not None:
        throttle = msgspec.structs.replace(throttle, sender=throttle.sender.removeprefix("+"))
    throttle = checked(throttle)
    check(throttle)
    return throttle


def verified(rt: Runtime, throttle: Throttle) -> Throttle:
    """As it is stored, if it also fits what is there."""
    throttle = well_formed(throttle)
    if throttle.account_id is not None and directory(rt).account(throttle.account_id) is None:
        raise Refused("invalid_value", "There is no such account.", param="account_id")
    other = named(rt, throttle.name)
    if other is not None and other.id != throttle.id:
        raise Refused("duplicate_name", f"There is already a throttle {throttle.name}.", param="name")
    return throttle
