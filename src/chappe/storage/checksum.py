"""A checksum of rows that does not depend on their order nor on the database that they were read from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

_encode = msgspec.msgpack.Encoder().encode
_SIZE = 16


class Checksum:
    """The sum of the rows' hashes (BLAKE2b of their MessagePack form, 128 bits) modulo 2^128, and their number.

    Integers, floats, texts, octets and NULL are the same from SQLite and from PostgreSQL. A sum, not an exclusive or:
    a row that is there twice must not vanish from it.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.value = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Count rows in. Meant for thousands at a time."""
        encode, hashed, number = _encode, blake2b, int.from_bytes
        hashes = [number(hashed(encode(tuple(row)), digest_size=_SIZE).digest(), "big") for row in rows]
        self.rows += len(hashes)
        self.value = (self.value + sum(hashes)) % (1 << 8 * _SIZE)

    def __str__(self) -> str:
        return f"{self.value:032x}"
