"""So many in an hour or a day of the calendar, as carriers and budgets count. A message that finds a period full is
given a place in the next that has room.

On several nodes each has its share of what is left when they divide it: no two can hand out the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chappe.routing.throttles.periods import end_of

if TYPE_CHECKING:
    from chappe.routing.throttles.rule import Rule


class Quota:
    """What this node has counted for one subject of a rule. A period is named by its end. Times are milliseconds."""

    __slots__ = ("_allowed", "_divided", "_full_until", "counts", "rule", "subject")

    def __init__(self, rule: Rule, subject: str, others: Mapping[int, int]) -> None:
        self.rule = rule
        self.subject = subject
        self.counts: dict[int, int] = {}
        self._divided: dict[int, tuple[int, int]] = {}
        self.divide(others)

    def divide(self, others: Mapping[int, int]) -> None:
        """Share out anew what is left. `others`: what they have counted so far, by period."""
        mine = self.counts
        self._divided = {end: (mine.get(end, 0), others.get(end, 0)) for end in mine.keys() | others.keys()}
        self.reckon()

    def reckon(self) -> None:
        """The rule has another limit."""
        self._allowed: dict[int, int] = {}
        self._full_until = 0  # every period from now until then is full

    def first(self, at: int, weight: int, until: int, now: int) -> int:
        """The first moment from `at` on in whose period there is room for `weight`; some moment behind `until` if there
        is none before."""
        rule, counts = self.rule, self.counts
        at = max(at, self._full_until)
        behind_full = at <= max(now, self._full_until)
        end = end_of(rule.per, rule.zone, at)
        while True:
            counted, allowed = counts.get(end, 0), self._allowed.get(end)
            if allowed is None:
                allowed = self._allowed[end] = self._reckoned(end)
            if counted + weight <= allowed:
                return at
            behind_full = behind_full and counted >= allowed
            if behind_full:
                self._full_until = end
            at, end = end, end_of(rule.per, rule.zone, end)
            if at > until:
                return at

    def count(self, at: int, weight: int) -> int:
        """Take room, or with less than 0 give it back; the end of the period."""
        end = end_of(self.rule.per, self.rule.zone, at)
        self.counts[end] = self.counts.get(end, 0) + weight
        if weight < 0:
            self._full_until = 0
        return end

    def forget(self, before: int) -> bool:
        """Let go of what is over; whether nothing is left."""
        for known in (self.counts, self._allowed, self._divided):
            for end in [end for end in known if end <= before]:
                del known[end]
        return not self.counts

    def _reckoned(self, end: int) -> int:
        """What this node may count in a period: what it had when it was divided, and its share of the rest."""
        mine, others = self._divided.get(end, (0, 0))
        left = self.rule.limit - mine - others
        return mine + self.rule.share.part(left, end) if left > 0 else mine
