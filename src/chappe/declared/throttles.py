"""The section of throttles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from chappe.declared.section import Item, Key, Section, World
from chappe.errors import Refused
from chappe.routing import throttles
from chappe.routing.throttles import Over, Per, Scope, SenderKind, Throttle, well_formed

if TYPE_CHECKING:
    from chappe.runtime import Runtime


class ThrottleForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`account` is a slug, `connector` a name."""

    name: str
    scope: Scope
    limit: int
    per: Per = "second"
    burst: int | None = None
    over: Over = "wait"
    account: str | None = None
    sender: str | None = None
    sender_kind: SenderKind | None = None
    connector: str | None = None
    country: str | None = None
    zone: str = "UTC"


class Throttles(Section):
    name = "throttles"
    nested = False
    label = "name"
    shape = ThrottleForm
    records = throttles.THROTTLES

    async def start(self, rt: Runtime) -> None:
        await throttles.start(rt)

    def stored(self, rt: Runtime) -> dict[Key, Any]:
        return {(one.name,): one for one in throttles.gate(rt).throttles.values()}

    def wanted(self, item: Item, before: Throttle | None, world: World) -> Throttle:
        form: ThrottleForm = item.declared
        fields: dict[str, Any] = {
            "scope": form.scope,
            "most": form.limit,
            "per": form.per,
            "burst": form.burst,
            "over": form.over,
            "account_id": None if form.account is None else world.named("accounts", form.account, "account").id,
            "sender": form.sender,
            "sender_kind": form.sender_kind,
            "connector_id": None
            if form.connector is None
            else world.named("connectors", form.connector, "connector").id,
            "country": form.country,
            "zone": form.zone,
        }
        if before is None:
            before = Throttle(id=world.rt.ids.next(), name=form.name, created_at=world.rt.clock.now(), **fields)
        try:
            return well_formed(msgspec.structs.replace(before, **fields))
        except Refused as error:
            param = {"most": "limit"}.get(error.param or "", error.param)
            raise Refused(error.code, error.message, param=param, action=error.action) from None

    def declare(self, key: Key, value: Throttle, index: int, world: World) -> ThrottleForm:
        return ThrottleForm(
            name=value.name,
            scope=value.scope,
            limit=value.most,
            per=value.per,
            burst=value.burst,
            over=value.over,
            account=None if value.account_id is None else world.name_of("accounts", value.account_id),
            sender=value.sender,
            sender_kind=value.sender_kind,
            connector=None if value.connector_id is None else world.name_of("connectors", value.connector_id),
            country=value.country,
            zone=value.zone,
        )
