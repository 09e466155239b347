"""Connectors: the supplier accounts that messages leave by, and how their links are doing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import connectors, ids, routing, senders
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.connectors import SmppSettings, StoredConnector
from chappe.routing import throttles

resource = Resource(
    "Connectors",
    "Accounts at suppliers: address, dialect, limits, credentials, and the state of the link. For the operator.",
    scope="connectors",
)


class NewCredentials(Struct, forbid_unknown_fields=True):
    """Who we are to the supplier. The password is never shown again."""

    system_id: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(max_length=64)]


class NewConnector(Struct, forbid_unknown_fields=True, kw_only=True):
    """A supplier account. The name and the mode stay as they are."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["acme-1"])]
    channel: Literal["smpp"] = "smpp"
    test: Annotated[bool, Meta(description="Carries messages of test keys only, for example to a sandbox.")] = False
    status: Literal["active", "stopped"] = "active"
    settings: SmppSettings
    credentials: NewCredentials


class ConnectorChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; in `settings` each one given is replaced as a whole."""

    status: Literal["active", "stopped"] | UnsetType = UNSET
    settings: Annotated[dict[str, Any], Meta(max_length=60)] | UnsetType = UNSET
    credentials: NewCredentials | UnsetType = UNSET


class CredentialsOut(Struct, frozen=True):
    """Who we are to the supplier, without the password."""

    system_id: str


class LinkOut(Struct, frozen=True, kw_only=True):
    """The link to the supplier, on all nodes together. Each of `binds` names its slot and the node that has it."""

    state: Literal["starting", "up", "degraded", "down", "stopped", "refused"]
    binds_up: int
    binds_wanted: int
    in_flight: Annotated[int, Meta(description="Unanswered submits of the node that is asked.")]
    circuit_open: Annotated[bool, Meta(description="Left alone for a while after too many errors.")]
    last_error: str | None
    since: Time | None
    binds: list[dict[str, Any]]


class ConnectorOut(Struct, frozen=True, kw_only=True):
    """A supplier account. `link` is null while it is stopped; `problem` says why it cannot be used at all."""

    id: Annotated[str, Meta(examples=["con_006h3r8k2w0g4"])]
    name: str
    channel: Literal["smpp"]
    test: bool
    status: Literal["active", "stopped"]
    settings: dict[str, Any]
    credentials: CredentialsOut | None
    link: LinkOut | None
    problem: str | None
    created_at: Time


_EXAMPLE = {
    "name": "acme-1",
    "settings": {"host": "smpp.example.com", "port": 2775, "window": 50, "rate_per_s": 100},
    "credentials": {"system_id": "us", "password": "secret"},
}


@resource.get("/v1/connectors", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[ConnectorOut]:
    """List connectors."""
    known = connectors.book(call.rt).stored.values()
    return page_of(known, query, "con", lambda stored: _shown(call, stored), lambda stored: stored.id)


@resource.get("/v1/connectors/{id:con}")
async def get(call: Call, id: int) -> ConnectorOut:
    """Show a connector and its link."""
    return _shown(call, _found(call, id))


@resource.post("/v1/connectors", status=201, example=_EXAMPLE, errors=("duplicate_name",))
async def create(call: Call, body: NewConnector) -> ConnectorOut:
    """Make a connector; its link opens at once."""
    call.caller.need_live("connectors")
    made = await connectors.create_connector(
        call.rt,
        call.actor,
        name=body.name,
        channel=body.channel,
        test=body.test,
        status=body.status,
        settings=body.settings,
        credentials=msgspec.to_builtins(body.credentials),
    )
    return _shown(call, _found(call, made.id))


@resource.patch("/v1/connectors/{id:con}", example={"settings": {"window": 20}})
async def update(call: Call, id: int, body: ConnectorChange) -> ConnectorOut:
    """Change, stop or start a connector; its link opens anew."""
    call.caller.need_live("connectors")
    fields = given(body)
    if "credentials" in fields:
        fields["credentials"] = msgspec.to_builtins(fields["credentials"])
    await connectors.update_connector(call.rt, call.actor, id, **fields)
    return _shown(call, _found(call, id))


@resource.delete("/v1/connectors/{id:con}", errors=("in_use",))
async def delete(call: Call, id: int) -> None:
    """Delete a connector that no route and no sender uses."""
    call.caller.need_live("connectors")
    used_by = [
        *(f"route {name}" for name in routing.table(call.rt).using(id)),
        *(f"sender {address}" for address in senders.book(call.rt).using(id)),
        *(f"throttle {name}" for name in throttles.using(call.rt, id)),
    ]
    await connectors.delete_connector(call.rt, call.actor, id, used_by)


def _found(call: Call, id: int) -> StoredConnector:
    stored = connectors.book(call.rt).stored.get(id)
    if stored is None:
        raise missing("connector")
    return stored


def _shown(call: Call, stored: StoredConnector) -> ConnectorOut:
    book = connectors.book(call.rt)
    opened = book.get(stored.id)
    return ConnectorOut(
        id=ids.public("con", stored.id),
        name=stored.name,
        channel=stored.channel,
        test=stored.test,
        status=stored.status,
        settings=_all_settings(stored.settings),
        credentials=None if opened is None else CredentialsOut(opened.credentials.system_id),
        link=_link(call, stored.id),
        problem=book.sealed.get(stored.name),
        created_at=rfc(stored.created_at),
    )


def _all_settings(settings: SmppSettings) -> dict[str, Any]:
    """Defaults as well, which the stored form leaves out."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    defaults = {name: getattr(settings, name) for name in settings.__struct_fields__ if name not in plain}
    return plain | dict(msgspec.to_builtins(defaults))


def _link(call: Call, id: int) -> LinkOut | None:
    status = call.house.pipeline.link(id)
    if status is None:
        return None
    return LinkOut(
        state=status.state,
        binds_up=status.binds_up,
        binds_wanted=status.binds_wanted,
        in_flight=status.in_flight,
        circuit_open=status.circuit_open,
        last_error=status.last_error or None,
        since=rfc(status.since) if status.since else None,
        binds=[dict(bind, since=_moment(bind.get("since"))) for bind in status.binds],
    )


def _moment(millis: object) -> str | None:
    return rfc(millis) if isinstance(millis, int) and millis else None
