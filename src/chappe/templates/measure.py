"""How much of a message a text can cost at most, and how many segments that makes. Pure.

A bound, not an estimate: no rendering with values of the declared lengths takes more. In GSM-7 only an escape can
leave a septet of a segment unused. In UCS-2 a cluster of several units can leave as many but one, so clusters are
bounded: a rendering with a longer one (stacked accents) is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from chappe.text import alphabet, normalise
from chappe.text.forms import one_by_one
from chappe.text.normalise import clusters

ASCII, GSM7, UNICODE = 0, 1, 2
MAX_CLUSTER = 20  # UTF-16 units; a family of four with skin tones has 19
MAX_UNITS = 255 * 48  # what 255 segments hold at the least

_CODES = alphabet().codes
_GSM7 = frozenset(_CODES)
_ESCAPED = frozenset("^{}\\[~]|€\f")


class Extent(NamedTuple):
    """The most that a piece of text can take: as septets, as UTF-16 units, the alphabet it stays in, whether it can
    hold escaped characters, and how many of its units may stand in clusters of several."""

    septets: int
    units: int
    level: int
    escapes: bool
    clustered: int

    def then(self, other: Extent) -> Extent:
        """One after the other."""
        return Extent(
            self.septets + other.septets,
            self.units + other.units,
            max(self.level, other.level),
            self.escapes or other.escapes,
            self.clustered + other.clustered,
        )

    def either(self, other: Extent) -> Extent:
        """One or the other."""
        return Extent(*map(max, self, other))  # type: ignore[arg-type]


NOTHING = Extent(0, 0, ASCII, False, 0)


def extent_of(text: str) -> Extent:
    """Of a text that is known; also of one that only its neighbours make lighter, or keep from being cleaned."""
    clean = normalise(text)[0]
    units = max(_units(text), _units(clean))
    escapes = sum(char in _ESCAPED for char in clean)
    return Extent(units + escapes, units, level_of(clean), escapes > 0, 0 if one_by_one(clean) else units)


def extent_of_value(most: int, level: int, *, escapes: bool = True) -> Extent:
    """Of any value that costs at most so much."""
    return Extent(most, most, level, escapes, most if level == UNICODE else 0)


def cost(text: str) -> int:
    """What a value counts against its `max_length`: enough for it in either encoding."""
    return len(text) + sum(char > "\uffff" or char in _ESCAPED for char in text)


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)


def level_of(text: str) -> int:
    if not _GSM7.issuperset(text):
        return UNICODE
    return ASCII if text.isascii() else GSM7


def segments(extent: Extent) -> int:
    """The most segments that a text of this extent takes, headers of concatenation (8-bit reference) included."""
    room = 152 if extent.escapes else 153
    seven = 1 if extent.septets <= 160 else -(-extent.septets // room)
    if extent.level < UNICODE:
        return seven
    # what a cluster leaves unused at the end of a segment is less than its own length, and less than the longest
    wasteful = -(-(extent.units + extent.clustered) // 67)
    wide = 1 if extent.units <= 70 else min(wasteful, -(-extent.units // (68 - MAX_CLUSTER)))
    return max(seven, wide)  # a value may be such that all of it is GSM-7 after all


def longest_cluster(text: str) -> int:
    """In UTF-16 units."""
    if one_by_one(text):
        return 1
    return max(map(_units, clusters(text)), default=0)
