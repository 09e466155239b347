"""What kind of sender an address is, and what that kind can do. Pure look-ups over `kinds.csv`.

A figure that belongs to a country comes before the one for all countries. 10DLC is counted by carrier: AT&T a minute
and campaign, T-Mobile a day and brand (over all its suppliers, until midnight Pacific), so that adding numbers adds
nothing; the class of the campaign and the vetting score of the brand pick the row.
"""

from __future__ import annotations

import csv
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe import numbers
from chappe.text import sender_kind

Kind = Literal["alphanumeric", "short_code", "long_code", "toll_free", "ten_dlc"]
NUMERIC: frozenset[str] = frozenset({"long_code", "toll_free", "ten_dlc"})
TEN_DLC_COUNTRIES = ("US", "CA")  # local numbers there carry traffic of applications by a registered campaign
Per = Literal["second", "minute", "day"]
Key = Literal["number", "campaign", "brand"]


class Throughput(Struct, frozen=True):
    """At most `limit` messages `per` so long for each `key`; `carrier` "" is all of them."""

    limit: int
    per: Per
    key: Key
    carrier: str
    source: str


class Capabilities(Struct, frozen=True):
    """What a sender can do. No `throughput` means that the route alone sets the pace."""

    two_way: bool
    mms: bool
    throughput: tuple[Throughput, ...]


class Overrides(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the operator knows better of one sender; None leaves what the kind says."""

    two_way: bool | None = None
    mms: bool | None = None
    rate_per_s: Annotated[int, Meta(ge=1, le=100_000)] | None = None


class _Row(Struct, frozen=True):
    kind: str
    country: str
    category: str
    score: tuple[int, int] | None
    two_way: bool
    mms: bool
    throughput: Throughput | None


@lru_cache(maxsize=16_384)
def kind_of(address: str) -> tuple[Kind, str]:
    """(kind, country of the number or "") of a usable address. A number that no plan knows is a long code."""
    shape = sender_kind(address)
    if shape == "alphanumeric" or shape == "short_code":
        return shape, ""
    try:
        number = numbers.parse(f"+{address.removeprefix('+')}")
    except numbers.NumberError:
        return "long_code", ""
    home = number.country if number.geographic else ""
    if number.line_type == "toll_free":
        return "toll_free", home
    return ("ten_dlc" if home in TEN_DLC_COUNTRIES else "long_code"), home


def capabilities(
    kind: Kind, country: str, overrides: Overrides | None = None, *, category: str = "", score: int | None = None
) -> Capabilities:
    """What a sender of this kind and home can do.

    `category` is the use case of its 10DLC campaign, `score` the vetting score of its brand; without either, 10DLC
    counts as the lowest score, for that is how the carriers treat a brand that was not vetted.
    """
    rows = [row for row in _rows() if row.kind == kind and row.country == country]
    rows = rows or [row for row in _rows() if row.kind == kind and not row.country]
    special = {row.category for row in rows} & {category}
    rows = [row for row in rows if row.category == (category if special else "")]
    rows = [row for row in rows if row.score is None or row.score[0] <= max(1, score or 0) <= row.score[1]]
    own = overrides or Overrides()
    paces = tuple(row.throughput for row in rows if row.throughput is not None)
    if own.rate_per_s is not None:
        paces = (Throughput(own.rate_per_s, "second", "number", "", "set by the operator"),)
    two_way, mms = any(row.two_way for row in rows), any(row.mms for row in rows)
    return Capabilities(
        two_way if own.two_way is None else own.two_way, mms if own.mms is None else own.mms, throughput=paces
    )


@cache
def _rows() -> tuple[_Row, ...]:
    with resources.files(__package__).joinpath("kinds.csv").open(encoding="utf-8") as lines:
        return tuple(_row(row) for row in csv.DictReader(lines))


def _row(row: dict[str, str]) -> _Row:
    pace = None
    if row["limit"]:
        pace = Throughput(int(row["limit"]), row["per"], row["key"], row["carrier"], row["source"])  # type: ignore[arg-type]
    score = (int(row["score_from"]), int(row["score_to"])) if row["score_from"] else None
    return _Row(row["kind"], row["country"], row["class"], score, row["two_way"] == "yes", row["mms"] == "yes", pace)
