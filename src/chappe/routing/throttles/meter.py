"""A bucket that says when a message may go, not only whether: the Generic Cell Rate Algorithm (ITU-T I.371, annex A) in
its form of virtual scheduling.

One number is kept: the moment at which the bucket will be full again. A message that does not conform is given the
moment at which it will, and the bucket reckons with it as if it had come then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chappe.routing.throttles.rule import Pace, Rule


class Meter:
    """One subject of a rule. Times are nanoseconds on a clock that never goes back.

    `ahead` holds, by their moment, those that some quota keeps until later: reckoned from that moment on, so that they
    neither hold up who comes before it nor all leave at once when it has come.
    """

    __slots__ = ("ahead", "full_at", "rule", "subject")

    def __init__(self, rule: Rule, subject: str) -> None:
        self.rule = rule
        self.subject = subject
        self.full_at = rule.fresh
        self.ahead: dict[int, int] = {}

    def due(self, at: int, weight: int, now: int) -> int:
        """The first moment from `at` on at which so many may go. More than the burst at once need a full bucket."""
        step, reach = self.rule.pace
        full_at = self._full_at(at, now) if self.ahead else self.full_at
        taken = weight * step
        due = (full_at if full_at > at else at) + (taken if taken < reach else reach) - reach
        return due if due > at else at

    def take(self, at: int, weight: int, now: int) -> None:
        """Reckon with so many from `at` on; less than 0 gives them back."""
        full_at = self._full_at(at, now) if self.ahead else self.full_at
        full_at = (full_at if full_at > at else at) + weight * self.rule.pace.step
        if at <= now:
            self.full_at = full_at
        else:
            self.ahead[at] = full_at

    def move(self, before: Pace, now: int) -> None:
        """Go on at the new pace of the rule."""
        after = self.rule.pace
        self.full_at = moved(self.full_at, before, after, now)
        self.ahead = {at: moved(full_at, before, after, at) for at, full_at in self.ahead.items()}

    def idle(self, now: int) -> bool:
        """Whether it is as good as new."""
        return self._full_at(now, now) <= now and not self.ahead

    def _full_at(self, at: int, now: int) -> int:
        """As it is for those who come at `at`; what was ahead and has been reached counts for all."""
        for start in sorted(self.ahead):
            if start > max(now, self.full_at):
                break
            self.full_at = max(self.full_at, self.ahead.pop(start))
        return self.full_at if at <= now else max(self.full_at, self.ahead.get(at, 0))


def moved(full_at: int, before: Pace, after: Pace, now: int) -> int:
    """Where a bucket stands after a change of pace: it can let go what it could before and no more, for others may just
    have had the difference, and nothing before what it has promised already."""
    owed = max(0, full_at - now) / before.step + after.reach / after.step - before.reach / before.step
    promised = full_at - before.reach
    least = promised + after.reach if promised > now else 0
    return max(now + round(max(0.0, owed) * after.step), least)
