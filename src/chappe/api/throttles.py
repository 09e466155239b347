"""Throttles: how many messages may go through, by account, sender, connector or country."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import accounts, connectors, ids
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.routing import throttles
from chappe.routing.throttles import Over, Per, Scope, SenderKind, Throttle

resource = Resource(
    "Throttles",
    "How many messages may go through, counted by account, sender, connector or country. A message must find room in "
    "every throttle that fits it; without any there is no limit. For the operator.",
    scope="routes",
)

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["france"])]
ScopeOf = Annotated[Scope, Meta(description="What is counted together.")]
Most = Annotated[
    int, Meta(ge=0, le=1_000_000_000, description="Messages, each of its parts counted; 0 lets none through.")
]
PerOf = Annotated[Per, Meta(description="Hours and days are those of the calendar.")]
Burst = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000_000,
        description="So many at once after a pause; by default what a second brings. A limit by the hour or day with "
        "a burst is spread over that time.",
    ),
]
OverOf = Annotated[Over, Meta(description="What becomes of messages over the limit.")]
AccountId = Annotated[str, Meta(description="Only what this account sends; null means all.")]
Sender = Annotated[str, Meta(min_length=1, max_length=20, description="Of the scope `sender`: only this one.")]
KindOf = Annotated[SenderKind, Meta(description="Of the scope `sender_kind`: only this one.")]
ConnectorName = Annotated[str, Meta(max_length=63, description="Of the scope `connector`: only this one, by name.")]
Country = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{2}$",
        description="Of the scopes `country` and `account+country`: only this one.",
        examples=["FR"],
    ),
]
Zone = Annotated[
    str, Meta(min_length=1, max_length=60, description="Where hours and days end.", examples=["Europe/Paris"])
]


class NewThrottle(Struct, forbid_unknown_fields=True, kw_only=True):
    """A throttle. Without the field of its scope it counts each account, sender, ... by itself."""

    name: Name
    scope: ScopeOf
    limit: Most
    per: PerOf = "second"
    burst: Burst | None = None
    over: OverOf = "wait"
    account_id: AccountId | None = None
    sender: Sender | None = None
    sender_kind: KindOf | None = None
    connector: ConnectorName | None = None
    country: Country | None = None
    zone: Zone = "UTC"


class ThrottleChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change. Other figures go on from what was counted; another subject begins anew."""

    name: Name | UnsetType = UNSET
    scope: ScopeOf | UnsetType = UNSET
    limit: Most | UnsetType = UNSET
    per: PerOf | UnsetType = UNSET
    burst: Burst | UnsetType | None = UNSET
    over: OverOf | UnsetType = UNSET
    account_id: AccountId | UnsetType | None = UNSET
    sender: Sender | UnsetType | None = UNSET
    sender_kind: KindOf | UnsetType | None = UNSET
    connector: ConnectorName | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    zone: Zone | UnsetType = UNSET


class ThrottleOut(Struct, frozen=True, kw_only=True):
    """A throttle."""

    id: Annotated[str, Meta(examples=["thr_006h3r8k2w0g4"])]
    name: str
    scope: ScopeOf
    limit: int
    per: PerOf
    burst: int | None
    over: OverOf
    account_id: str | None
    sender: str | None
    sender_kind: KindOf | None
    connector: str | None
    country: str | None
    zone: str
    created_at: Time


@resource.get("/v1/throttles", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[ThrottleOut]:
    """List throttles."""
    every = throttles.gate(call.rt).throttles.values()
    return page_of(every, query, "thr", lambda one: _shown(call, one), lambda one: one.id)


@resource.get("/v1/throttles/{id:thr}")
async def get(call: Call, id: int) -> ThrottleOut:
    """Show a throttle."""
    return _shown(call, throttles.found_throttle(call.rt, id))


@resource.post(
    "/v1/throttles",
    status=201,
    example={"name": "france", "scope": "country", "country": "FR", "limit": 100, "per": "second"},
    errors=("duplicate_name", "connector_unknown"),
)
async def create(call: Call, body: NewThrottle) -> ThrottleOut:
    """Make a throttle; it is in force on every node within a second."""
    call.caller.need_live("throttles")
    made = await throttles.create_throttle(call.rt, call.actor, **_fields(call, given(body)))
    return _shown(call, made)


@resource.patch("/v1/throttles/{id:thr}", example={"limit": 200}, errors=("duplicate_name", "connector_unknown"))
async def update(call: Call, id: int, body: ThrottleChange) -> ThrottleOut:
    """Change a throttle."""
    call.caller.need_live("throttles")
    return _shown(call, await throttles.update_throttle(call.rt, call.actor, id, **_fields(call, given(body))))


@resource.delete("/v1/throttles/{id:thr}")
async def delete(call: Call, id: int) -> None:
    """Delete a throttle: there is no such limit any more."""
    call.caller.need_live("throttles")
    await throttles.delete_throttle(call.rt, call.actor, id)


def _fields(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    """As the room calls them, names and public ids as its numbers."""
    if "limit" in fields:
        fields["most"] = fields.pop("limit")
    if "connector" in fields:
        name = fields.pop("connector")
        connector = None if name is None else connectors.book(call.rt).by_name(name)
        if name is not None and connector is None:
            raise Refused("connector_unknown", f"There is no connector {name}.", param="connector")
        fields["connector_id"] = None if connector is None else connector.id
    if fields.get("account_id") is not None:
        number = ids.parse("acc", fields["account_id"])
        if number is None or accounts.directory(call.rt).account(number) is None:
            raise Refused("invalid_value", "There is no such account.", param="account_id")
        fields["account_id"] = number
    return fields


def _shown(call: Call, one: Throttle) -> ThrottleOut:
    return ThrottleOut(
        id=ids.public("thr", one.id),
        name=one.name,
        scope=one.scope,
        limit=one.most,
        per=one.per,
        burst=one.burst,
        over=one.over,
        account_id=None if one.account_id is None else ids.public("acc", one.account_id),
        sender=one.sender,
        sender_kind=one.sender_kind,
        connector=None if one.connector_id is None else call.house.pipeline.connector_name(one.connector_id),
        country=one.country,
        zone=one.zone,
        created_at=rfc(one.created_at),
    )
