"""Senders: the addresses that an account may send from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import connectors, ids, senders
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.senders import Sender

resource = Resource(
    "Senders",
    "Addresses that the account may send from. What they receive is for the operator to say.",
    scope="senders",
    tenant=True,
)

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", examples=["FR"])]
Countries = Annotated[tuple[Country, ...], Meta(max_length=250, description="ISO 3166-1 alpha-2; none means all.")]
Names = Annotated[
    tuple[Annotated[str, Meta(max_length=63)], ...],
    Meta(max_length=100, description="Names of the connectors it receives on; none means any."),
]
Inbound = Annotated[bool, Meta(description="What phones send to it is the account's. Needs the scope accounts.")]


class NewSender(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address: letters and digits (at most 11), a short code, or a number."""

    address: Annotated[str, Meta(min_length=1, max_length=20, examples=["Chappe"])]
    countries: Countries = ()
    inbound: Inbound = False
    connectors: Names = ()


class SenderChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    countries: Countries | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET
    inbound: Inbound | UnsetType = UNSET
    connectors: Names | UnsetType = UNSET


class SenderOut(Struct, frozen=True, kw_only=True):
    """An address of the account."""

    id: Annotated[str, Meta(examples=["snd_006h3r8k2w0g4"])]
    address: str
    kind: Literal["alphanumeric", "short_code", "numeric"]
    countries: list[str]
    status: Literal["active", "suspended"]
    inbound: bool
    connectors: list[str]
    created_at: Time


@resource.get("/v1/senders", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[SenderOut]:
    """List senders."""
    mine = senders.book(call.rt).of(call.account_id)
    return page_of(mine, query, "snd", lambda s: _shown(call, s), lambda s: s.id)


@resource.get("/v1/senders/{id:snd}")
async def get(call: Call, id: int) -> SenderOut:
    """Show a sender."""
    return _shown(call, _found(call, id))


@resource.post(
    "/v1/senders",
    status=201,
    example={"address": "Chappe", "countries": ["FR", "BE"]},
    errors=("sender_invalid", "duplicate_name", "connector_unknown"),
)
async def create(call: Call, body: NewSender) -> SenderOut:
    """Register a sender."""
    call.caller.need_live("senders")
    if body.inbound or body.connectors:
        call.caller.need("accounts")
    sender = await senders.create_sender(
        call.rt,
        call.actor,
        call.account_id,
        address=body.address,
        countries=body.countries,
        inbound=body.inbound,
        connector_ids=_numbers(call, body.connectors),
    )
    return _shown(call, sender)


@resource.patch(
    "/v1/senders/{id:snd}",
    example={"countries": ["FR"]},
    errors=("duplicate_name", "connector_unknown"),
)
async def update(call: Call, id: int, body: SenderChange) -> SenderOut:
    """Change a sender."""
    call.caller.need_live("senders")
    before = _found(call, id)
    fields = given(body)
    if "connectors" in fields:
        fields["connector_ids"] = _numbers(call, fields.pop("connectors"))
    operators = {"inbound": before.inbound, "connector_ids": before.connector_ids, "status": before.status}
    if any(fields.get(name, value) != value for name, value in operators.items()):
        call.caller.need("accounts")
    return _shown(call, await senders.update_sender(call.rt, call.actor, call.account_id, id, **fields))


@resource.delete("/v1/senders/{id:snd}")
async def delete(call: Call, id: int) -> None:
    """Remove a sender."""
    call.caller.need_live("senders")
    if _found(call, id).status != "active":
        call.caller.need("accounts")  # else it would be made again, active
    await senders.delete_sender(call.rt, call.actor, call.account_id, id)


def _found(call: Call, id: int) -> Sender:
    sender = senders.book(call.rt).get(call.account_id, id)
    if sender is None:
        raise missing("sender")
    return sender


def _numbers(call: Call, names: Sequence[str]) -> tuple[int, ...]:
    numbers = []
    for index, name in enumerate(names):
        connector = connectors.book(call.rt).by_name(name)
        if connector is None:
            raise Refused("connector_unknown", f"There is no connector {name}.", param=f"connectors[{index}]")
        numbers.append(connector.id)
    return tuple(numbers)


def _shown(call: Call, sender: Sender) -> SenderOut:
    return SenderOut(
        id=ids.public("snd", sender.id),
        address=sender.address,
        kind=sender.kind,
        countries=list(sender.countries),
        status=sender.status,
        inbound=sender.inbound,
        connectors=[call.house.pipeline.connector_name(number) for number in sender.connector_ids],
        created_at=rfc(sender.created_at),
    )
