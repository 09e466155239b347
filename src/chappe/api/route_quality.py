"""How routes do: measured quality, demotions, the truth of receipts, canary numbers; and what became of messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from chappe import connectors, ids, messages
from chappe.api import disputes
from chappe.api.answers import Answer
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import MAX_LIMIT, Listed, Page, Time, after, listed, maybe_moment, page_of, paged, rfc
from chappe.errors import Refused
from chappe.routing import quality
from chappe.routing.quality import Canary, Conversion, Demotion, Estimate, Share, Truth
from chappe.storage import Conflict

resource = Resource(
    "Route quality",
    "How each connector does at each place (an operator, or a country where the operator is unknown): what is "
    "delivered, how fast, and which connectors are demoted for it. For the operator.",
    scope="routes",
)
truth = Resource(
    "Route truth",
    "Whether the receipts of connectors can be believed, with the evidence, and the messages to show a supplier. For "
    "the operator.",
    scope="routes",
)
canaries = Resource(
    "Canary numbers",
    "Numbers that nobody has: a receipt of delivery for one is made up. Keep them secret. For the operator.",
    scope="routes",
)
conversions = Resource(
    "Conversions",
    "What became of messages: whether the code was entered, or the link opened.",
    scope="messages:send",
    tenant=True,
)

CONVERSION_DAYS = 7
_DAY_MS = 86_400_000
ConnectorName = Annotated[str, Meta(max_length=63, description="The name of a connector.", examples=["acme-1"])]
Place = Annotated[
    str,
    Meta(
        pattern=r"^([0-9]{5,6}|[A-Z]{2}|001|\*)$",
        description="MCC-MNC of an operator, or a country (ISO 3166-1), or * for everywhere.",
        examples=["20801"],
    ),
]
Rate = Annotated[float, Meta(ge=0, le=1)]


# -- shapes --------------------------------------------------------------------------------------------------------


class QualityPage(Page, forbid_unknown_fields=True, kw_only=True):
    """What to show."""

    connector: ConnectorName | None = None
    place: Place | None = None
    demoted: Annotated[bool, Meta(description="Only what is demoted, or only what is not.")] | None = None


class ShareOut(Struct, frozen=True):
    """A share with its 90 % interval, and the number of messages it rests on; aged ones count as less than one."""

    mean: Rate
    low: Rate
    high: Rate
    sample: Annotated[float, Meta(ge=0)]


class DemotionOut(Struct, frozen=True, kw_only=True):
    """A demotion: the connector gets nothing there but its part of the exploration share. `times` counts those of one
    day; it may come back at `hold_until` at the earliest."""

    connector: str
    connector_id: Annotated[str, Meta(examples=["con_006h3r8k2w0g4"])]
    place: Place
    since: Time
    reason: str
    evidence: dict[str, Any]
    times: int
    hold_until: Time


class QualityOut(Struct, frozen=True, kw_only=True):
    """How a connector does at a place. The counts behind the delivery rate are aged as well."""

    connector: str
    connector_id: Annotated[str, Meta(examples=["con_006h3r8k2w0g4"])]
    place: Place
    country: str
    delivery: ShareOut
    conversion: ShareOut | None
    p50_seconds: Annotated[float, Meta(description="Within which half of the receipts come.")] | None
    p95_seconds: float | None
    delivered: float
    failed: float
    refused: float
    demotion: DemotionOut | None


class DemotionList(Struct, frozen=True):
    """The longest first."""

    data: list[DemotionOut]


class Lift(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which of the connector's demotions."""

    place: Place


class QualityEvent(Struct, frozen=True, kw_only=True):
    """A demotion that began or ended; `actor` is who ended it by hand."""

    id: Annotated[str, Meta(examples=["rql_006h3r8k2w0g4"])]
    at: Time
    connector: str
    connector_id: str
    place: str
    kind: Literal["demoted", "restored"]
    words: str
    evidence: dict[str, Any]
    actor: str | None


class EvidenceOut(Struct, frozen=True, kw_only=True):
    """A piece of evidence. `factor`: how many times likelier it is seen where receipts are made up."""

    kind: Literal["canary", "too_fast", "too_even", "never_fails", "conversion"]
    place: str
    words: str
    figures: dict[str, Any]
    sample: int
    sure: Literal["proof", "strong", "moderate", "weak"]
    factor: float


class TruthOut(Struct, frozen=True, kw_only=True):
    """`score`: the chance in per cent that a connector's receipts are true; `receipts` are those looked at, aged."""

    connector: str
    connector_id: Annotated[str, Meta(examples=["con_006h3r8k2w0g4"])]
    score: Annotated[int, Meta(ge=0, le=100)]
    receipts: float
    evidence: list[EvidenceOut]


class TruthList(Struct, frozen=True):
    """The least believable first."""

    data: list[TruthOut]


class DisputeQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which messages to show, and how."""

    format: Annotated[Literal["csv", "jsonl"], Meta(description="CSV, or JSON with an object a line.")] = "csv"
    since: Annotated[str, Meta(description="RFC 3339 with an offset; of the message.")] | None = None
    until: Annotated[str, Meta(description="RFC 3339 with an offset.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=disputes.MOST, description="How many at most, the newest first.")] = 1_000


class NewCanary(Struct, forbid_unknown_fields=True, kw_only=True):
    """A number that nobody has."""

    number: Annotated[str, Meta(max_length=40, examples=["+33700000001"])]
    note: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class CanaryOut(Struct, frozen=True, kw_only=True):
    """A canary number."""

    id: Annotated[str, Meta(examples=["cny_006h3r8k2w0g4"])]
    number: str
    note: str
    created_at: Time


class NewConversion(Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of a message: the recipient did what it asked for, or time is up and he did not."""

    converted: bool


class ConversionOut(Struct, frozen=True, kw_only=True):
    """What is known of a message now."""

    message_id: Annotated[str, Meta(examples=["msg_006h3r8k2w0g4"])]
    converted: bool


# -- quality -------------------------------------------------------------------------------------------------------


@resource.get("/v1/route_quality", errors=("invalid_cursor", "connector_unknown"))
async def list_(call: Call, query: QualityPage) -> Listed[QualityOut]:
    """List how connectors do at the places that they were used for."""
    live = quality.of(call.rt)
    start = _place_behind(query.cursor)
    wanted = None if query.connector is None else _number(call, query.connector)
    found = []
    for key in sorted(live.evidence.measured()):
        if key <= start or wanted not in (None, key[0]) or query.place not in (None, key[1]):
            continue
        demotion = live.demoted(*key)
        if query.demoted is None or query.demoted is (demotion is not None):
            found.append((key, demotion))
        if len(found) > query.limit:
            break
    more = len(found) > query.limit
    shown = [_quality(call, live.estimate(*key), demotion) for key, demotion in found[: query.limit]]
    (last, place), _ = found[query.limit - 1] if more else ((0, ""), None)
    return Listed(shown, f"{ids.public('con', last)}.{place}" if more else None, more)


@resource.get("/v1/route_demotions")
async def demotions(call: Call) -> DemotionList:
    """List the connectors that are demoted now."""
    found = sorted(quality.of(call.rt).demotions.values(), key=lambda one: one.since)
    return DemotionList([_demotion(call, one) for one in found])


@resource.delete("/v1/route_demotions/{id:con}")
async def lift(call: Call, id: int, query: Lift) -> None:
    """End a demotion by hand; it begins anew if messages still do not arrive."""
    call.caller.need_live("routes")
    await quality.lift(call.rt, call.actor, id, query.place)


@resource.get("/v1/route_quality_log", errors=("invalid_cursor",))
async def log(call: Call, query: Page) -> Listed[QualityEvent]:
    """List the demotions of the last 90 days, as they began and ended."""
    found = await quality.log(call.rt, before=after(query, "rql"), limit=min(query.limit, MAX_LIMIT) + 1)
    rows, cursor = paged(found, query, "rql", lambda line: line.id)
    return listed((_line(call, line) for line in rows), cursor)


# -- truth ---------------------------------------------------------------------------------------------------------


@truth.get("/v1/route_truth")
async def truths(call: Call) -> TruthList:
    """List how far the receipts of each connector can be believed."""
    live = quality.of(call.rt)
    found = [live.truth(connector.id) for connector in connectors.book(call.rt)]
    return TruthList([_truth(call, one) for one in sorted(found, key=lambda one: one.score)])


@truth.get("/v1/route_truth/{id:con}")
async def truth_of(call: Call, id: int) -> TruthOut:
    """Show what speaks for and against the receipts of a connector."""
    _known(call, id)
    return _truth(call, quality.of(call.rt).truth(id))


@truth.get("/v1/route_truth/{id:con}/dispute", media=("text/csv", "application/jsonl"))
async def dispute(call: Call, id: int, query: DisputeQuery) -> Answer:
    """Download the messages whose receipts cannot be true, or hardly, to show them to the supplier.

    Deliveries to canary numbers, receipts that came sooner than a phone can answer (100 an hour are kept), and
    delivered messages of which we were told that they had no effect.
    """
    _known(call, id)
    since, until = maybe_moment(query.since, "since"), maybe_moment(query.until, "until")
    return disputes.answer(call.rt, id, disputes.Wanted(query.format, since, until, query.limit))


# -- canaries ------------------------------------------------------------------------------------------------------


@canaries.get("/v1/canary_numbers", errors=("invalid_cursor",))
async def list_canaries(call: Call, query: Page) -> Listed[CanaryOut]:
    """List canary numbers."""
    known: Iterable[Canary] = quality.of(call.rt).canaries.values()
    return page_of(known, query, "cny", _canary, lambda one: one.id)


@canaries.get("/v1/canary_numbers/{id:cny}")
async def show_canary(call: Call, id: int) -> CanaryOut:
    """Show a canary number."""
    return _canary(quality.found_canary(call.rt, id))


@canaries.post(
    "/v1/canary_numbers",
    status=201,
    example={"number": "+33700000001", "note": "never given out"},
    errors=("number_not_e164", "duplicate_name"),
)
async def add_canary(call: Call, body: NewCanary) -> CanaryOut:
    """Tell of a number that nobody has.

    Then send messages to it by the connector in question now and then, like any others. One that is reported as
    delivered is proof, and is kept for the dispute.
    """
    call.caller.need_live("canary numbers")
    return _canary(await quality.add_canary(call.rt, call.actor, body.number, body.note))


@canaries.delete("/v1/canary_numbers/{id:cny}")
async def remove_canary(call: Call, id: int) -> None:
    """Remove a canary number; what it has shown is kept."""
    call.caller.need_live("canary numbers")
    await quality.remove_canary(call.rt, call.actor, id)


# -- conversions ---------------------------------------------------------------------------------------------------


@conversions.post(
    "/v1/messages/{id:msg}/conversion",
    example={"converted": True},
    errors=("message_not_sent", "conversion_too_late", "conflict"),
)
async def convert(call: Call, id: int, body: NewConversion) -> ConversionOut:
    """Tell whether a message had its effect.

    Within seven days. The last word counts, and once however often it is told. Routes are measured by it: one that
    reports deliveries which have no effect is found out.
    """
    message = await messages.get(call.rt, call.account_id, id)
    if call.test and not message.test:
        call.caller.need_live("live messages")
    if message.sent_at is None:
        raise Refused("message_not_sent")
    if call.rt.clock.now() - message.created_at > CONVERSION_DAYS * _DAY_MS:
        raise Refused("conversion_too_late")
    told = Conversion(
        message_id=id,
        account_id=call.account_id,
        connector_id=message.connector_id,
        country=message.country,
        operator=message.operator,
        sent_at=message.sent_at,
        converted=body.converted,
    )
    try:
        await quality.converted(call.rt, [told])
    except Conflict:
        raise Refused("conflict", "Somebody else told of this message at the same time.") from None
    return ConversionOut(message_id=ids.public("msg", id), converted=body.converted)


# -- translating ---------------------------------------------------------------------------------------------------


def _number(call: Call, name: str) -> int:
    connector = connectors.book(call.rt).by_name(name)
    if connector is None:
        raise Refused("connector_unknown", f"There is no connector {name}.", param="connector")
    return connector.id


def _known(call: Call, connector_id: int) -> None:
    if connectors.book(call.rt).get(connector_id) is None:
        raise Refused("not_found", "There is no such connector.", param="id")


def _name(call: Call, connector_id: int) -> str:
    """The public id of one that is gone."""
    return call.house.pipeline.connector_name(connector_id) or ids.public("con", connector_id)


def _place_behind(cursor: str | None) -> tuple[int, str]:
    """Where a page begins: the cursor is the connector and the place that the page before ended with."""
    if cursor is None:
        return (-1, "")
    text, _, place = cursor.partition(".")
    number = ids.parse("con", text)
    if number is None or not place:
        raise Refused("invalid_cursor", param="cursor")
    return number, place


def _share(share: Share) -> ShareOut:
    return ShareOut(round(share.mean, 4), round(share.low, 4), round(share.high, 4), round(max(0.0, share.sample), 1))


def _quality(call: Call, found: Estimate, demotion: Demotion | None) -> QualityOut:
    def seconds(ms: float | None) -> float | None:
        return None if ms is None else round(ms / 1000, 2)

    return QualityOut(
        connector=_name(call, found.connector_id),
        connector_id=ids.public("con", found.connector_id),
        place=found.place,
        country=found.country,
        delivery=_share(found.delivery),
        conversion=None if found.conversion is None else _share(found.conversion),
        p50_seconds=seconds(found.p50_ms),
        p95_seconds=seconds(found.p95_ms),
        delivered=round(found.delivered, 1),
        failed=round(found.failed, 1),
        refused=round(found.refused, 1),
        demotion=None if demotion is None else _demotion(call, demotion),
    )


def _demotion(call: Call, one: Demotion) -> DemotionOut:
    return DemotionOut(
        connector=_name(call, one.connector_id),
        connector_id=ids.public("con", one.connector_id),
        place=one.place,
        since=rfc(one.since),
        reason=one.reason,
        evidence=_figures(call, one.evidence),
        times=one.times,
        hold_until=rfc(one.hold_until),
    )


def _figures(call: Call, evidence: Any) -> dict[str, Any]:
    """Connectors by their names."""
    figures = dict(evidence)
    other = figures.pop("other_connector_id", None)
    if other is not None:
        figures["other_connector"] = _name(call, other)
    return figures


def _line(call: Call, line: quality.Line) -> QualityEvent:
    return QualityEvent(
        id=ids.public("rql", line.id),
        at=rfc(ids.millis(line.id)),
        connector=_name(call, line.connector_id),
        connector_id=ids.public("con", line.connector_id),
        place=line.place,
        kind="demoted" if line.kind == "demoted" else "restored",
        words=line.words,
        evidence=_figures(call, msgspec.json.decode(line.evidence)),
        actor=line.actor,
    )


def _truth(call: Call, found: Truth) -> TruthOut:
    return TruthOut(
        connector=_name(call, found.connector_id),
        connector_id=ids.public("con", found.connector_id),
        score=found.score,
        receipts=round(found.receipts, 1),
        evidence=[
            EvidenceOut(
                kind=item.kind,
                place=item.place,
                words=item.words,
                figures={k: rfc(v) if k == "latest" else v for k, v in item.figures.items()},
                sample=item.sample,
                sure=item.sure,
                factor=round(item.factor, 1),
            )
            for item in found.items
        ],
    )


def _canary(one: Canary) -> CanaryOut:
    return CanaryOut(id=ids.public("cny", one.id), number=one.number, note=one.note, created_at=rfc(one.created_at))
