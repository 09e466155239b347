"""Routes before they are in force: what becomes of one message, of many, or of the traffic of the last days."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from chappe import billing, ids, routing
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Purpose, Time, maybe_moment, rfc
from chappe.errors import Refused
from chappe.messages import simulate
from chappe.messages.simulate import Case, Chosen, Comparison, Explained, Side
from chappe.numbers import NumberError

resource = Resource(
    "Route simulations",
    "What routes would do, before they do it. Nothing is sent, counted or held. For the operator.",
    scope="routes",
)

MOST_MESSAGES = 2_000
MOST_DAYS = 90
_DAY_MS = 86_400_000

Draft = Annotated[str, Meta(description="A draft of the routes; without it, the routes in force.")] | None
Operator = Annotated[str, Meta(pattern=r"^[0-9]{5,6}$", description="MCC and MNC; else it is looked up.")] | None


class Imagined(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that nobody sends."""

    to: Annotated[str, Meta(max_length=40, examples=["+33612345678"])]
    from_: Annotated[str, Meta(max_length=20)] = field(default="", name="from")
    account_id: str | None = None
    purpose: Purpose = "transactional"
    tags: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=20)] = ()
    segments: Annotated[int, Meta(ge=1, le=255)] = 1
    operator: Operator = None
    at: Annotated[str, Meta(description="RFC 3339; now, unless it is given.")] | None = None
    test: bool = False


class NewSimulation(Struct, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of `message`, `messages` and `days`. With `messages` or `days` a draft is compared with the routes in
    force."""

    draft_id: Draft = None
    message: Imagined | None = None
    messages: Annotated[tuple[Imagined, ...], Meta(min_length=1, description="At most 2,000.")] | None = None
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="Live traffic of the last days.")] | None = None
    sample: Annotated[
        int, Meta(ge=100, le=100_000, description="Of `days`: so many messages, spread evenly over the time.")
    ] = 10_000


class TriedRoute(Struct, frozen=True):
    """A route as it was looked at."""

    id: str
    name: str
    chosen: bool
    reason: str


class PlacedConnector(Struct, frozen=True):
    """A connector where it stands in the order, and why; `price` tells what the message costs by it, row by row."""

    connector: str
    group: int
    strategy: str
    reason: str
    left_out: bool
    expected_delivery: Annotated[float | None, Meta(description="0 to 1; null where nothing was measured yet.")]
    price: list[str]


class RouteExplanation(Struct, frozen=True):
    """One message, and everything that its road rests on."""

    to: str
    country: str | None
    operator: str | None
    sender_kind: str | None
    route: Annotated[str | None, Meta(description="The name of the route that takes it; null if none does.")]
    connectors: list[PlacedConnector]
    tried: list[TriedRoute]


class SideOut(Struct, frozen=True):
    """What one set of routes makes of the messages. Cost is of the `priced` ones, expected delivery of the `measured`
    ones."""

    routed: int
    unrouted: int
    cost: str
    currency: str
    priced: int
    expected_delivery: float | None
    measured: int
    routes: dict[str, int]
    connectors: dict[str, int]


class Move(Struct, frozen=True):
    """So many messages go another way: `route > connector`, or nowhere."""

    messages: int
    before: str | None
    after: str | None


class ExampleOut(Struct, frozen=True):
    """A message that goes another way; its number is shown but for its end."""

    to: str
    country: str | None
    operator: str | None
    purpose: str
    from_: str = field(name="from")
    at: Time
    before: str | None
    after: str | None


class ComparisonOut(Struct, frozen=True):
    """The routes in force against the draft."""

    messages: int
    differing: int
    before: SideOut
    after: SideOut
    moves: Annotated[list[Move], Meta(description="The largest first, at most 100.")]
    examples: list[ExampleOut]


class SimulationOut(Struct, frozen=True):
    """`explanation` of one message, or `comparison` of many."""

    explanation: RouteExplanation | None
    comparison: ComparisonOut | None


@resource.post(
    "/v1/routes/simulate",
    example={"message": {"to": "+33612345678", "from": "Acme", "purpose": "otp"}},
    errors=("number_not_e164", "not_found", "batch_too_large"),
)
async def run(call: Call, body: NewSimulation) -> SimulationOut:
    """See what a draft of the routes would do, or what the routes do now."""
    given = [name for name in ("message", "messages", "days") if getattr(body, name) is not None]
    if len(given) != 1:
        raise Refused("invalid_value", "Give exactly one of message, messages and days.", param="message")
    now = routing.table(call.rt)
    after = now
    if body.draft_id is not None:
        after = await _draft(call, body.draft_id)
    if body.message is not None:
        told = simulate.explain_route(call.house.pipeline, after, _case(call, body.message, "message"))
        return SimulationOut(_explained(call, after, told), None)
    compared = await simulate.compare(call.house.pipeline, now, after, _cases(call, body))
    return SimulationOut(None, _compared(call, now, after, compared))


async def _draft(call: Call, public: str) -> routing.Table:
    try:
        return await routing.draft_table(call.rt, _number(public, "rdr", "draft_id"))
    except Refused as refused:
        raise Refused(refused.code, refused.message, param="draft_id") from None


def _cases(call: Call, body: NewSimulation) -> AsyncIterator[Sequence[Case]]:
    if body.messages is not None:
        if len(body.messages) > MOST_MESSAGES:
            raise Refused("batch_too_large", f"At most {MOST_MESSAGES:,} messages are tried at once.", param="messages")
        return simulate.given([_case(call, one, f"messages[{n}]") for n, one in enumerate(body.messages)])
    until = call.rt.clock.now()
    return simulate.traffic(call.rt, until - (body.days or 1) * _DAY_MS, until, body.sample)


def _case(call: Call, imagined: Imagined, place: str) -> Case:
    account_id = None if imagined.account_id is None else _number(imagined.account_id, "acc", f"{place}.account_id")
    try:
        return simulate.case_of(
            call.house.pipeline,
            account_id=account_id,
            to=imagined.to,
            sender=imagined.from_,
            purpose=imagined.purpose,
            tags=imagined.tags,
            segments=imagined.segments,
            operator=imagined.operator,
            test=imagined.test,
            at=maybe_moment(imagined.at, f"{place}.at"),
        )
    except NumberError as error:
        raise Refused(error.code, error.message, param=f"{place}.to") from None


def _number(public: str, kind: str, param: str) -> int:
    number = ids.parse(kind, public)
    if number is None:
        raise Refused("not_found", f"There is no {public}.", param=param)
    return number


# -- out ------------------------------------------------------------------------------------------------------------


def _explained(call: Call, table: routing.Table, told: Explained) -> RouteExplanation:
    ask, house = told.ask, call.house
    place = ask.operator or ask.country
    name = house.pipeline.connector_name
    placed = []
    for one in told.placed:
        estimate = house.pipeline.quality.estimate(one.connector_id, place)
        expected = None if estimate.level == "none" else round(estimate.delivery.mean, 4)
        price = told.prices.get(one.connector_id, [])
        placed.append(
            PlacedConnector(
                name(one.connector_id), one.group + 1, one.strategy, one.reason, one.left_out, expected, price
            )
        )
    return RouteExplanation(
        to=f"+{ask.digits}",
        country=ask.country or None,
        operator=ask.operator,
        sender_kind=ask.sender_kind or None,
        route=None if told.decision is None else _route(table, told.decision.route_id),
        connectors=placed,
        tried=[TriedRoute(ids.public("rte", one.route_id), one.name, one.chosen, one.reason) for one in told.tried],
    )


def _compared(call: Call, before: routing.Table, after: routing.Table, told: Comparison) -> ComparisonOut:
    def way(table: routing.Table, chosen: Chosen) -> str | None:
        if chosen.route_id is None or chosen.connector_id is None:
            return None
        return f"{_route(table, chosen.route_id)} > {call.house.pipeline.connector_name(chosen.connector_id)}"

    moves: Counter[tuple[str | None, str | None]] = Counter()
    for (old, new), count in told.moves.items():
        moves[way(before, old), way(after, new)] += count
    return ComparisonOut(
        messages=told.cases,
        differing=told.differing,
        before=_side(call, before, told.before),
        after=_side(call, after, told.after),
        moves=[Move(count, old, new) for (old, new), count in moves.most_common(100)],
        examples=[
            ExampleOut(
                to=f"+{one.case.ask.digits[:-4]}****",
                country=one.case.ask.country or None,
                operator=one.case.ask.operator,
                purpose=one.case.ask.purpose,
                from_=one.case.ask.sender,
                at=rfc(one.case.ask.at),
                before=way(before, one.before),
                after=way(after, one.after),
            )
            for one in told.examples
        ],
    )


def _side(call: Call, table: routing.Table, side: Side) -> SideOut:
    def named(counts: Counter[int], name: Any) -> dict[str, int]:
        return {name(number): count for number, count in counts.most_common()}

    return SideOut(
        routed=side.routed,
        unrouted=side.unrouted,
        cost=billing.decimal(side.cost),
        currency=call.house.pipeline.tariffs.base_currency,
        priced=side.priced,
        expected_delivery=round(side.delivered / side.measured, 4) if side.measured else None,
        measured=side.measured,
        routes=named(side.routes, lambda number: _route(table, number)),
        connectors=named(side.connectors, call.house.pipeline.connector_name),
    )


def _route(table: routing.Table, route_id: int) -> str:
    route = table.get(route_id)
    return "" if route is None else route.name
