"""What is known of words that come again and again: a look-up costs as much as a dict access. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

V = TypeVar("V")

_MOST: Final = 65_536  # words: a language has some ten thousand that are in use
_LONGEST: Final = 40  # characters: longer words hardly come twice


class Memo(dict[str, V], Generic[V]):
    """`memo[word]` is what `find` says of the word; bounded."""

    def __init__(self, find: Callable[[str], V]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, word: str) -> V:
        found = self._find(word)
        if len(word) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[word] = found
        return found


__all__ = ["Memo"]
