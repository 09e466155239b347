"""Putting the parts of a long incoming message together: any order, duplicates, losses, references used again.

Pure: parts are values that the caller stores, time is an argument. Text is decoded once over the joined payload, since
foreign gateways cut surrogates and ESC pairs in two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chappe.text.decode import Charset, Decoded, decode, read
from chappe.text.udh import Concat


class StoredPart(NamedTuple):
    """A part as it arrived."""

    sequence: int
    total: int
    user_data: bytes
    data_coding: int
    udhi: bool


class Key(NamedTuple):
    """Parts of one message share this. A reference alone says nothing: handsets count from 0."""

    connector: str
    source: str
    destination: str
    reference: int
    total: int
    bits: int


def reassembly_key(connector: str, source: str, destination: str, concat: Concat) -> Key:
    """The key of the message that a part belongs to."""
    return Key(connector, source, destination, concat.reference, concat.total, concat.bits)


def belongs(part: StoredPart, stored: Iterable[StoredPart]) -> bool:
    """False when `part` contradicts those stored (another total, or other content in a place that is taken).

    Then the reference is used again by a later message: close the stored ones as incomplete and start anew.
    """
    return (
        all(part.total == other.total and (part.sequence != other.sequence or part == other) for other in stored)
        and 1 <= part.sequence <= part.total
    )


def missing(stored: Iterable[StoredPart]) -> tuple[int, ...]:
    """The sequence numbers that have not come; empty when complete or when nothing is stored."""
    parts = {part.sequence: part.total for part in stored}
    return tuple(number for number in range(1, max(parts.values(), default=0) + 1) if number not in parts)


def join(
    stored: Iterable[StoredPart],
    default_alphabet: Charset = "gsm7",
    ucs2_little_endian: bool = False,
    packed: bool = False,
) -> Decoded | None:
    """The message of the parts stored, in order and without duplicates; None when there are none.

    Complete or not: ask `missing` first. The header is that of the first part.
    """
    by_sequence = {part.sequence: part for part in reversed(list(stored))}
    parts = [
        decode(part.user_data, part.data_coding, part.udhi, default_alphabet, ucs2_little_endian, packed)
        for _, part in sorted(by_sequence.items())
    ]
    if not parts:
        return None
    first = parts[0]
    payload = b"".join(part.payload for part in parts)
    if first.binary:
        return Decoded(None, first.udh, payload, "binary", binary=True, message_class=first.message_class)
    text = None
    alike = {(part.encoding, part.udh.locking, part.udh.single) for part in parts}
    if len(alike) == 1:
        text = read(payload, first.encoding, first.udh.locking, first.udh.single, ucs2_little_endian)
    elif all(part.text is not None for part in parts):
        text = "".join(part.text or "" for part in parts)
    return Decoded(
        text, first.udh, payload, first.encoding, undecodable=text is None, message_class=first.message_class
    )


class Reassembly:
    """The parts of one message in memory, for one `Key`."""

    __slots__ = ("last_at", "parts")

    def __init__(self, now: float) -> None:
        self.parts: dict[int, StoredPart] = {}
        self.last_at = now

    def belongs(self, part: StoredPart) -> bool:
        return belongs(part, self.parts.values())

    def add(
        self,
        part: StoredPart,
        now: float,
        default_alphabet: Charset = "gsm7",
        ucs2_little_endian: bool = False,
        packed: bool = False,
    ) -> Decoded | None:
        """The whole message once `part` completes it, else None. ValueError unless `belongs(part)`."""
        if not self.belongs(part):
            raise ValueError("this part is of another message")
        if part.sequence in self.parts:
            return None
        self.parts[part.sequence] = part
        self.last_at = now
        if missing(self.parts.values()):
            return None
        return join(self.parts.values(), default_alphabet, ucs2_little_endian, packed)

    def expired(self, now: float, ttl: float) -> bool:
        """Whether nothing new came for `ttl` seconds; what is there can still be read by `join`."""
        return now - self.last_at >= ttl
