"""The sections of what belongs to senders: pools, defaults by country, protected names.

Registrations, brands and campaigns are no configuration: people hand them in and others decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from chappe import senders
from chappe.accounts import checked
from chappe.declared.section import Follows, Item, Key, Section, World, slugs
from chappe.errors import Refused
from chappe.senders import PREFIX, Default, Pool, Protected, canonical, check_protected

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class PoolForm(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    senders: tuple[str, ...]


class SenderPools(Section):
    name = "sender_pools"
    nested = True
    label = "name"
    shape = PoolForm
    records = senders.POOLS

    async def start(self, rt: Runtime) -> None:
        """The senders bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        names = slugs(rt)
        return {(names[pool.account_id], pool.name): pool for pool in senders.book(rt).pools.values()}

    def wanted(self, item: Item, before: Pool | None, world: World) -> Pool:
        form: PoolForm = item.declared
        if len(set(form.senders)) != len(form.senders):
            raise Refused("invalid_value", "A pool names each sender once.", param="senders")
        members = tuple(
            _sender(world, item.key[0], address, f"senders[{index}]") for index, address in enumerate(form.senders)
        )
        if before is not None:
            return checked(msgspec.structs.replace(before, sender_ids=members))
        account_id, rt = world.account(item.key).id, world.rt
        return checked(Pool(rt.ids.next(), account_id, form.name, members, rt.clock.now()))

    def declare(self, key: Key, value: Pool, index: int, world: World) -> PoolForm:
        both = (world.stored.get("senders", {}), world.wanted.get("senders", {}))
        addresses = {sender.id: sender.address for known in both for sender in known.values()}
        return PoolForm(value.name, tuple(addresses[number] for number in value.sender_ids if number in addresses))


class DefaultForm(Struct, frozen=True, forbid_unknown_fields=True):
    country: str
    sender: str


class SenderDefaults(Section):
    name = "sender_defaults"
    nested = True
    label = "country"
    shape = DefaultForm
    records = senders.DEFAULTS

    async def start(self, rt: Runtime) -> None:
        """The senders bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        names = slugs(rt)
        return {(names[one.account_id], one.country): one for one in senders.book(rt).defaults.values()}

    def wanted(self, item: Item, before: Default | None, world: World) -> Default:
        form: DefaultForm = item.declared
        if form.sender.startswith(PREFIX):
            pool = (item.key[0], form.sender[len(PREFIX) :])
            if ("sender_pools", pool) in world.broken:
                raise Follows
            if pool not in world.after("sender_pools"):
                raise Refused("sender_not_allowed", f"There is no pool {pool[1]}.", param="sender")
        else:
            _sender(world, item.key[0], form.sender, "sender")
        if before is not None:
            return checked(msgspec.structs.replace(before, sender=form.sender))
        account_id, rt = world.account(item.key).id, world.rt
        return checked(Default(rt.ids.next(), account_id, form.country, form.sender, rt.clock.now()))

    def declare(self, key: Key, value: Default, index: int, world: World) -> DefaultForm:
        return DefaultForm(value.country, value.sender)


class ProtectedForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`accounts` are the slugs of those whose name it is."""

    name: str
    accounts: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    contained: bool = False


class ProtectedSenders(Section):
    name = "protected_senders"
    nested = False
    label = "name"
    shape = ProtectedForm
    records = senders.PROTECTED

    async def start(self, rt: Runtime) -> None:
        """The senders bring them."""

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(one.name,): one for one in senders.book(rt).names.all}

    def wanted(self, item: Item, before: Protected | None, world: World) -> Protected:
        form: ProtectedForm = item.declared
        owners = [world.named("accounts", slug, f"accounts[{n}]").id for n, slug in enumerate(form.accounts)]
        fields: dict[str, Any] = {
            "account_ids": tuple(owners),
            "countries": form.countries,
            "contained": form.contained,
        }
        if before is not None:
            return check_protected(msgspec.structs.replace(before, **fields))
        rt = world.rt
        return check_protected(Protected(id=rt.ids.next(), name=form.name, created_at=rt.clock.now(), **fields))

    def declare(self, key: Key, value: Protected, index: int, world: World) -> ProtectedForm:
        owners = tuple(world.name_of("accounts", number) for number in value.account_ids)
        return ProtectedForm(value.name, owners, value.countries, value.contained)


def _sender(world: World, slug: str, address: str, param: str) -> int:
    """The id of an account's sender; raises Refused, or Follows."""
    key = (slug, canonical(address))
    if ("senders", key) in world.broken:
        raise Follows
    found = world.after("senders").get(key)
    if found is None:
        raise Refused("sender_not_allowed", f"{address} is not a sender of this account.", param=param)
    number: int = found.id
    return number
