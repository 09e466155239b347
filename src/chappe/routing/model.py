"""Routes: the rules of which way a message goes. Pure.

A route says which messages it takes (`account_id`, `prefix`, `purposes`, `senders` and `match`, all of which must hold)
and where they go: `groups` of connectors, tried one after the other. Which of two routes comes first is told in
`table.py`, which of two connectors in `ordering.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from chappe.accounts import Purpose

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Prefix = Annotated[str, Meta(pattern=r"^[0-9]{0,15}$")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Mccmnc = Annotated[str, Meta(pattern=r"^[2-79][0-9]{4,5}$")]
Address = Annotated[str, Meta(min_length=1, max_length=20)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
SenderKind = Literal["alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"]
SENDER_KINDS: tuple[SenderKind, ...] = ("alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc")
Strategy = Literal["order", "weights", "least_cost", "best_quality", "sticky"]
ErrorClass = Literal["unreachable", "throttled", "rejected", "failed", "timeout"]
ERROR_CLASSES: tuple[ErrorClass, ...] = ("unreachable", "throttled", "rejected", "failed", "timeout")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ATTEMPTS = 4  # a message ends after so many connectors unless its route says otherwise
MOST_ATTEMPTS = 16
_DAY_MINUTES = 1440

_CLASS_OF: dict[str, ErrorClass] = {
    "supplier_unreachable": "unreachable",
    "throttled": "throttled",
    "queue_full_supplier": "throttled",
    "in_doubt": "timeout",
    "supplier_error": "failed",
    "unknown_error": "failed",
}


def class_of(code: str) -> ErrorClass:
    """The class of a delivery error, by its code in the catalogue: what names no fault of the line is a refusal."""
    return _CLASS_OF.get(code, "rejected")


class Window(Struct, frozen=True, omit_defaults=True):
    """Minutes of the day in an IANA time zone, from `start` up to but not including `end`.

    One that ends before it starts passes midnight and belongs to the day on which it starts. No `days` means every day.
    """

    zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    days: tuple[Day, ...] = ()
    start: Annotated[int, Meta(ge=0, lt=_DAY_MINUTES)] = 0
    end: Annotated[int, Meta(ge=1, le=_DAY_MINUTES)] = _DAY_MINUTES

    def holds(self, at: int) -> bool:
        """Whether a moment (milliseconds since the epoch) lies in it."""
        day, minute = _local(self.zone, at // 60_000)
        if self.start < self.end:
            return self.start <= minute < self.end and self._on(day)
        if minute >= self.start:
            return self._on(day)
        return minute < self.end and self._on(day - 1)

    def _on(self, day: int) -> bool:
        return not self.days or DAYS[day % 7] in self.days


class Match(Struct, frozen=True, omit_defaults=True):
    """Further conditions of a route; an empty one is none. `operators` are MCC-MNC after portability.

    `prefixes` is for several, all of which start with the route's `prefix`. A route with `account_ids` or
    `account_groups` is for the accounts that either names. `tags`: any of them. `least` and `most` count segments.
    """

    countries: tuple[Country, ...] = ()
    operators: tuple[Mccmnc, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    sender_kinds: tuple[SenderKind, ...] = ()
    tags: tuple[Tag, ...] = ()
    account_ids: tuple[int, ...] = ()
    account_groups: tuple[Name, ...] = ()
    times: Annotated[tuple[Window, ...], Meta(max_length=50)] = ()
    least: Annotated[int, Meta(ge=1, le=255)] | None = None
    most: Annotated[int, Meta(ge=1, le=255)] | None = None


class Member(Struct, frozen=True, omit_defaults=True):
    """A connector of a group. Where weights count, one of weight 0 comes last."""

    connector_id: int
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class Group(Struct, frozen=True, omit_defaults=True):
    """Connectors among which `strategy` chooses.

    After an error of a class in `leave_on` the message goes on to the next of them, and from the last to the next
    group; after one in `skip_on` to the next group at once; after any other it ends.
    """

    connectors: tuple[Member, ...]
    strategy: Strategy = "order"
    leave_on: tuple[ErrorClass, ...] = ERROR_CLASSES
    skip_on: tuple[ErrorClass, ...] = ()


class Route(Struct, frozen=True):
    """A rule. `account_id` None is for all accounts; no `purposes` or `senders` means any; `prefix` "" every number.

    Without `groups` it leads to `connector_id`, then to the fallbacks in order; with them these two say the same in
    short. `max_cost` is in micro-units a segment: dearer connectors are left out. `allow_loss`: the message may cost
    more than it earns.
    """

    id: int
    name: Name
    position: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    account_id: int | None
    prefix: Prefix
    purposes: tuple[Purpose, ...]
    senders: tuple[Address, ...]
    connector_id: int
    fallback_connector_ids: tuple[int, ...]
    status: Literal["active", "stopped"]
    test: bool
    created_at: int
    match: Match = Match()
    groups: Annotated[tuple[Group, ...], Meta(max_length=16)] = ()
    most_attempts: Annotated[int, Meta(ge=1, le=MOST_ATTEMPTS)] = ATTEMPTS
    max_cost: Annotated[int, Meta(ge=0)] | None = None
    allow_loss: bool = False

    @property
    def connectors(self) -> tuple[int, ...]:
        """Every connector that it names, each once, as written."""
        if self.groups:
            return tuple(dict.fromkeys(member.connector_id for group in self.groups for member in group.connectors))
        return tuple(dict.fromkeys((self.connector_id, *self.fallback_connector_ids)))

    @property
    def plan(self) -> tuple[Group, ...]:
        """Its groups, the short form spelt out."""
        return self.groups or (Group(tuple(map(Member, self.connectors))),)

    @property
    def prefixes(self) -> tuple[str, ...]:
        return self.match.prefixes or (self.prefix,)


class AccountGroup(Struct, frozen=True):
    """Customers under one name, which routes use."""

    id: int
    name: Name
    account_ids: tuple[int, ...]
    created_at: int


class Step(Struct, frozen=True):
    """What a change made of a route or a group of accounts: from None it is new, to None it is gone."""

    kind: Literal["route", "account_group"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Version(Struct, frozen=True):
    """The routes in force after a change, by what it changed; `id` is its number.

    `restored` is the number of the version that it brought back.
    """

    id: int
    kind: Literal["change", "apply", "publish", "restore"]
    actor: str
    note: str
    published_at: int
    draft_id: int | None
    restored: int | None
    changes: int
    content: tuple[Step, ...] = ()


class Draft(Struct, frozen=True):
    """Routes that are proposed: what is in force in version `base`, with the draft's edits. `version` is what it
    became."""

    id: int
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
    note: Annotated[str, Meta(max_length=1000, pattern=PRINTABLE)]
    base: int
    status: Literal["open", "published"]
    version: int | None
    created_by: str
    created_at: int


class Ask(NamedTuple):
    """A message as routes look at it. `digits` are the E.164 number without its +, `country` its ISO code or "",
    `operator` the MCC-MNC after portability, `at` milliseconds since the epoch.

    `segments` counts only where `Table.asks_segments`.
    """

    account_id: int | None
    digits: str
    country: str
    operator: str | None
    purpose: str
    sender: str
    sender_kind: str
    tags: tuple[str, ...] = ()
    segments: int = 1
    test: bool = False
    at: int = 0


class Decision(NamedTuple):
    """The route of a message. `connectors` is the set of them, each once, as written; `order` says which comes first.

    One without `groups` takes its connectors as they stand.
    """

    connectors: tuple[int, ...]
    route_id: int
    reason: str
    groups: tuple[Group, ...] = ()
    most_attempts: int = ATTEMPTS
    max_cost: int | None = None
    allow_loss: bool = False


def by_name(connector_id: int) -> Decision:
    """The decision for a message whose sender names the connector."""
    return Decision((connector_id,), 0, "asked for by name")


class Tried(NamedTuple):
    """A route as `explain` looked at it."""

    route_id: int
    name: str
    chosen: bool
    reason: str


def common_prefix(prefixes: Sequence[str]) -> str:
    """The digits with which all of them start."""
    first, last = min(prefixes), max(prefixes)  # what these two share, all between them share
    at = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:at]


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """None for what is no IANA time zone here."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _local(zone: str, minute: int) -> tuple[int, int]:
    """The weekday (0 is Monday) and the minute of the day there; a zone this node does not know is read as UTC.

    All offsets in use are whole minutes, so that all of a minute is alike.
    """
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone_of(zone) or UTC)
    return local.weekday(), local.hour * 60 + local.minute
