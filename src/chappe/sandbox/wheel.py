"""Many timers for the price of one: callbacks wait in slots of 10 ms, and the loop wakes us for the next slot only."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any, Final

SLOT: Final = 0.01
_AT_ONCE: Final = 500  # callbacks between two looks at the sockets

_Call = tuple[Callable[..., object], tuple[Any, ...]]


class Wheel:
    """Calls later, at the earliest after the time asked for and in order within a slot."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[_Call]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self.waiting = 0

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Calls `callback(*args)` once, `delay` seconds from now."""
        slot = int((self._loop.time() + delay) / SLOT) + 1
        calls = self._slots.get(slot)
        if calls is None:
            calls = self._slots[slot] = []
            heapq.heappush(self._order, slot)
            if self._order[0] == slot:
                self._wake()
        calls.append((callback, args))
        self.waiting += 1

    def clear(self) -> None:
        """Forgets all that waits."""
        self._slots.clear()
        self._order.clear()
        self.waiting = 0
        self._wake()

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._order[0] * SLOT, self._turn) if self._order else None

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        left = _AT_ONCE
        while left > 0 and self._order and self._order[0] * SLOT <= now:
            calls = self._slots[self._order[0]]
            due, calls[:] = calls[:left], calls[left:]
            left -= len(due)
            self.waiting -= len(due)
            if not calls:
                del self._slots[heapq.heappop(self._order)]
            for callback, args in due:
                self._call(callback, args)
        self._wake()

    def _call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            callback(*args)
        except Exception as error:  # one message's trouble is not the next one's
            self._loop.call_exception_handler({"message": f"sandbox: {callback!r} failed", "exception": error})
