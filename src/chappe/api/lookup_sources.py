"""Lookup sources: whom look-ups are asked of, in which order, for how much. For the operator."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chappe import ids, lookups
from chappe.api.house import Call
from chappe.api.operations import Resource
from chappe.api.shapes import Listed, Page, Time, given, page_of, rfc
from chappe.lookups import CacheTimes, Field, Kind, Source, decimal

resource = Resource(
    "Lookup sources",
    "Whom numbers are looked up with: one's own data, ENUM, suppliers. Asked from the lowest position up, each only "
    "for what is still missing. For the operator.",
    scope="lookup_sources",
)

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", examples=["hlr-1"])]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Countries = Annotated[list[Country], Meta(max_length=250, description="ISO 3166-1; none: all.")]
Position = Annotated[int, Meta(ge=0, le=1_000_000, description="The lowest is asked first.")]
Gives = Annotated[
    list[Field], Meta(max_length=5, description="What it is asked for; none: all that its kind can tell.")
]
Cost = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$", description="Of one answer, as a decimal number.", examples=["0.0045"]
    ),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217.")]
Timeout = Annotated[float, Meta(gt=0, le=60, description="Seconds that one request may take.")]
Concurrency = Annotated[int, Meta(ge=1, le=200, description="Requests on their way at the same time.")]
Loose = Annotated[dict[str, Any], Meta(max_length=60)]


class CacheTimesIn(Struct, forbid_unknown_fields=True, kw_only=True):
    """Seconds for which an answer is used again; 0: never."""

    answer_s: Annotated[int, Meta(ge=0, le=90 * 86_400)] = CacheTimes().answer_s
    reachability_s: Annotated[int, Meta(ge=0, le=90 * 86_400)] = CacheTimes().reachability_s
    absent_s: Annotated[int, Meta(ge=0, le=90 * 86_400)] = CacheTimes().absent_s
    not_covered_s: Annotated[int, Meta(ge=0, le=90 * 86_400)] = CacheTimes().not_covered_s


class NewLookupSource(Struct, forbid_unknown_fields=True, kw_only=True):
    """A source. The kind stays as it is; `settings` and `credentials` are those of the kind."""

    name: Name
    kind: Kind
    countries: Countries = []
    position: Position = 100
    gives: Gives = []
    cost: Cost = "0"
    currency: Currency = "EUR"
    cache: CacheTimesIn = msgspec.field(default_factory=CacheTimesIn)
    timeout_s: Timeout | None = None
    concurrency: Concurrency | None = None
    settings: Loose = {}
    credentials: Loose | None = None
    status: Literal["active", "stopped"] = "active"


class LookupSourceChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; in `settings` each one given is replaced as a whole."""

    name: Name | UnsetType = UNSET
    countries: Countries | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    gives: Annotated[list[Field], Meta(min_length=1, max_length=5)] | UnsetType = UNSET
    cost: Cost | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    cache: CacheTimesIn | UnsetType = UNSET
    timeout_s: Timeout | UnsetType = UNSET
    concurrency: Concurrency | UnsetType = UNSET
    settings: Loose | UnsetType = UNSET
    credentials: Loose | UnsetType = UNSET
    status: Literal["active", "stopped"] | UnsetType = UNSET


class CacheTimesOut(Struct, frozen=True):
    """Seconds for which an answer is used again."""

    answer_s: int
    reachability_s: int
    absent_s: int
    not_covered_s: int


class LookupSourceOut(Struct, frozen=True, kw_only=True):
    """A source. Its credentials are never shown; `resting`: left alone by this node after failures, `last_error` is
    the last of them; `problem` says why it cannot be used at all."""

    id: Annotated[str, Meta(examples=["lks_006h3r8k2w0g4"])]
    name: str
    kind: Kind
    countries: list[str]
    position: int
    gives: list[str]
    cost: str
    currency: str
    cache: CacheTimesOut
    timeout_s: float
    concurrency: int
    settings: dict[str, Any]
    has_credentials: bool
    status: Literal["active", "stopped"]
    resting: bool
    last_error: str | None
    problem: str | None
    created_at: Time


@resource.get("/v1/lookup_sources", errors=("invalid_cursor",))
async def list_(call: Call, query: Page) -> Listed[LookupSourceOut]:
    """List sources."""
    known = lookups.chain(call.rt).declared.values()
    return page_of(known, query, "lks", lambda source: _shown(call, source), lambda source: source.id)


@resource.get("/v1/lookup_sources/{id:lks}")
async def get(call: Call, id: int) -> LookupSourceOut:
    """Show a source."""
    return _shown(call, lookups.found_source(call.rt, id))


@resource.post(
    "/v1/lookup_sources",
    status=201,
    example={"name": "own-numbers", "kind": "portability", "countries": ["FR"], "position": 10},
    errors=("duplicate_name",),
)
async def create(call: Call, body: NewLookupSource) -> LookupSourceOut:
    """Make a source; it is asked from now on."""
    call.caller.need_live("lookup sources")
    source = await lookups.create_source(call.rt, call.actor, **_fields(body))
    return _shown(call, source)


@resource.patch(
    "/v1/lookup_sources/{id:lks}", example={"position": 20, "status": "stopped"}, errors=("duplicate_name",)
)
async def update(call: Call, id: int, body: LookupSourceChange) -> LookupSourceOut:
    """Change, stop or start a source."""
    call.caller.need_live("lookup sources")
    source = await lookups.update_source(call.rt, call.actor, id, **_fields(body))
    return _shown(call, source)


@resource.delete("/v1/lookup_sources/{id:lks}")
async def delete(call: Call, id: int) -> None:
    """Delete a source."""
    call.caller.need_live("lookup sources")
    await lookups.delete_source(call.rt, call.actor, id)


def _fields(body: NewLookupSource | LookupSourceChange) -> dict[str, Any]:
    """As the room takes them: lists as tuples, the cost in millionths."""
    fields = given(body)
    for name in ("countries", "gives"):
        if name in fields:
            fields[name] = tuple(fields[name])
    if "cost" in fields:
        fields["cost_micros"] = int(Decimal(fields.pop("cost")) * 1_000_000)
    if "cache" in fields:
        fields["cache"] = CacheTimes(**msgspec.to_builtins(fields["cache"]))
    return fields


def _shown(call: Call, source: Source) -> LookupSourceOut:
    chain = lookups.chain(call.rt)
    asker, times = chain.asker(source.id), source.cache
    return LookupSourceOut(
        id=ids.public("lks", source.id),
        name=source.name,
        kind=source.kind,
        countries=list(source.countries),
        position=source.position,
        gives=list(source.gives),
        cost=decimal(source.cost_micros),
        currency=source.currency,
        cache=CacheTimesOut(times.answer_s, times.reachability_s, times.absent_s, times.not_covered_s),
        timeout_s=source.timeout_s,
        concurrency=source.concurrency,
        settings=source.settings,
        has_credentials=bool(source.credentials),
        status=source.status,
        resting=asker is not None and asker.resting,
        last_error=None if asker is None else asker.trouble,
        problem=chain.problems.get(source.name),
        created_at=rfc(source.created_at),
    )
