"""Identifiers: 63-bit integers that sort by time, spelt `msg_` + 13 characters outside.

42 bits of milliseconds since 2020, 8 bits of node, 13 bits of sequence: 8,192 ids a millisecond and node until 2159.
"""

from __future__ import annotations

import threading
import time

EPOCH = 1_577_836_800_000  # 2020-01-01T00:00:00Z in milliseconds
NODES = 256
_NODE_SHIFT = 13
_TIME_SHIFT = 21
_SEQUENCES = 1 << _NODE_SHIFT

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_VALUES = {c: n for n, c in enumerate(_ALPHABET)}
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_LENGTH = 13


class Ids:
    """Makes ids that rise even when the system's clock is set back."""

    def __init__(self, node: int = 0) -> None:
        self._node = (node % NODES) << _NODE_SHIFT
        self._millis = 0
        self._sequence = 0
        self._lock = threading.Lock()

    @property
    def node(self) -> int:
        """The number that it makes ids under, 0 to 255."""
        return self._node >> _NODE_SHIFT

    def move(self, node: int) -> None:
        """Go on under another node number."""
        with self._lock:
            self._node = (node % NODES) << _NODE_SHIFT

    def next(self) -> int:
        with self._lock:
            now = time.time_ns() // 1_000_000 - EPOCH
            if now > self._millis:
                self._millis, self._sequence = now, 0
            elif self._sequence + 1 < _SEQUENCES:
                self._sequence += 1
            else:  # borrowed from the next millisecond
                self._millis, self._sequence = self._millis + 1, 0
            return self._millis << _TIME_SHIFT | self._node | self._sequence


def at(millis: int) -> int:
    """The smallest id of a moment: for ranges by time."""
    return max(0, millis - EPOCH) << _TIME_SHIFT


def millis(number: int) -> int:
    """When an id was made, in milliseconds since the epoch."""
    return (number >> _TIME_SHIFT) + EPOCH


def public(kind: str, number: int) -> str:
    """`public("msg", 7)` is `msg_0000000000007`."""
    pairs = _PAIRS
    return (
        f"{kind}_{_ALPHABET[number >> 60]}{pairs[number >> 50 & 1023]}{pairs[number >> 40 & 1023]}"
        f"{pairs[number >> 30 & 1023]}{pairs[number >> 20 & 1023]}{pairs[number >> 10 & 1023]}{pairs[number & 1023]}"
    )


def parse(kind: str, text: str) -> int | None:
    """The number of a public id, None if it is none of this kind."""
    prefix, _, digits = text.partition("_")
    if prefix != kind or len(digits) != _LENGTH:
        return None
    number = 0
    for character in digits:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number << 5 | value
    return number if number < 1 << 63 else None
