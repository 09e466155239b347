"""Number ranges: which operator a number was first given to, by its longest known prefix.

Registries write ranges from-to, or as prefixes; both become the fewest prefixes that cover them, in one dictionary. A
look-up slices the number at the few lengths that occur below its first digits. Where numbers can be taken along to
another operator (`portable`) this tells the first holder only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from msgspec import Struct
from phonenumbers import PhoneMetadata

from chappe.numbers.number import MAX_DIGITS
from chappe.numbers.operators import Operators
from chappe.numbers.plan import CALLING_CODES, NON_GEOGRAPHIC, locate, plans, split_calling_code

_HEAD = 4  # first digits that choose the lengths to try
_DEEP = 32  # enclosing ranges looked at for a conflict: nesting is never that deep in a sound table


class Holder(Struct, frozen=True, gc=False):
    """Who a range was given to, and the region its registry names (often the only hint at a time zone)."""

    mccmnc: str
    region: str = ""


class Range(NamedTuple):
    """International digits from `first` to `last`, equally long and inclusive, with all longer numbers that begin so.

    Where both are the same it is a prefix. An empty `mccmnc` is somebody's who is not listed: it hides what is wider.
    `line` is where the table had it.
    """

    first: str
    last: str
    mccmnc: str
    region: str = ""
    line: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        """The numbers it covers, filled up to 15 digits."""
        return int(self.first.ljust(MAX_DIGITS, "0")), int(self.last.ljust(MAX_DIGITS, "9"))


class Conflict(NamedTuple):
    """Two ranges that give the same number to different holders; `same` says that they cover exactly the same."""

    one: Range
    other: Range
    same: bool


class Ranges:
    """Prefixes and their holders: `get("33612345678")` is the holder of the longest prefix.

    Ranges that cross each other (see `conflicts`) have no defined holder where they do.
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._holders: dict[str, Holder | None] = {}
        holders: dict[tuple[str, str], Holder] = {}
        # The narrower goes over the wider: pieces of a range never hide a prefix within it.
        for found in sorted(ranges, key=_width, reverse=True):
            key = (found.mccmnc, found.region)
            holder = holders.setdefault(key, Holder(*key)) if found.mccmnc else None
            for prefix in prefixes(found.first, found.last):
                self._holders[prefix] = holder
        lengths: dict[str, set[int]] = {}
        for prefix in self._holders:
            lengths.setdefault(prefix[:_HEAD], set()).add(len(prefix))
        for head in sorted(lengths, key=len):
            for shorter in range(1, len(head)):
                lengths[head] |= lengths.get(head[:shorter], set())
        self._lengths = {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}

    def __len__(self) -> int:
        """How many prefixes there are."""
        return len(self._holders)

    def get(self, digits: str) -> Holder | None:
        """The first holder of a number (international digits without `+`), None where none is known."""
        holders = self._holders
        for length in self._lengths.get(digits[:_HEAD]) or self._below(digits):
            if (prefix := digits[:length]) in holders:
                return holders[prefix]
        return None

    def _below(self, digits: str) -> tuple[int, ...]:
        """The lengths to try where no prefix begins with the whole head."""
        return next(filter(None, (self._lengths.get(digits[:size]) for size in range(_HEAD - 1, 0, -1))), ())


def _width(found: Range) -> int:
    low, high = found.extent
    return high - low


def prefixes(first: str, last: str) -> list[str]:
    """The fewest prefixes that cover the numbers from `first` to `last`, which are equally long."""
    low, high, width = int(first), int(last), len(first)
    found = []
    while low <= high:
        size, cut = 1, 0
        while cut < width - 1 and low % (size * 10) == 0 and low + size * 10 - 1 <= high:
            size, cut = size * 10, cut + 1
        found.append(str(low).zfill(width)[: width - cut])
        low += size
    return found


def conflicts(ranges: Iterable[Range]) -> Iterator[Conflict]:
    """The contradictions of a table: the same range twice with different holders, and overlaps with different holders.

    A range within a wider prefix is none (the longest prefix wins), a from-to range within another is: a registry gives
    each number once. At most one conflict is told per range.
    """
    spans = sorted(((*one.extent, one) for one in ranges), key=lambda span: (span[0], -span[1], span[2].line))
    begun: list[tuple[int, int, Range]] = []  # ranges that reach here, the wider before those within
    for low, high, found in spans:
        while begun and begun[-1][1] < low:
            begun.pop()
        for its_low, its_high, other in reversed(begun[-_DEEP:]):
            if its_high < low or (other.mccmnc, other.region) == (found.mccmnc, found.region):
                continue
            same = (its_low, its_high) == (low, high)
            if same or its_high < high or (found.first != found.last and other.first != other.last):
                yield Conflict(found, other, same)
                break
        begun.append((low, high, found))


def portable(country: str, overrides: Mapping[str, bool] | None = None) -> bool:
    """Whether mobile numbers of a country (ISO) can be ported, so that a range tells the first holder only.

    The published plans say so, with a lag: `overrides` by country go first. A country without a plan counts as
    portable, the cautious answer.
    """
    if overrides and (told := overrides.get(country)) is not None:
        return told
    return _portable(country)


@cache
def _portable(country: str) -> bool:
    if country == NON_GEOGRAPHIC:
        return False
    metadata = PhoneMetadata.metadata_for_region(country)
    return metadata is None or bool(metadata.mobile_number_portable_region)


def published_ranges(operators: Operators) -> Ranges:
    """Ranges of `operators` as the `phonenumbers` package knows them: good enough until a regulator's are imported.

    Its data names the first holder of about 29,000 prefixes; a name that no operator of the country has is unknown
    here. The US, Canada and most of Russia are hardly covered. Takes about 0.1 s and 10 MB.
    """
    from phonenumbers.carrierdata import CARRIER_DATA  # loaded here: most processes never need it

    served = {row.country for row in operators}
    found = []
    for prefix, names in CARRIER_DATA.items():
        split = split_calling_code(prefix)
        if split is None or served.isdisjoint(CALLING_CODES[split[0]]):
            continue
        mccmnc = operators.named(names.get("en", ""), country_of(prefix))
        found.append(Range(prefix, prefix, mccmnc or ""))
    return Ranges(found)


def country_of(prefix: str) -> str:
    """The country (ISO) that the numbers with a prefix belong to; empty for what no calling code begins."""
    split = split_calling_code(prefix)
    if split is None:
        return ""
    sharing = plans(split[0])
    if len(sharing) == 1:
        return sharing[0].country
    return locate(split[0], split[1].ljust(sharing[0].lengths[-1], "0"))[0].country
