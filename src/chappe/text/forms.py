"""The forms a text can take on the wire, and where each may be cut.

A form counts in its own units (septets or UTF-16 units), knows how many fit beside a header, and cuts by simulation:
never between ESC and its code, inside a surrogate pair or inside a grapheme cluster. A cluster longer than a whole part
(a family of emoji, stacked accents) is cut between characters instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from chappe.text.alphabet import ESC, Alphabet, pack
from chappe.text.normalise import clusters
from chappe.text.udh import Element, shift_elements

OCTETS = 140  # of user data in one message, header included (TS 23.040, 9.2.3.24)

# Latin, Greek and Cyrillic letters: each is a cluster and a UTF-16 unit of its own.
one_by_one = re.compile(
    "[\n\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u20a0-\u20bf]*"
).fullmatch


class SevenBit(Struct, frozen=True):
    """GSM-7 by one alphabet. With `charset` the octets are Latin-1 or ASCII, which the centre turns into GSM-7."""

    alphabet: Alphabet
    charset: str | None = None
    packed: bool = False

    @property
    def shifts(self) -> tuple[Element, ...]:
        return shift_elements(self.alphabet.locking, self.alphabet.single)

    def septets(self, text: str) -> bytes:
        septets = self.alphabet.encode(text)
        assert septets is not None  # a form is chosen for its text
        return septets

    def room(self, header: int) -> int:
        return (OCTETS - header) * 8 // 7

    def units(self, text: str) -> int:
        return len(self.septets(text))

    def split(self, text: str, room: int) -> list[str]:
        if self.shifts:
            return split_clusters(text, self.units, room)
        # No combining mark in the default alphabet: only an ESC can be cut from its code.
        septets = self.septets(text)
        pieces, at = [], 0
        while at < len(septets):
            end = min(at + room, len(septets))
            if septets[end - 1] == ESC:
                end -= 1
            pieces.append(self.alphabet.decode(septets[at:end]))
            at = end
        return pieces

    def octets(self, text: str, header: int) -> bytes:
        if self.charset:
            return text.encode(self.charset)
        septets = self.septets(text)
        return pack(septets, header) if self.packed else septets


class Ucs2(Struct, frozen=True):
    """UTF-16 big-endian without a byte order mark: what handsets make of UCS-2."""

    shifts: tuple[Element, ...] = ()

    def room(self, header: int) -> int:
        return (OCTETS - header) // 2

    def units(self, text: str) -> int:
        return len(text.encode("utf-16-be")) // 2

    def split(self, text: str, room: int) -> list[str]:
        if one_by_one(text):
            return [text[at : at + room] for at in range(0, len(text), room)]
        return split_clusters(text, self.units, room)

    def octets(self, text: str, header: int) -> bytes:
        return text.encode("utf-16-be")


Form = SevenBit | Ucs2


def split_clusters(text: str, units: Callable[[str], int], room: int) -> list[str]:
    """Pieces of at most `room` units, cut between grapheme clusters; a cluster beyond `room` between characters."""
    pieces: list[str] = []
    piece: list[str] = []
    left = room
    for cluster in clusters(text):
        cost = units(cluster)
        for item in cluster if cost > room else (cluster,):
            cost = units(item)
            if cost > left:
                pieces.append("".join(piece))
                piece, left = [], room
            piece.append(item)
            left -= cost
    pieces.append("".join(piece))
    return pieces
