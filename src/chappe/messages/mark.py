"""How far a lane of the queue is claimed, so that a claim need not begin at its start.

As long as any transaction may still see them (an open report, a back-up of an hour), PostgreSQL keeps the index entries
of rows that have left the queue, and a claim from the start walks over all of them. So claims begin where those before
them ended. What is put back or commits late lies behind that: looks from the start find it. They come the more seldom
the longer they take, and as long as they cost nothing, they are the rule.
"""

from __future__ import annotations

from typing import Final

Position = tuple[int, int]
"""(due_at, message_id), the order in which a lane is claimed."""

START: Final[Position] = (-1, 0)
SETTLED_S: Final = 1.0  # so much later than rows behind it a row may be committed, or by so much clocks differ
SELDOM: Final = 20  # looks from the start take a twentieth of the time
LONGEST_S: Final = 5.0  # that what lies behind waits for one


class Mark:
    """Times are of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._reached = self._earlier = self._settled = START
        self._turned_at = 0.0
        self._again_at = 0.0

    def since(self, now: float) -> Position:
        """Behind which row to look; START when it is time for that."""
        return START if now >= self._again_at else self._settled

    def looked(self, now: float, since: Position, took_s: float, first_due: int | None) -> None:
        """`first_due` is the due time of the first row behind `since`, if there is one."""
        if since != START:
            return
        self._again_at = now + min(LONGEST_S, SELDOM * took_s)
        if first_due is not None:
            self._lower((first_due, START[1]))

    def claimed(self, now: float, since: Position, took_s: float, last: Position | None, *, full: bool) -> None:
        """`last` is the last row of a claim behind `since`; `full`: there may be more behind it."""
        if since == START:
            self._again_at = now + min(LONGEST_S, SELDOM * took_s)
            if full and last is not None:
                self._lower(last)
        if last is not None:
            self._reached = max(self._reached, last)
        if now - self._turned_at >= SETTLED_S:
            self._turned_at = now
            self._settled, self._earlier = self._earlier, self._reached

    def _lower(self, position: Position) -> None:
        self._reached = min(self._reached, position)
        self._earlier = min(self._earlier, position)
        self._settled = min(self._settled, position)
