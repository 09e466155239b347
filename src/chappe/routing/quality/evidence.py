"""All that is known of how connectors do, in memory: what this node has seen and what the others tell. Pure.

`count` is on the hot path: a dict look-up and an addition for a message. `fold` ages what was counted into the tallies,
once a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from chappe.routing.quality import delays
from chappe.routing.quality.beta import quantile
from chappe.routing.quality.model import EVERYWHERE, LIVE, WEEK, Estimate, Key, Level, Share, country_of, is_operator
from chappe.routing.quality.tally import NOTHING, SLOT_MS, Cell, Tally, Window, merged, scales, together

MOST_KEYS: Final = 20_000  # connectors times places: beyond, operators are counted with their country
UNKNOWN: Final = 0.8  # the delivery rate expected of a place of which nobody has any news
ENOUGH: Final = 5.0  # messages from which on a mean is worth starting from
PULL: Final = 2.0  # what such a mean weighs, in messages, beside the one success and one failure that anything has
_CONVERSION_PULL: Final = 20.0
INTERVAL: Final = 0.90

CellKey = tuple[int, str, str, int]
"""(connector_id, place, country, slot)"""


class Evidence:
    def __init__(self, half_life_ms: int) -> None:
        self.halves = scales(half_life_ms)
        self.now = 0
        self.fresh: dict[CellKey, Cell] = {}
        self.own: dict[Key, Tally] = {}
        self.others: dict[Key, dict[int, Tally]] = {}
        self.epochs: Mapping[Key, int] = {}
        self._places: defaultdict[tuple[int, str], set[str]] = defaultdict(set)  # (connector, country) -> places
        self._connectors: defaultdict[str, set[int]] = defaultdict(set)
        self._countries: defaultdict[int, set[str]] = defaultdict(set)
        self._merged: dict[Key, Tally] = {}
        self._pools: dict[tuple[str, int], Window] = {}

    # -- in ---------------------------------------------------------------------------------------------------------

    def count(
        self, connector_id: int, place: str, country: str, at: int, kind: int, number: int = 1, delay_ms: int = -1
    ) -> None:
        """Something became known of a message that was sent at that time; -1: it is taken back."""
        key = (connector_id, place, country, at // SLOT_MS)
        cell = self.fresh.get(key)
        if cell is None:
            cell = self.fresh[key] = Cell()
        cell.counts[kind] += number
        if delay_ms >= 0:
            index = delays.bucket(delay_ms)
            cell.delays[index] = cell.delays.get(index, 0) + 1

    def fold(self, now: int) -> set[Key]:
        """Age what was counted into this node's tallies; the keys that changed."""
        self.now = max(self.now, now)
        self._pools.clear()
        fresh, self.fresh = self.fresh, {}
        touched: set[Key] = set()
        for (connector_id, place, country, slot), cell in fresh.items():
            if (connector_id, place) not in self.own and len(self.own) >= MOST_KEYS:
                place = country
            key = (connector_id, place)
            tally = self.own.get(key)
            if tally is None:
                tally = self.own[key] = Tally(country, now, self.epoch(connector_id, place, country))
                self._know(key, country)
            tally.advance(now, self.halves)
            tally.add(slot, cell, self.halves)
            touched.add(key)
        self._changed(touched)
        return touched

    def learn(self, key: Key, node: int, tally: Tally) -> None:
        """What another node tells, in place of what it told before."""
        self.others.setdefault(key, {})[node] = tally
        self._know(key, tally.country)
        self._changed((key,))

    def keep(self, nodes: Iterable[int]) -> None:
        """Forget what nodes told that are none any more: it was added to the common rows."""
        known = frozenset(nodes)
        for key, told in self.others.items():
            gone = told.keys() - known
            for node in gone:
                del told[node]
            if gone:
                self._changed((key,))

    def follow(self, epochs: Mapping[Key, int]) -> set[Key]:
        """Measure anew what was demoted or came back; the keys of this node that this concerns."""
        self.epochs = epochs
        restarted = set()
        for key, tally in self.own.items():
            epoch = self.epoch(*key, tally.country)
            if epoch > tally.epoch:
                tally.restart(epoch)
                restarted.add(key)
        self._merged.clear()
        self._pools.clear()
        return restarted

    def epoch(self, connector_id: int, place: str, country: str) -> int:
        known = self.epochs
        if not known:
            return 0
        return max(known.get((connector_id, level), 0) for level in (place, country, EVERYWHERE))

    # -- out --------------------------------------------------------------------------------------------------------

    def measured(self) -> list[Key]:
        """Everything that was ever measured, by the places that messages went to."""
        return list(self.own.keys() | self.others.keys())

    def connectors_at(self, place: str) -> set[int]:
        return self._connectors.get(place, set())

    def places_in(self, connector_id: int, country: str) -> set[str]:
        """The places of a country that a connector was used for: operators, and the country where they were unknown."""
        return self._places.get((connector_id, country), set())

    def countries_of(self, connector_id: int) -> set[str]:
        return self._countries.get(connector_id, set())

    def leaf(self, key: Key) -> Tally | None:
        """What all nodes know of a connector at exactly this place."""
        found = self._merged.get(key)
        if found is None:
            mine = self.own.get(key)
            told = self.others.get(key)
            tallies = [*([mine] if mine is not None else ()), *(told.values() if told else ())]
            if not tallies:
                return None
            found = merged(tallies, self.now, self.halves, self.epoch(*key, tallies[0].country))
            assert found is not None
            self._merged[key] = found
        found.advance(self.now, self.halves)
        return found

    def tally(self, connector_id: int, place: str) -> Tally | None:
        """The same, but of a country all its operators together."""
        if not is_operator(place):
            leaves = (self.leaf((connector_id, one)) for one in self.places_in(connector_id, place))
            return together([leaf for leaf in leaves if leaf is not None], self.now, self.halves)
        return self.leaf((connector_id, place))

    def pooled(self, place: str, scale: int, without: int = 0) -> Window:
        """What all connectors did at a place, but one."""
        total = self._pools.get((place, scale))
        if total is None:
            total = NOTHING
            for connector_id in self.connectors_at(place):
                if (leaf := self.leaf((connector_id, place))) is not None:
                    total = total.plus(leaf.window(scale, self.halves))
            self._pools[place, scale] = total
        own = self.leaf((without, place)) if without else None
        return total if own is None else total.less(own.window(scale, self.halves))

    def start(self, connector_id: int, place: str, tally: Tally | None) -> float:
        """The delivery rate to expect before looking at the live window: the connector's own of the last week, else
        what it does in the country, else what others do at the place."""
        if tally is not None and (week := tally.window(WEEK, self.halves)).trials >= ENOUGH:
            return week.rate
        country = country_of(place)
        if country and country != place:
            own = self.tally(connector_id, country)
            if own is not None and (week := own.window(WEEK, self.halves)).trials >= ENOUGH:
                return week.rate
        there = self.pooled(place, WEEK)
        return there.rate if there.trials >= ENOUGH else UNKNOWN

    def posterior(self, connector_id: int, place: str, tally: Tally | None) -> tuple[float, float]:
        """The Beta distribution (a, b) of the delivery rate."""
        start = self.start(connector_id, place, tally)
        live = NOTHING if tally is None else tally.window(LIVE, self.halves)
        return 1.0 + PULL * start + live.delivered, 1.0 + PULL * (1.0 - start) + max(0.0, live.trials - live.delivered)

    def estimate(self, connector_id: int, place: str) -> Estimate:
        """How a connector does at a place, by all that is known now."""
        level: Level = "operator" if is_operator(place) else "country"
        country = place if level == "country" else country_of(place)
        tally = self.tally(connector_id, place)
        if (tally is None or tally.silent()) and level == "operator" and country:
            wider = self.tally(connector_id, country)
            if wider is not None and not wider.silent():
                tally, level = wider, "country"
        live = NOTHING if tally is None else tally.window(LIVE, self.halves)
        if tally is None or tally.silent():
            level = "none"
        a, b = self.posterior(connector_id, place, tally)
        found = {} if tally is None else tally.delays
        return Estimate(
            connector_id=connector_id,
            place=place,
            country=country or (tally.country if tally is not None else ""),
            level=level,
            delivery=share(a, b, live.trials),
            conversion=None
            if live.told < 0.5
            else share(1.0 + live.converted, 1.0 + live.told - live.converted, live.told),
            p50_ms=delays.quantile(found, 0.50),
            p95_ms=delays.quantile(found, 0.95),
            delivered=live.delivered,
            failed=live.failed,
            refused=live.refused,
        )

    def conversion_index(self, tally: Tally, place: str) -> float:
        """How well messages by a connector convert beside those by all there: 1 is alike, or nothing known."""
        there = self.pooled(place, LIVE)
        if there.told < ENOUGH:
            return 1.0
        usual = (there.converted + 1.0) / (there.told + 2.0)
        live = tally.window(LIVE, self.halves)
        mine = (live.converted + _CONVERSION_PULL * usual) / (live.told + _CONVERSION_PULL)
        return min(1.25, max(0.1, mine / usual))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _know(self, key: Key, country: str) -> None:
        connector_id, place = key
        self._places[connector_id, country].add(place)
        self._connectors[place].add(connector_id)
        self._countries[connector_id].add(country)

    def _changed(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._merged.pop(key, None)
            for scale in range(len(self.halves)):
                self._pools.pop((key[1], scale), None)


def share(a: float, b: float, sample: float) -> Share:
    tail = (1.0 - INTERVAL) / 2.0
    return Share(a / (a + b), quantile(tail, a, b), quantile(1.0 - tail, a, b), sample)
