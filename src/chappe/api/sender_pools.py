"""Pools of senders, and which sender an account uses to a country when a message does not say."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from chappe import ids, senders
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, page_of, rfc
from chappe.errors import Refused
from chappe.senders import Default, Pool

resource = Resource(
    "Sender pools",
    "A name for several senders: a message `from` `pool:name` goes out from the one that this person always meets.",
    scope="senders",
    tenant=True,
)
defaults = Resource(
    "Sender defaults",
    "What the account sends from to a country when a message does not say; else its `default_sender`.",
    scope="senders",
    tenant=True,
)

Address = Annotated[str, Meta(min_length=1, max_length=20, description="A sender of the account.")]
Members = Annotated[tuple[Address, ...], Meta(min_length=1, max_length=200)]
Chosen = Annotated[str, Meta(min_length=1, max_length=37, description="A sender of the account, or `pool:name`.")]


class NewPool(Struct, forbid_unknown_fields=True, kw_only=True):
    """A pool to be. Only members that may be used to a message's country are chosen from."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", examples=["shop"])]
    senders: Members


class PoolChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """Other members; a person whose sender stays keeps it."""

    senders: Members


class PoolOut(Struct, frozen=True, kw_only=True):
    """A pool of senders."""

    id: Annotated[str, Meta(examples=["spl_006h3r8k2w0g4"])]
    name: str
    from_: Annotated[str, Meta(description="As messages write it.")] = field(name="from")
    senders: list[str]
    created_at: Time


class NewDefault(Struct, forbid_unknown_fields=True, kw_only=True):
    """A default to be."""

    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"])]
    sender: Chosen


class DefaultChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """Another sender."""

    sender: Chosen


class DefaultOut(Struct, frozen=True, kw_only=True):
    """What the account sends from to a country."""

    id: Annotated[str, Meta(examples=["sdf_006h3r8k2w0g4"])]
    country: str
    sender: str
    created_at: Time


@resource.get("/v1/sender_pools", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[PoolOut]:
    """List pools."""
    mine = senders.pools_of(call.rt, call.account_id)
    return page_of(mine, query, "spl", lambda pool: _pool(call, pool), lambda pool: pool.id)


@resource.get("/v1/sender_pools/{id:spl}")
async def get(call: Call, id: int) -> PoolOut:
    """Show a pool."""
    return _pool(call, senders.found_pool(call.rt, call.account_id, id))


@resource.post(
    "/v1/sender_pools",
    status=201,
    example={"name": "shop", "senders": ["Chappe"]},
    errors=("sender_not_allowed", "duplicate_name"),
)
async def create(call: Call, body: NewPool) -> PoolOut:
    """Make a pool."""
    call.caller.need_live("senders")
    members = _members(call, body.senders)
    pool = await senders.create_pool(call.rt, call.actor, call.account_id, name=body.name, sender_ids=members)
    return _pool(call, pool)


@resource.patch("/v1/sender_pools/{id:spl}", example={"senders": ["Chappe"]}, errors=("sender_not_allowed",))
async def update(call: Call, id: int, body: PoolChange) -> PoolOut:
    """Change the members of a pool."""
    call.caller.need_live("senders")
    senders.found_pool(call.rt, call.account_id, id)
    members = _members(call, body.senders)
    return _pool(call, await senders.update_pool(call.rt, call.actor, call.account_id, id, members))


@resource.delete("/v1/sender_pools/{id:spl}", errors=("in_use",))
async def delete(call: Call, id: int) -> None:
    """Remove a pool."""
    call.caller.need_live("senders")
    await senders.delete_pool(call.rt, call.actor, call.account_id, id)


@defaults.get("/v1/sender_defaults", errors=("invalid_cursor",))
async def list_defaults(call: Call, query: Page) -> Listed[DefaultOut]:
    """List defaults."""
    mine = senders.defaults_of(call.rt, call.account_id)
    return page_of(mine, query, "sdf", _default, lambda default: default.id)


@defaults.get("/v1/sender_defaults/{id:sdf}")
async def show_default(call: Call, id: int) -> DefaultOut:
    """Show a default."""
    return _default(senders.found_default(call.rt, call.account_id, id))


@defaults.post(
    "/v1/sender_defaults",
    status=201,
    example={"country": "FR", "sender": "Chappe"},
    errors=("sender_not_allowed", "duplicate_name"),
)
async def create_default(call: Call, body: NewDefault) -> DefaultOut:
    """Set the default for a country."""
    call.caller.need_live("senders")
    whose, rt = call.account_id, call.rt
    return _default(await senders.create_default(rt, call.actor, whose, country=body.country, sender=body.sender))


@defaults.patch("/v1/sender_defaults/{id:sdf}", example={"sender": "Chappe"}, errors=("sender_not_allowed",))
async def update_default(call: Call, id: int, body: DefaultChange) -> DefaultOut:
    """Change the default for a country."""
    call.caller.need_live("senders")
    return _default(await senders.update_default(call.rt, call.actor, call.account_id, id, body.sender))


@defaults.delete("/v1/sender_defaults/{id:sdf}")
async def delete_default(call: Call, id: int) -> None:
    """Remove the default for a country."""
    call.caller.need_live("senders")
    await senders.delete_default(call.rt, call.actor, call.account_id, id)


def _members(call: Call, addresses: tuple[str, ...]) -> tuple[int, ...]:
    found = []
    for index, address in enumerate(addresses):
        sender = senders.book(call.rt).find(call.account_id, address)
        if sender is None:
            words = f"{address} is not a sender of this account."
            raise Refused("sender_not_allowed", words, param=f"senders[{index}]")
        found.append(sender.id)
    return tuple(found)


def _pool(call: Call, pool: Pool) -> PoolOut:
    members = [senders.book(call.rt).get(pool.account_id, number) for number in pool.sender_ids]
    return PoolOut(
        id=ids.public("spl", pool.id),
        name=pool.name,
        from_=senders.PREFIX + pool.name,
        senders=[member.address for member in members if member is not None],
        created_at=rfc(pool.created_at),
    )


def _default(default: Default) -> DefaultOut:
    return DefaultOut(
        id=ids.public("sdf", default.id),
        country=default.country,
        sender=default.sender,
        created_at=rfc(default.created_at),
    )
