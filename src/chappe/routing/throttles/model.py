"""Throttles: how many messages may go, by account, sender, connector or country. Pure."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from chappe import numbers
from chappe.errors import Refused

Scope = Literal["account", "sender", "sender_kind", "connector", "country", "account+country"]
Per = Literal["second", "minute", "hour", "day"]
Over = Literal["wait", "refuse"]
SenderKind = Literal["alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"]

SECONDS: Final[dict[str, int]] = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
# the field of a throttle that says which one of its scope it is about
SUBJECT: Final[dict[str, str]] = {
    "account": "account_id",
    "sender": "sender",
    "sender_kind": "sender_kind",
    "connector": "connector_id",
    "country": "country",
    "account+country": "country",
}
PACED: Final = frozenset(("second", "minute"))  # the others are counted by the calendar
LARGEST: Final = 1_000_000_000


class Throttle(Struct, frozen=True):
    """At most `most` messages (counted in parts) `per` so long for each of what `scope` names; 0 lets none through.

    The field that the scope is named after picks one; without it each is counted by itself. `account_id` with another
    scope: only what that account sends is counted. Seconds and minutes go by a token bucket that holds `burst`, by
    default what a second brings. Hours and days are those of the calendar in `zone`, paced as well if there is a burst.
    """

    id: int
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    scope: Scope
    account_id: int | None
    sender: Annotated[str, Meta(min_length=1, max_length=20)] | None  # canonical: no + before a number
    sender_kind: SenderKind | None
    connector_id: int | None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None
    most: Annotated[int, Meta(ge=0, le=LARGEST)]  # `limit` at the doors: that is a word of SQL
    per: Per
    burst: Annotated[int, Meta(ge=1, le=LARGEST)] | None
    over: Over
    zone: Annotated[str, Meta(min_length=1, max_length=60)]
    created_at: int

    @property
    def counts_as(self) -> tuple[object, ...]:
        """What must stay for the counts so far to keep their meaning."""
        who = (self.account_id, self.sender, self.sender_kind, self.connector_id, self.country)
        return (self.scope, *who, self.zone, "" if self.per in PACED else self.per)


class Limit(NamedTuple):
    """A limit that another room knows of: all messages with the same `key` share it. `zone` says when days end."""

    key: str
    limit: int
    per: Per
    zone: str = "UTC"


def check(throttle: Throttle) -> None:
    """Raises Refused invalid_value for fields that contradict each other, or that name nothing."""
    mine = SUBJECT[throttle.scope]
    for field in ("sender", "sender_kind", "connector_id", "country"):
        if field != mine and getattr(throttle, field) is not None:
            name = field.removesuffix("_id")
            raise Refused("invalid_value", f"The scope {throttle.scope} has no {name.replace('_', ' ')}.", param=name)
    if throttle.country is not None and numbers.country(throttle.country) is None:
        raise Refused("invalid_value", f"There is no country {throttle.country}.", param="country")
    if throttle.zone != "UTC":
        if throttle.per in PACED:
            raise Refused("invalid_value", "Only hours and days end in a time zone.", param="zone")
        try:
            zoneinfo.ZoneInfo(throttle.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the database is an OSError
            words = f"There is no time zone {throttle.zone}."
            raise Refused("invalid_value", words, param="zone", action="Write it like Europe/Paris.") from None
