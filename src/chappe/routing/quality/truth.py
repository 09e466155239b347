"""Whether a connector's receipts tell the truth: what speaks against it, how much, and a score. Pure.

Every piece of evidence has a factor: how many times likelier it is seen on a route that makes its receipts up than on
an honest one. They are multiplied (Bayes' rule, as if they were independent) onto odds of 1 in 50, and the score is the
chance, in per cent, that the receipts are true. The factors are judgements of ours, not measurements; the figures
beside them are what a supplier can be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, Final, Literal, NamedTuple

from chappe.routing.quality import delays
from chappe.routing.quality.beta import chance_of_gap
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import LIVE, WEEK, Key, percent
from chappe.routing.quality.tally import Tally

Suspicion = Literal["canary", "too_fast", "too_even", "never_fails", "conversion"]
Sure = Literal["proof", "strong", "moderate", "weak"]

ODDS: Final = 1.0 / 49.0
_CANARY: Final = 1_000.0
_CONVERSION: Final = 100.0
_EVEN, _EVEN_ALONE = 20.0, 8.0
_PERFECT: Final = 3.0

RECEIPTS: Final = 30.0  # from how many on their times are looked at
SPREAD_RECEIPTS: Final = 100.0
TOLD: Final = 40.0  # conversions, of both, before they are compared
PERFECT_RECEIPTS: Final = 400.0
CHANCE: Final = 1e-4
FAST: Final = 0.2  # the share of receipts below the floor that needs an explanation
EVEN: Final = 0.35  # spread of the delays' logarithm; phones that are off, out of cover or in another cell make it 1
EVEN_BESIDE: Final = 0.4  # as part of the spread that others have there
EVEN_ALONE: Final = 0.12
PERFECT: Final = 0.995  # 1 to 5 % of phones are off or gone for days
CLUMPING: Final = 1.5


class Canaries(NamedTuple):
    """Deliveries to numbers that are known to be nobody's."""

    receipts: int
    latest: int


class Item(NamedTuple):
    """A piece of evidence. `sample` is how many messages it rests on."""

    kind: Suspicion
    place: str
    words: str
    figures: Mapping[str, Any]
    sample: int
    sure: Sure
    factor: float


class Truth(NamedTuple):
    """0 to 100: the chance, in per cent, that a connector's receipts are true. `receipts` are those looked at, aged."""

    connector_id: int
    score: int
    items: tuple[Item, ...]
    receipts: float


def assess(evidence: Evidence, connector_id: int, canaries: Mapping[Key, Canaries], floor_ms: int) -> Truth:
    """What speaks against a connector anywhere. Of each kind of evidence the strongest place counts, so that many
    places do not make a case by their number."""
    items: list[Item] = []
    receipts = 0.0
    for country in sorted(evidence.countries_of(connector_id)):
        for place in sorted(evidence.places_in(connector_id, country)):
            leaf = evidence.leaf((connector_id, place))
            if leaf is not None:
                receipts += sum(leaf.delays.values())
                items += _against(evidence, (connector_id, place), leaf, floor_ms)
    items += [_canary(place, hits) for (whose, place), hits in sorted(canaries.items()) if whose == connector_id]
    items.sort(key=lambda item: -item.factor)
    return Truth(connector_id, score(items), tuple(items), receipts)


def trust(evidence: Evidence, key: Key, canaries: Mapping[Key, Canaries], floor_ms: int) -> float:
    """The same for one place, as a chance: what weighs the receipts of a connector when routes are chosen."""
    leaf = evidence.leaf(key)
    items = [] if leaf is None else _against(evidence, key, leaf, floor_ms)
    if (hits := canaries.get(key)) is not None:
        items.append(_canary(key[1], hits))
    return score(items) / 100.0


def score(items: Iterable[Item]) -> int:
    strongest: dict[str, float] = {}
    for item in items:
        strongest[item.kind] = max(item.factor, strongest.get(item.kind, 1.0))
    odds = ODDS * prod(strongest.values())
    return round(100.0 / (1.0 + odds))


def _against(evidence: Evidence, key: Key, leaf: Tally, floor_ms: int) -> list[Item]:
    others = [
        other
        for connector_id in evidence.connectors_at(key[1]) - {key[0]}
        if (other := evidence.leaf((connector_id, key[1]))) is not None
    ]
    beside: delays.Histogram = {}
    for other in others:
        for index, weight in other.delays.items():
            beside[index] = beside.get(index, 0.0) + weight
    found = (
        _too_fast(key[1], leaf.delays, beside, floor_ms),
        _too_even(key[1], leaf.delays, beside),
        _never_fails(evidence, key, leaf),
        _conversion(evidence, key, leaf),
    )
    return [item for item in found if item is not None]


def _canary(place: str, hits: Canaries) -> Item:
    words = (
        f"{hits.receipts} messages to canary numbers, which nobody has, were reported as delivered"
        if hits.receipts > 1
        else "a message to a canary number, which nobody has, was reported as delivered"
    )
    figures = {"receipts": hits.receipts, "latest": hits.latest}
    return Item("canary", place, words, figures, hits.receipts, "proof", _CANARY ** min(hits.receipts, 3))


def _too_fast(place: str, mine: delays.Histogram, beside: delays.Histogram, floor_ms: int) -> Item | None:
    n, other_n = sum(mine.values()), sum(beside.values())
    if n < RECEIPTS:
        return None
    share, other_share = delays.within(mine, floor_ms), delays.within(beside, floor_ms)
    if share < FAST or (other_n >= RECEIPTS and other_share > share / 3.0):
        return None
    words = f"{percent(share)} of some {n:.0f} receipts came within {floor_ms} ms, sooner than a phone can be paged"
    if other_n >= RECEIPTS:
        words += f"; {percent(other_share)} by the other connectors there"
    figures = {
        "share": round(share, 4),
        "floor_ms": floor_ms,
        "p50_ms": round(delays.quantile(mine, 0.5) or 0.0),
        "other_share": round(other_share, 4) if other_n >= RECEIPTS else None,
        "other_receipts": round(other_n),
    }
    sure: Sure = "strong" if share >= 0.5 else "moderate"
    return Item("too_fast", place, words, figures, round(n), sure, 1.0 + 60.0 * share)


def _too_even(place: str, mine: delays.Histogram, beside: delays.Histogram) -> Item | None:
    n, other_n = sum(mine.values()), sum(beside.values())
    own = delays.spread(mine)
    if n < SPREAD_RECEIPTS or own is None:
        return None
    other = delays.spread(beside) if other_n >= SPREAD_RECEIPTS else None
    if other is not None and own < EVEN and own < EVEN_BESIDE * other:
        sure: Sure = "strong"
        factor = _EVEN
    elif other is None and own < EVEN_ALONE:
        sure, factor = "moderate", _EVEN_ALONE
    else:
        return None
    middle = delays.quantile(mine, 0.5) or 0.0
    words = f"some {n:.0f} receipts took nearly the same time, {middle / 1000:.1f} s, with a spread of {own:.2f}"
    if other is not None:
        words += f"; {other:.2f} by the other connectors there"
    figures = {
        "spread": round(own, 3),
        "other_spread": None if other is None else round(other, 3),
        "p50_ms": round(middle),
        "p95_ms": round(delays.quantile(mine, 0.95) or 0.0),
        "other_receipts": round(other_n),
    }
    return Item("too_even", place, words, figures, round(n), sure, factor)


def _never_fails(evidence: Evidence, key: Key, leaf: Tally) -> Item | None:
    mine, others = leaf.window(WEEK, evidence.halves), evidence.pooled(key[1], WEEK, key[0])
    if mine.trials < PERFECT_RECEIPTS or others.trials < PERFECT_RECEIPTS / 2 or mine.rate < PERFECT:
        return None
    chance = chance_of_gap(
        others.delivered / CLUMPING, others.trials / CLUMPING, mine.delivered / CLUMPING, mine.trials / CLUMPING
    )
    if chance > CHANCE:
        return None
    words = (
        f"{percent(mine.rate)} of some {mine.trials:.0f} messages were reported as delivered, "
        f"{percent(others.rate)} of some {others.trials:.0f} by the other connectors there: no phone was ever off"
    )
    figures = {
        "rate": round(mine.rate, 4),
        "other_rate": round(others.rate, 4),
        "other_messages": round(others.trials),
        "chance": float(f"{chance:.1e}"),
    }
    return Item("never_fails", key[1], words, figures, round(mine.trials), "weak", _PERFECT)


def _conversion(evidence: Evidence, key: Key, leaf: Tally) -> Item | None:
    """Fewer recipients do what the message asked for, although as many are reported to have got it."""
    worst: Item | None = None
    for scale in (LIVE, WEEK):
        mine, others = leaf.window(scale, evidence.halves), evidence.pooled(key[1], scale, key[0])
        if mine.told < TOLD or others.told < TOLD or mine.rate < others.rate - 0.05:
            continue
        rate, other_rate = mine.converted / mine.told, others.converted / others.told
        chance = chance_of_gap(
            mine.converted / CLUMPING, mine.told / CLUMPING, others.converted / CLUMPING, others.told / CLUMPING
        )
        if chance > CHANCE or rate > 0.75 * other_rate:
            continue
        words = (
            f"{percent(rate)} of some {mine.told:.0f} messages converted, {percent(other_rate)} of some "
            f"{others.told:.0f} by the other connectors there, while {percent(mine.rate)} were reported as delivered"
        )
        figures = {
            "conversion": round(rate, 4),
            "other_conversion": round(other_rate, 4),
            "other_messages": round(others.told),
            "delivery": round(mine.rate, 4),
            "other_delivery": round(others.rate, 4),
            "chance": float(f"{chance:.1e}"),
        }
        factor = _CONVERSION if rate < other_rate / 2.0 else _CONVERSION / 4.0
        sure: Sure = "strong" if factor == _CONVERSION else "moderate"
        item = Item("conversion", key[1], words, figures, round(mine.told), sure, factor)
        if worst is None or item.factor > worst.factor:
            worst = item
    return worst
