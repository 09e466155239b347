"""Number ranges of a country as its regulator publishes them, imported by the operator. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from msgspec import Meta, Struct

from chappe.numbers.ranges import Range


class RangeTable(Struct, frozen=True):
    """A row of `lookup_ranges`: the whole table of one country, replaced as a whole. Each of `ranges` is first and last
    number, MCC and MNC, and region; `source` names the document, `count` its ranges."""

    id: int
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    source: Annotated[str, Meta(min_length=1, max_length=200)]
    imported_at: int
    count: int
    ranges: tuple[tuple[str, str, str, str], ...]


def ranges_of(tables: Iterable[RangeTable]) -> Iterator[Range]:
    for table in tables:
        for first, last, mccmnc, region in table.ranges:
            yield Range(first, last, mccmnc, region)
