"""Who wants to be woken by which topic, within one process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable


class Topics:
    def __init__(self) -> None:
        self._listeners: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        self._listeners[topic].append(callback)

    def poke(self, topic: str) -> None:
        for callback in self._listeners.get(topic, ()):
            callback()

    def poke_all(self) -> None:
        for topic in list(self._listeners):
            self.poke(topic)
