"""One target's place in a sender: what it has in hand for it, and how much of it at once.

A target that fails gets less at once, down to one request, and after some failures in a row a pause that doubles up to
half a minute. So a dead endpoint costs its own account a probe now and then, and everybody else nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chappe.webhooks.model import Pending

if TYPE_CHECKING:
    from chappe.outgoing import Target
    from chappe.webhooks.book import Keys

WIDTH = 32  # requests at once
MOST_IN_HAND = 2_000
PATIENCE = 3  # failures in a row before the first pause
LONGEST_PAUSE_S = 30.0
LONGEST_ASKED_PAUSE_S = 3_600.0  # by Retry-After


@dataclass(slots=True, eq=False)
class Lane:
    target: int
    queue: deque[Pending] = field(default_factory=deque)
    running: int = 0  # requests on their way
    width: int = WIDTH
    pace_s: float = 0.05  # what an answer takes, on average over the last dozen
    streak: int = 0  # failures in a row, those of one moment counted once
    parked_until: float = 0.0  # monotonic, in seconds
    due: bool = False  # whether the store has more for it
    place: tuple[Target, Keys] | None = None  # an endpoint's, as long as the book does not change

    def parked(self, now: float) -> bool:
        return now < self.parked_until

    def idle(self) -> bool:
        return not (self.queue or self.running or self.due or self.streak)

    def room(self) -> int:
        """How many more may be taken in hand: work for about a second, or a probe for one that fails."""
        most = self.width if self.streak else min(MOST_IN_HAND, self.width + round(self.width / self.pace_s))
        return most - len(self.queue)

    def succeeded(self, took_s: float) -> None:
        self.pace_s += (max(took_s, 0.001) - self.pace_s) / 12
        self.streak = 0
        self.width = min(WIDTH, 2 * self.width)

    def failed(self, now: float, retry_after_s: float | None = None) -> None:
        if not self.parked(now):
            self.streak += 1
            self.width = max(1, self.width // 2)
            if self.streak >= PATIENCE:
                self.parked_until = now + min(LONGEST_PAUSE_S, 2.0 ** (self.streak - PATIENCE))
        if retry_after_s:
            self.wait(now + min(retry_after_s, LONGEST_ASKED_PAUSE_S))

    def wait(self, until: float) -> None:
        self.parked_until = max(self.parked_until, until)

    def forgive(self) -> None:
        """The address or the state of the endpoint changed: what was learnt of it does not hold."""
        self.width, self.streak, self.parked_until, self.place = WIDTH, 0, 0.0, None
