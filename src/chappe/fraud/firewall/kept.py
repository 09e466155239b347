"""What was found lately, by text: bounded in memory. Pure.

Two generations: what is asked for again moves to the young one; when that is full it becomes the old one, and the old
one goes. So what is in use stays, and nothing is moved about at each look-up.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST: Final = 16_000_000  # octets of both generations, about
_EACH: Final = 600  # octets of an entry beside its text: key, findings, places in a dict


class Kept(Generic[K, V]):
    """`size` of an entry is the length of its text: up to four octets a character."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._weight = 0

    def get(self, key: K) -> V | None:
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self.put(key, found, 0)
        return found

    def put(self, key: K, value: V, size: int) -> None:
        self._weight += _EACH + 4 * size
        if self._weight > self._most:
            self._old, self._young = self._young, {}
            self._weight = _EACH + 4 * size
        self._young[key] = value

    def clear(self) -> None:
        self._young, self._old, self._weight = {}, {}, 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old.keys() - self._young.keys())


__all__ = ["Kept"]
