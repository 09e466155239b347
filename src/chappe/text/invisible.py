"""Texts as people see them: without what is invisible, with one spelling of what looks the same. Pure.

Zero-width characters and direction marks cut words for machines and not for readers; full-width and mathematical
letters are other letters for machines only. Positions lead back to the text as it was written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import regex
from msgspec import Struct

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt), and control characters that are no white space
_INVISIBLE = regex.compile(r"[\p{DI}\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_OVERRIDES = regex.compile("[\u202d\u202e]")


class Unveiled(Struct, frozen=True):
    """`at[i]` is where character i of `text` stands in the text as written; `at[len(text)]` is its end.

    `gaps` are the places in `text` in front of which something invisible was taken away.
    """

    text: str
    at: Sequence[int]
    gaps: frozenset[int]


def unveil(written: str) -> Unveiled:
    """The text without invisible characters, in compatibility form (NFKC) character by character. Linear."""
    if written.isascii() and written.isprintable():
        return Unveiled(written, range(len(written) + 1), _NONE)
    hidden = {match.start() for match in _INVISIBLE.finditer(written)}
    if not hidden and unicodedata.is_normalized("NFKC", written):
        return Unveiled(written, range(len(written) + 1), _NONE)
    seen: list[str] = []
    at: list[int] = []
    gaps: set[int] = set()
    for index, char in enumerate(written):
        if index in hidden:
            gaps.add(len(at))
            continue
        for plain in char if char.isascii() else unicodedata.normalize("NFKC", char):
            seen.append(plain)
            at.append(index)
    at.append(len(written))
    return Unveiled("".join(seen), at, frozenset(gaps))


def overrides(written: str) -> list[int]:
    """Where the text turns the direction of reading by force (UAX #9, LRO and RLO), so that it is not what it seems."""
    return [] if written.isascii() else [match.start() for match in _OVERRIDES.finditer(written)]


_NONE: frozenset[int] = frozenset()
