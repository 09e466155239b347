"""A limit as this node keeps it: the whole, and our share of it among the nodes."""

from __future__ import annotations

from typing import Final, NamedTuple

from chappe.routing.throttles.model import PACED, SECONDS, Limit, Over, Throttle

SECOND: Final = 1_000_000_000  # the clock of the buckets counts nanoseconds
_HOUR_MS: Final = 3_600_000


class Share(NamedTuple):
    """Our place among `of` nodes, from 0."""

    place: int = 0
    of: int = 1

    def part(self, whole: int, turn: int) -> int:
        """Ours of an undividable number: the parts of all nodes come to the whole, and who has one more than another
        changes with the hour of `turn`, so that a number smaller than that of the nodes is everybody's some time."""
        part, rest = divmod(whole, self.of)
        return part + 1 if rest and (self.place + turn // _HOUR_MS) % self.of < rest else part


ALONE: Final = Share()


class Pace(NamedTuple):
    """What a bucket of a share holds (GCRA, ITU-T I.371): `step` is the time that a message takes up, `reach` how far
    ahead of the clock a full burst gets. Nanoseconds."""

    step: int
    reach: int


class Rule:
    """A throttle, or a limit that another room knows of. `number` is the throttle's id, or the kind of such limits."""

    __slots__ = ("burst", "fresh", "limit", "money", "name", "number", "over", "pace", "per", "scope", "share", "zone")

    def __init__(self, number: int, limit: Limit, scope: str, over: Over, burst: int | None = None) -> None:
        self.number = number
        self.name, self.limit, self.per, self.zone = limit
        self.scope = scope
        self.over: Over = over
        self.burst = burst
        self.money = False
        """Whether it counts what messages cost, in micro-units."""
        self.share = ALONE
        self.fresh = 0
        """Where a bucket stands that nobody has used yet: what another node may just have had is not ours at once."""
        self.pace = self._paced()

    @property
    def quota(self) -> bool:
        """Whether it counts by the calendar."""
        return self.per not in PACED

    @property
    def paced(self) -> bool:
        return not self.quota or self.burst is not None

    def change(self, throttle: Throttle) -> Pace:
        """Other figures; gives the pace before."""
        self.name, self.over = throttle.name, throttle.over
        self.limit, self.per, self.burst = throttle.most, throttle.per, throttle.burst
        return self.divide(self.share)

    def divide(self, share: Share) -> Pace:
        """Another share; gives the pace before."""
        before, self.share = self.pace, share
        self.pace = self._paced()
        return before

    def _paced(self) -> Pace:
        limit, of = max(1, self.limit), self.share.of
        step = -(-SECONDS[self.per] * SECOND * of // limit)  # rounded up: never faster
        burst = self.burst or max(1, limit // SECONDS[self.per])
        return Pace(step, max(step, burst * step // of))  # less than a message would never be one


def rule_of(throttle: Throttle) -> Rule:
    limit = Limit(throttle.name, throttle.most, throttle.per, throttle.zone)
    return Rule(throttle.id, limit, throttle.scope, throttle.over, throttle.burst)
