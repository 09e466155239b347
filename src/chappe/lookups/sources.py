"""A source of facts about numbers as it is stored: what it knows, what asking it costs, how long it may take. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from chappe.errors import Refused
from chappe.lookups.report import CacheTimes, Field

Kind = Literal["plan", "ranges", "portability", "enum", "infobip", "twilio", "vonage", "telnyx", "template"]
KIND_NAMES: tuple[Kind, ...] = get_args(Kind)

LOCAL: frozenset[Kind] = frozenset({"plan", "ranges", "portability"})
"""Kinds that are answered from this machine's own data: at once, for nothing, and without a cache."""

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Source(Struct, frozen=True):
    """A row of `lookup_sources`. No `countries` means all. Sources are asked from the lowest `position` up.

    `gives` are the fields it is asked for. `cost_micros` is the price of one answer in millionths of `currency`, where
    the answer itself names none; what it does not cover costs nothing. `timeout_s` is for one request, of which
    `concurrency` are on their way at most. `credentials` is their sealed JSON, or empty.
    """

    id: int
    name: Name
    kind: Kind
    countries: tuple[CountryCode, ...]
    position: Annotated[int, Meta(ge=0, le=1_000_000)]
    gives: tuple[Field, ...]
    cost_micros: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    currency: Currency
    cache: CacheTimes
    timeout_s: Annotated[float, Meta(gt=0, le=60)]
    concurrency: Annotated[int, Meta(ge=1, le=200)]
    settings: dict[str, Any]
    credentials: str
    status: Literal["active", "stopped"]
    created_at: int

    @property
    def local(self) -> bool:
        return self.kind in LOCAL

    @property
    def active(self) -> bool:
        return self.status == "active"

    def covers(self, country: str | None) -> bool:
        return not self.countries or country in self.countries


def _always(number: int, kind: Kind, gives: tuple[Field, ...]) -> Source:
    return Source(
        id=number,
        name=kind,
        kind=kind,
        countries=(),
        position=0,
        gives=gives,
        cost_micros=0,
        currency="EUR",
        cache=CacheTimes(),
        timeout_s=1.0,
        concurrency=1,
        settings={},
        credentials="",
        status="active",
        created_at=0,
    )


ALWAYS: tuple[Source, ...] = (
    _always(1, "plan", ("validity", "line_type")),
    _always(2, "portability", ("operator",)),
    _always(3, "ranges", ("operator",)),
)
"""What answers before anything is declared; a declared source of the same kind takes the place of one of these."""


def in_order(declared: Iterable[Source]) -> tuple[Source, ...]:
    """All sources as they are asked, the stopped ones left out. The number plan comes first whatever its position:
    a number that cannot exist is asked of nobody."""
    known = list(declared)
    kinds = {source.kind for source in known}
    every = [*(source for source in ALWAYS if source.kind not in kinds), *(s for s in known if s.active)]
    return tuple(sorted(every, key=lambda source: (source.kind != "plan", source.position, source.id)))


def check(source: Source) -> None:
    """What the types cannot say. Raises Refused."""
    if source.local and source.cost_micros:
        raise Refused(
            "invalid_value",
            f"Data of one's own costs nothing: a source of kind {source.kind} has no cost.",
            param="cost",
            action="Leave the cost out.",
        )
    if not source.gives:
        raise Refused("invalid_value", "A source that gives nothing would never be asked.", param="gives")
    if source.kind == "plan" and source.countries:
        raise Refused("invalid_value", "The number plan is that of all countries.", param="countries")


def changed(source: Source, **fields: Any) -> Source:
    return msgspec.structs.replace(source, **fields)
