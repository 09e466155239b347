"""The nouns of route quality. Times are milliseconds since the epoch, shares lie within 0 and 1.

A *place* is where messages end: an operator as MCC-MNC ("20801") or, when that is unknown, a country ("FR"). Demotions
may also be about EVERYWHERE.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from chappe import numbers

Key = tuple[int, str]
"""(connector_id, place)"""

EVERYWHERE: Final = "*"
NOWHERE: Final = "ZZ"  # when nothing is known of a number; user-assigned in ISO 3166-1

SENT, DELIVERED, FAILED, REFUSED, TOLD, CONVERTED = range(6)
"""What is counted: taken by the supplier; its receipts of delivery and of failure; not taken; and of how many messages
somebody told whether their recipient did what they asked for, and of how many that he did."""
KINDS: Final = 6

SHORT, MEDIUM, LIVE, WEEK = range(4)
"""Windows, by how fast what is seen in them ages."""
SHORT_MS: Final = 30_000
MEDIUM_MS: Final = 180_000
WEEK_MS: Final = 84 * 3_600_000  # half a week: most of its weight lies within the last seven days
WINDOW_WORDS: Final = ("minute", "minutes", "hours", "week")

Level = Literal["operator", "country", "none"]


class Share(Struct, frozen=True):
    """A share, its 90 % interval, and how many messages it rests on (aged ones count as less than one)."""

    mean: float
    low: float
    high: float
    sample: float


class Estimate(Struct, frozen=True, kw_only=True):
    """How a connector does at a place. `level` says where it was measured: a place of which nothing is known takes what
    its country tells. `sent`, `failed`, `refused` and `delivered` are the aged counts behind it."""

    connector_id: int
    place: str
    country: str
    level: Level
    delivery: Share
    conversion: Share | None
    p50_ms: float | None
    p95_ms: float | None
    delivered: float
    failed: float
    refused: float


class Demotion(Struct, frozen=True, kw_only=True):
    """A connector that gets nothing but the exploration share at a place. `against` is the share that it must reach
    again; `times` counts its demotions there within a day, `hold_until` is when it may come back at the earliest."""

    connector_id: int
    place: str
    since: int
    reason: str
    evidence: Mapping[str, Any]
    against: float
    times: int
    hold_until: int


class Conversion(Struct, frozen=True):
    """What became of a message that asked for something: a code was entered (or a link opened), or it never was."""

    message_id: int
    account_id: int
    connector_id: int
    country: str
    operator: str | None
    sent_at: int
    converted: bool


class Canary(Struct, frozen=True):
    """A number (E.164 with +) that nobody has."""

    id: int
    number: Annotated[str, Meta(pattern=r"^\+[0-9]{4,15}$")]
    note: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
    created_at: int


class Verdict(NamedTuple):
    """What the judge found: a demotion to begin, or (`demotion` as it ends, `restored` says why) one to end."""

    demotion: Demotion
    restored: str | None = None


class RouteAlarm(NamedTuple):
    """As alarms are told: `about` stays the same while it lasts, `words` and `action` are for people."""

    about: str
    words: str
    action: str


def place_of(country: str | None, operator: str | None) -> str:
    return operator or country or NOWHERE


def is_operator(place: str) -> bool:
    """MCC-MNC has five or six digits; a country two letters, or is 001 where a number belongs to none."""
    return len(place) > 3


@lru_cache(maxsize=4096)
def country_of(place: str) -> str:
    """The country of a place; "" for an operator that no table knows, and for everywhere."""
    if place == EVERYWHERE:
        return ""
    if not is_operator(place):
        return place
    operator = numbers.operators().get(place)
    return operator.country if operator is not None else ""


def percent(share: float) -> str:
    """`95 %`, `0.4 %`, `99.7 %`: a digit more where it matters."""
    value = 100.0 * share
    return f"{value:.1f} %" if 0.0 < value < 1.0 or 99.0 < value < 100.0 else f"{value:.0f} %"
