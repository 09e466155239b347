"""Routes: which connector a message leaves by, and why."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from chappe import ids, numbers, routing, senders
from chappe.api.house import Call, missing
from chappe.api.operations import Resource
from chappe.api.route_shapes import (
    AccountId,
    Mccmnc,
    NewRoute,
    RouteChange,
    RouteOut,
    Segments,
    account_number,
    fields,
    route_out,
    worded,
)
from chappe.api.shapes import Listed, Page, Purpose, Time, given, moment, page_of
from chappe.connectors import book
from chappe.errors import Refused
from chappe.messages import roads
from chappe.routing import Ask, Decision, Strategy

resource = Resource(
    "Routes",
    "Which connector takes which messages. The account's own routes come first, then those of its groups, then those "
    "for all; among these the longest prefix, an operator before a country before neither, and the lowest position. "
    "Each change is a version of its own (`/v1/route_versions`); many at once are a draft (`/v1/route_drafts`). For "
    "the operator.",
    scope="routes",
)
REFUSALS = (
    "duplicate_name",
    "connector_unknown",
    "operator_unknown",
    "route_without_connectors",
    "route_loop",
    "route_matches_nothing",
)


class RouteQuestion(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that is not sent: which way would it go?"""

    to: Annotated[str, Meta(max_length=40, examples=["+33612345678"])]
    from_: Annotated[str, Meta(max_length=20)] = field(default="", name="from")
    purpose: Purpose = "transactional"
    account_id: AccountId = None
    test: bool = False
    operator: Annotated[Mccmnc, Meta(description="null is what portability files and number ranges say.")] | None = None
    tags: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    segments: Segments = 1
    at: Annotated[Time, Meta(description="null is now.")] | None = None
    draft_id: Annotated[str, Meta(description="Ask a draft instead of what is in force.")] | None = None


class TriedOut(Struct, frozen=True):
    """A route as it was looked at."""

    id: str
    name: str
    chosen: bool
    reason: str


class PlacedOut(Struct, frozen=True, kw_only=True):
    """A connector and why it stands where it stands; one that is left out may not take the message."""

    connector: str
    group: Annotated[int, Meta(description="From 1.")]
    strategy: Strategy
    reason: str
    left_out: bool


class RouteAnswer(Struct, frozen=True, kw_only=True):
    """The connectors in the order they would be tried, none if no route leads there, and every route looked at.

    Where a strategy draws by the message, the order is that of one drawn now.
    """

    connectors: list[str]
    order: list[PlacedOut]
    tried: list[TriedOut]
    country: str | None
    operator: str | None


@resource.get("/v1/routes", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[RouteOut]:
    """List routes, newest first."""
    routes = routing.table(call.rt).routes
    return page_of(routes, query, "rte", lambda route: route_out(call, route), lambda route: route.id)


@resource.get("/v1/routes/{id:rte}")
async def get(call: Call, id: int) -> RouteOut:
    """Show a route."""
    route = routing.table(call.rt).get(id)
    if route is None:
        raise missing("route")
    return route_out(call, route)


@resource.post(
    "/v1/routes",
    status=201,
    example={"name": "france", "match": {"prefixes": ["33"]}, "connector": "acme-1", "fallback_connectors": ["other"]},
    errors=REFUSALS,
)
async def create(call: Call, body: NewRoute) -> RouteOut:
    """Make a route."""
    call.caller.need_live("routes")
    told = given(body)
    work = routing.create_route(call.rt, call.actor, book(call.rt).get, **fields(call, told))
    return route_out(call, await worded(told, work))


@resource.patch("/v1/routes/{id:rte}", example={"status": "stopped"}, errors=REFUSALS)
async def update(call: Call, id: int, body: RouteChange) -> RouteOut:
    """Change a route."""
    call.caller.need_live("routes")
    told = given(body)
    work = routing.update_route(call.rt, call.actor, book(call.rt).get, id, **fields(call, told))
    return route_out(call, await worded(told, work))


@resource.delete("/v1/routes/{id:rte}")
async def delete(call: Call, id: int) -> None:
    """Delete a route."""
    call.caller.need_live("routes")
    await routing.delete_route(call.rt, call.actor, id)


@resource.post("/v1/routes/explain", example={"to": "+33612345678"}, errors=("number_not_e164",))
async def explain(call: Call, body: RouteQuestion) -> RouteAnswer:
    """Explain which way a number would go, without sending anything."""
    ask = _ask(call, body)
    table = routing.table(call.rt)
    if body.draft_id is not None:
        number = ids.parse("rdr", body.draft_id)
        if number is None:
            raise Refused("invalid_value", "There is no such draft.", param="draft_id")
        table = await routing.draft_table(call.rt, number)
    decision = table.decide(ask)
    order = [] if decision is None else _order(call, decision, ask)
    return RouteAnswer(
        connectors=[one.connector for one in order if not one.left_out],
        order=order,
        tried=[
            TriedOut(ids.public("rte", t.route_id), t.name, t.chosen, t.reason) for t in routing.explain(table, ask)
        ],
        country=ask.country or None,
        operator=ask.operator,
    )


def _ask(call: Call, body: RouteQuestion) -> Ask:
    try:
        number = numbers.parse(body.to)
    except numbers.NumberError as error:
        raise Refused(error.code, error.message, param="to") from None
    return Ask(
        account_id=None if body.account_id is None else account_number(call, body.account_id, "account_id"),
        digits=number.digits,
        country=number.country or "",
        operator=body.operator or call.house.pipeline.operator_of(number),
        purpose=body.purpose,
        sender=body.from_,
        sender_kind=senders.kind_of(body.from_)[0] if body.from_ else "",
        tags=body.tags,
        segments=body.segments,
        test=body.test,
        at=call.rt.clock.now() if body.at is None else moment(body.at, "at"),
    )


def _order(call: Call, decision: Decision, ask: Ask) -> list[PlacedOut]:
    """As the pipeline would order them for a message of now."""
    pipeline = call.house.pipeline
    placed = routing.explain_order(decision, **roads.marks(pipeline, ask, call.rt.ids.next()))
    return [
        PlacedOut(
            connector=pipeline.connector_name(one.connector_id),
            group=one.group + 1,
            strategy=one.strategy,
            reason=one.reason,
            left_out=one.left_out,
        )
        for one in placed
    ]
