"""Thompson sampling: each connector is tried as often as it is likely to be the best. Pure.

For every message each connector's delivery rate is drawn from what is known of it, and the highest draw wins (Thompson,
Biometrika 25, 1933; Russo, Van Roy, Kazerouni, Osband and Wen, A Tutorial on Thompson Sampling, 2018). Since knowledge
ages, an old winner is doubted again (discounted as in Raj and Kalyani, 2017).

Drawing is a look-up: for each connector and place there is a table of quantiles, and a hash of the message's id says
which one it gets. So the same message gets the same draw.
"""

from __future__ import annotations

from typing import Final

from chappe.routing.quality import delays
from chappe.routing.quality.beta import normal, rough
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import Key
from chappe.routing.quality.tally import PRIOR_DELAYS

DRAWS: Final = 64
TIMELY_MS: Final = 30_000
_SLOWEST: Final = 0.9  # what a connector is worth whose every receipt comes later than that, beside one that is timely
_LEAST_TRUST: Final = 0.05
_SCORES: Final = tuple(normal((i + 0.5) / DRAWS) for i in range(DRAWS))
_MASK: Final = (1 << 64) - 1
_ODD, _ODD_TOO = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95  # odd 64-bit numbers, for multiplicative hashing

EXPLORE: Final = 2.0  # the scores of messages that explore begin here
DEMOTED: Final = -2.0  # those of demoted connectors end below 0


class Chooser:
    """`share` of the messages explore: they take a connector by lot, demoted ones too. Without it a route that looked
    bad once would never be measured again; with it a bad one gets its part of that share and nothing else."""

    def __init__(self, evidence: Evidence, share: float) -> None:
        self._evidence = evidence
        self._explores_below = round(share * (1 << 32))
        self._tables: dict[Key, tuple[float, ...]] = {}
        self.trust: dict[Key, float] = {}

    def score(self, connector_id: int, place: str, seed: int, demoted: bool) -> float:
        """Higher is better. From EXPLORE on: the message explores; below 0: the connector is demoted."""
        mixed = seed * _ODD & _MASK
        mixed = (mixed ^ mixed >> 29) * _ODD_TOO & _MASK
        own = (mixed ^ connector_id * _ODD) * _ODD_TOO & _MASK
        own = (own ^ own >> 31) * _ODD >> 32 & 0xFFFFFFFF
        if mixed >> 32 < self._explores_below:
            return EXPLORE + own / 4294967296.0
        table = self._tables.get((connector_id, place))
        if table is None:
            table = self.draw(connector_id, place)
        drawn = table[own >> 26]
        return drawn + DEMOTED if demoted else drawn

    def draw(self, connector_id: int, place: str) -> tuple[float, ...]:
        """Make the table anew by what is known now."""
        evidence = self._evidence
        tally = evidence.tally(connector_id, place)
        a, b = evidence.posterior(connector_id, place, tally)
        factor = max(_LEAST_TRUST, self.trust.get((connector_id, place), 1.0))
        found = PRIOR_DELAYS if tally is None or not tally.delays else tally.delays
        factor *= _SLOWEST + (1.0 - _SLOWEST) * delays.within(found, TIMELY_MS)
        if tally is not None:
            factor *= evidence.conversion_index(tally, place)
        made = tuple(min(1.999, factor * rough(z, a, b)) for z in _SCORES)
        self._tables[connector_id, place] = made
        return made

    def known(self) -> list[Key]:
        """What was asked for."""
        return list(self._tables)

    def knows(self, key: Key) -> bool:
        return key in self._tables

    def forget(self) -> None:
        self._tables.clear()
