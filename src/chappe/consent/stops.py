"""Who refused lately: so that a message found allowed a moment ago is looked at again before it leaves.

A mark is taken before the tables are asked; whose refusal was committed since the mark is to be asked again. The
tables decide; this only says when their answer may have become old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

MOST = 50_000  # keys; beyond, everybody counts as one who may have refused

Listener = Callable[[Sequence[int]], None]


class Stops:
    """Person keys in the order of their refusals."""

    def __init__(self) -> None:
        self._now = 0
        self._floor = 0  # marks below it are too old to tell
        self._at: dict[int, int] = {}
        self._listeners: list[Listener] = []

    def on_stop(self, listener: Listener) -> None:
        """Called with the keys as soon as their refusal is committed, and before it is acknowledged."""
        self._listeners.append(listener)

    def mark(self) -> int:
        return self._now

    def add(self, keys: Sequence[int]) -> None:
        if not keys:
            return
        self._now += 1
        if len(self._at) + len(keys) > MOST:
            self._everybody()
        else:
            self._at.update(dict.fromkeys(keys, self._now))
        for listener in self._listeners:
            listener(keys)

    def overflow(self) -> None:
        """So many have refused that nobody knows who: all are asked again."""
        self._now += 1
        self._everybody()

    def _everybody(self) -> None:
        self._at.clear()
        self._floor = self._now

    def since(self, mark: int, keys: Iterable[int]) -> bool:
        """Whether one of these may have refused since the mark."""
        if mark == self._now:
            return False
        return mark < self._floor or any(self._at.get(key, 0) > mark for key in keys)
