"""Routes: which connector a message leaves by, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from chappe import accounts, connectors, ids, numbers, routing
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Purpose, Time, given, page_of, rfc
from chappe.errors import Refused
from chappe.routing import Route

resource = Resource(
    "Routes",
    "Which connector takes which numbers. A route of the account comes before one for all, then the longest prefix, "
    "then the lowest position. For the operator.",
    scope="routes",
)

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["france"])]
Position = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Among equals the lowest wins.")]
Prefix = Annotated[str, Meta(pattern=r"^\+?[0-9]{0,15}$", description="Of the number; empty is every number.")]
Purposes = Annotated[tuple[Purpose, ...], Meta(max_length=4, description="None means any.")]
Senders = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=20)], ...],
    Meta(max_length=100, description="None means any."),
]
ConnectorName = Annotated[str, Meta(max_length=63, description="The name of a connector.", examples=["acme-1"])]
Fallbacks = Annotated[tuple[ConnectorName, ...], Meta(max_length=8, description="Tried in order.")]
AccountId = Annotated[str, Meta(description="The account it is for; null means all.")] | None


class NewRoute(Struct, forbid_unknown_fields=True, kw_only=True):
    """A route; without a position it comes last."""

    name: Name
    connector: ConnectorName
    fallback_connectors: Fallbacks = ()
    position: Position | None = None
    account_id: AccountId = None
    prefix: Prefix = ""
    purposes: Purposes = ()
    senders: Senders = ()
    status: Literal["active", "stopped"] = "active"
    test: Annotated[bool, Meta(description="Carries messages of test keys, and leads to a test connector.")] = False


class RouteChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change."""

    name: Name | UnsetType = UNSET
    connector: ConnectorName | UnsetType = UNSET
    fallback_connectors: Fallbacks | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    account_id: AccountId | UnsetType = UNSET
    prefix: Prefix | UnsetType = UNSET
    purposes: Purposes | UnsetType = UNSET
    senders: Senders | UnsetType = UNSET
    status: Literal["active", "stopped"] | UnsetType = UNSET


class RouteOut(Struct, frozen=True, kw_only=True):
    """A route."""

    id: Annotated[str, Meta(examples=["rte_006h3r8k2w0g4"])]
    name: str
    connector: str
    fallback_connectors: list[str]
    position: int
    account_id: str | None
    prefix: str
    purposes: list[Purpose]
    senders: list[str]
    status: Literal["active", "stopped"]
    test: bool
    created_at: Time


class RouteQuestion(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that is not sent: which way would it go?"""

    to: Annotated[str, Meta(max_length=40, examples=["+33612345678"])]
    from_: Annotated[str, Meta(max_length=20)] = field(default="", name="from")
    purpose: Purpose = "transactional"
    account_id: AccountId = None
    test: bool = False


class TriedOut(Struct, frozen=True):
    """A route as it was looked at."""

    id: str
    name: str
    chosen: bool
    reason: str


class RouteAnswer(Struct, frozen=True):
    """The connectors in the order they would be tried, none if no route leads there, and every route looked at."""

    connectors: list[str]
    tried: list[TriedOut]


@resource.get("/v1/routes", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[RouteOut]:
    """List routes, newest first."""
    return page_of(
        routing.table(call.rt).routes, query, "rte", lambda route: _shown(call, route), lambda route: route.id
    )


@resource.get("/v1/routes/{id:rte}")
async def get(call: Call, id: int) -> RouteOut:
    """Show a route."""
    route = routing.table(call.rt).get(id)
    if route is None:
        raise missing("route")
    return _shown(call, route)


@resource.post(
    "/v1/routes",
    status=201,
    example={"name": "france", "prefix": "33", "connector": "acme-1", "fallback_connectors": ["other"]},
    errors=("duplicate_name", "connector_unknown"),
)
async def create(call: Call, body: NewRoute) -> RouteOut:
    """Make a route."""
    call.caller.need_live("routes")
    fields = _fields(call, given(body))
    made = await routing.create_route(call.rt, call.actor, connectors.book(call.rt).get, **fields)
    return _shown(call, made)


@resource.patch("/v1/routes/{id:rte}", example={"status": "stopped"}, errors=("duplicate_name", "connector_unknown"))
async def update(call: Call, id: int, body: RouteChange) -> RouteOut:
    """Change a route."""
    call.caller.need_live("routes")
    fields = _fields(call, given(body))
    changed = await routing.update_route(call.rt, call.actor, connectors.book(call.rt).get, id, **fields)
    return _shown(call, changed)


@resource.delete("/v1/routes/{id:rte}")
async def delete(call: Call, id: int) -> None:
    """Delete a route."""
    call.caller.need_live("routes")
    await routing.delete_route(call.rt, call.actor, id)


@resource.post("/v1/routes/explain", example={"to": "+33612345678"}, errors=("number_not_e164",))
async def explain(call: Call, body: RouteQuestion) -> RouteAnswer:
    """Explain which way a number would go, without sending anything."""
    try:
        digits = numbers.parse(body.to).digits
    except numbers.NumberError as error:
        raise Refused(error.code, error.message, param="to") from None
    account_id = _account(call, body.account_id)
    table = routing.table(call.rt)
    asked = (account_id, digits, body.purpose, body.test, body.from_)
    decision = routing.decide(table, *asked)
    name = call.house.pipeline.connector_name
    return RouteAnswer(
        [name(number) for number in decision.connectors] if decision else [],
        [TriedOut(ids.public("rte", t.route_id), t.name, t.chosen, t.reason) for t in routing.explain(table, *asked)],
    )


def _fields(call: Call, fields: dict[str, Any]) -> dict[str, Any]:
    """Names of connectors and public ids of accounts as the numbers that routes hold."""
    if "connector" in fields:
        [fields["connector_id"]] = _numbers(call, [fields.pop("connector")], "connector")
    if "fallback_connectors" in fields:
        names = fields.pop("fallback_connectors")
        fields["fallback_connector_ids"] = tuple(_numbers(call, names, "fallback_connectors"))
    if "account_id" in fields:
        fields["account_id"] = _account(call, fields["account_id"])
    if "prefix" in fields:
        fields["prefix"] = fields["prefix"].removeprefix("+")
    return fields


def _numbers(call: Call, names: Sequence[str], param: str) -> list[int]:
    found = [(name, connectors.book(call.rt).by_name(name)) for name in names]
    for index, (name, connector) in enumerate(found):
        if connector is None:
            place = param if param == "connector" else f"{param}[{index}]"
            raise Refused("connector_unknown", f"There is no connector {name}.", param=place)
    return [connector.id for _, connector in found if connector is not None]


def _account(call: Call, text: str | None) -> int | None:
    if text is None:
        return None
    number = ids.parse("acc", text)
    if number is None or accounts.directory(call.rt).account(number) is None:
        raise Refused("invalid_value", "There is no such account.", param="account_id")
    return number


def _shown(call: Call, route: Route) -> RouteOut:
    name = call.house.pipeline.connector_name
    return RouteOut(
        id=ids.public("rte", route.id),
        name=route.name,
        connector=name(route.connector_id),
        fallback_connectors=[name(number) for number in route.fallback_connector_ids],
        position=route.position,
        account_id=None if route.account_id is None else ids.public("acc", route.account_id),
        prefix=route.prefix,
        purposes=list(route.purposes),
        senders=list(route.senders),
        status=route.status,
        test=route.test,
        created_at=rfc(route.created_at),
    )
