"""Who is demoted, and who comes back. Pure.

A connector is demoted at a place when so few of its messages arrive that chance is no explanation: against what it did
itself over the last week, less what all others lost at the same time (then it is the operator, or the traffic), or
against the best other one there. It is looked at through three windows, so that a busy route is left within a minute
and a quiet one after some dozens of messages. What has fallen at several places that are too quiet for a judgement of
their own is judged together: for the country, then everywhere.

It comes back by evidence: when the exploring messages arrive about as they should again, not before a time that doubles
with each demotion of the same day; and after a day it is tried again in any case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from chappe.routing.quality.beta import chance_of_so_few, normal, quantile, rough
from chappe.routing.quality.evidence import Evidence
from chappe.routing.quality.model import (
    EVERYWHERE,
    LIVE,
    MEDIUM,
    SHORT,
    WEEK,
    WINDOW_WORDS,
    Demotion,
    Key,
    Verdict,
    is_operator,
    percent,
)
from chappe.routing.quality.tally import NOTHING, Tally, Window

# looked at every two seconds for years, at many places: a rarer accident than a dead route. What a longer window shows
# changes more slowly, so that it gives fewer chances for an accident.
CHANCE: Final = {SHORT: 1e-5, MEDIUM: 6e-5, LIVE: 1e-4}
CLUMPING: Final = 1.5  # messages share their fate with their neighbours (a bad list, a full cell): so many count as one
DRIFT: Final = 0.05  # a delivery rate wanders as much without a reason
FALL: Final = {SHORT: 0.20, MEDIUM: 0.15, LIVE: 0.10}  # by so much it must be lower to matter
FEW: Final = 20.0  # messages in a week before that week says what is usual
COMPARED: Final = 20.0  # messages of both before two connectors are compared
_STILL: Final = 0.3  # messages in the last minutes: with fewer there is nothing new to judge
GAP: Final = 0.10  # between the best that one may be and the least that the other is
_LOW: Final = normal(0.05)
_SURE: Final = normal(0.995)

BACK: Final = 10.0  # messages that show that it works again
NEAR: Final = 0.10  # how near to what was usual it must come
BACK_SURE: Final = 0.20  # and that with a chance of four in five
HOLD_MS: Final = 60_000
LONGEST_HOLD_MS: Final = 3_600_000
LONGEST_MS: Final = 86_400_000


class Case(NamedTuple):
    """What one connector did at one place, read once for a judgement."""

    key: Key
    country: str
    windows: tuple[Window, ...]
    usual: tuple[float | None, ...]
    """The delivery rate, at least, that it had over the week, window by window; None when it sent too little."""
    expected: tuple[float, ...]
    """That rate less what others lost there, window by window."""


def judge(
    evidence: Evidence, demotions: Mapping[Key, Demotion], times: Mapping[Key, int], now: int
) -> Iterator[list[Verdict]]:
    """The demotions to begin and to end, connector by connector, so that others may do something in between. `times`
    tells how often each was demoted in the last day."""
    mine: defaultdict[int, list[Demotion]] = defaultdict(list)
    for demotion in demotions.values():
        mine[demotion.connector_id].append(demotion)
    keys: defaultdict[int, list[Key]] = defaultdict(list)
    for key in evidence.measured():
        keys[key[0]].append(key)
    for connector_id in sorted(mine.keys() | keys.keys()):
        back = [found for demotion in mine[connector_id] if (found := _back(evidence, demotion, now)) is not None]
        yield back or _demote(evidence, connector_id, _cases(evidence, demotions, keys[connector_id]), times, now)


def _cases(evidence: Evidence, demotions: Mapping[Key, Demotion], keys: Iterable[Key]) -> list[Case]:
    """What is not demoted already."""
    found = []
    for key in keys:
        tally = evidence.leaf(key)
        if tally is not None and not tally.silent() and not _covers(demotions, key, tally.country):
            found.append(_case(evidence, key, tally))
    return found


def _covers(demotions: Mapping[Key, Demotion], key: Key, country: str) -> bool:
    return any((key[0], level) in demotions for level in (key[1], country, EVERYWHERE))


# -- down -----------------------------------------------------------------------------------------------------------


def _demote(
    evidence: Evidence, connector_id: int, cases: list[Case], times: Mapping[Key, int], now: int
) -> list[Verdict]:
    """Place by place; then what is left of each country together; then what is left of all."""
    found: list[Verdict] = []
    left: list[Case] = []

    def down(place: str, said: _Said) -> None:
        count = times.get((connector_id, place), 0) + 1
        hold = min(LONGEST_HOLD_MS, HOLD_MS << min(count - 1, 10))
        demotion = Demotion(
            connector_id=connector_id,
            place=place,
            since=now,
            reason=said.words,
            evidence=said.figures,
            against=said.against,
            times=count,
            hold_until=now + hold,
        )
        found.append(Verdict(demotion))

    for case in cases:
        stirs = case.windows[MEDIUM].trials > _STILL
        said = (_fallen([case]) or _behind(evidence, case)) if stirs else None
        if said is None:
            left.append(case)
        else:
            down(case.key[1], said)
    countries: defaultdict[str, list[Case]] = defaultdict(list)
    for case in left:
        countries[case.country].append(case)
    rest: list[Case] = []
    for country, together in countries.items():
        said = _fallen(together) if len(together) > 1 else None
        if said is None:
            rest += together
        else:
            down(country, said)
    if len({case.country for case in rest}) > 1 and (said := _fallen(rest)) is not None:
        down(EVERYWHERE, said)
    return found


class _Said(NamedTuple):
    words: str
    figures: dict[str, Any]
    against: float


def _case(evidence: Evidence, key: Key, tally: Tally) -> Case:
    *windows, week = (tally.window(scale, evidence.halves) for scale in (SHORT, MEDIUM, LIVE, WEEK))
    usual = tuple(_usual(week, window) for window in windows)
    low = any(
        known is not None and window.trials >= 1.0 and window.rate < known - DRIFT
        for known, window in zip(usual, windows, strict=True)
    )
    weather = _weather(evidence, key) if low else (1.0, 1.0, 1.0)
    expected = tuple(max(0.0, (known or 0.0) * share - DRIFT) for known, share in zip(usual, weather, strict=True))
    return Case(key, tally.country, tuple(windows), usual, expected)


def _usual(week: Window, window: Window) -> float | None:
    """The higher of two bounds: by the whole week, and by the week without the window. What has just failed would soon
    be usual in the first; a young route has no second."""
    before = week.trials - window.trials, week.delivered - window.delivered
    bounds = [
        rough(_LOW, 1.0 + max(0.0, delivered), 1.0 + max(0.0, trials - delivered))
        for trials, delivered in ((week.trials, week.delivered), before)
        if trials >= FEW
    ]
    return max(bounds, default=None)


def _weather(evidence: Evidence, key: Key) -> tuple[float, float, float]:
    """What part of their usual deliveries the other connectors have at this place, now: 1 where they are too few."""
    connector_id, place = key
    week = evidence.pooled(place, WEEK, connector_id)
    if week.trials < FEW or week.rate <= 0.0:
        return 1.0, 1.0, 1.0
    shares = []
    for scale in (SHORT, MEDIUM, LIVE):
        now = evidence.pooled(place, scale, connector_id)
        shares.append(min(1.0, now.rate / week.rate) if now.trials >= FEW else 1.0)
    return shares[0], shares[1], shares[2]


def _fallen(cases: list[Case]) -> _Said | None:
    """Whether fewer arrive than should, all these places taken together: each is expected to do as it usually does."""
    for scale in (SHORT, MEDIUM, LIVE):
        seen, should, usual = NOTHING, 0.0, 0.0
        for case in cases:
            known, window = case.usual[scale], case.windows[scale]
            if known is not None:
                seen = seen.plus(window)
                should += window.trials * case.expected[scale]
                usual += window.trials * known
        if seen.trials <= 0.0:
            continue
        expected = should / seen.trials
        if seen.rate > expected + DRIFT - FALL[scale]:
            continue
        chance = chance_of_so_few(seen.trials / CLUMPING, seen.delivered / CLUMPING, expected)
        if chance < CHANCE[scale]:
            return _told(seen, scale, usual / seen.trials, chance)
    return None


def _told(seen: Window, scale: int, usual: float, chance: float) -> _Said:
    lost = max(0.0, seen.trials - seen.delivered)
    refused = seen.failed + seen.refused
    why = ""
    if lost > 0.0:
        share = min(1.0, refused / lost)
        why = (
            f"; {percent(share)} of the others were refused or reported as failed"
            if share >= 0.5
            else f"; {percent(1.0 - share)} of the others have no receipt although it is time"
        )
    words = (
        f"{percent(seen.rate)} of some {seen.trials:.0f} messages of the last {WINDOW_WORDS[scale]} were delivered; "
        f"at least {percent(usual)} are usual of it{why}"
    )
    figures = {
        "window": WINDOW_WORDS[scale],
        "messages": round(seen.trials, 1),
        "delivered": round(seen.delivered, 1),
        "failed": round(seen.failed, 1),
        "refused": round(seen.refused, 1),
        "usual": round(usual, 4),
        "chance": float(f"{chance:.1e}"),
    }
    return _Said(words, figures, usual - NEAR)


def _behind(evidence: Evidence, case: Case) -> _Said | None:
    """Whether another connector is surely better at the same place."""
    connector_id, place = case.key
    mine = case.windows[LIVE]
    if mine.trials < COMPARED:
        return None
    most = _bound(mine, _SURE)
    best: tuple[float, int, Window] | None = None
    for other in evidence.connectors_at(place) - {connector_id}:
        leaf = evidence.leaf((other, place))
        if leaf is None or (its := leaf.window(LIVE, evidence.halves)).trials < COMPARED or its.rate < mine.rate + GAP:
            continue
        least = _bound(its, -_SURE)
        if best is None or least > best[0]:
            best = (least, other, its)
    if best is None or most > best[0] - GAP:
        return None
    least, other, its = best
    words = (
        f"{percent(mine.rate)} of some {mine.trials:.0f} messages of the last hours were delivered, "
        f"{percent(its.rate)} of some {its.trials:.0f} by the best other connector"
    )
    figures = {
        "window": WINDOW_WORDS[LIVE],
        "messages": round(mine.trials, 1),
        "delivered": round(mine.delivered, 1),
        "failed": round(mine.failed, 1),
        "refused": round(mine.refused, 1),
        "at_most": round(most, 4),
        "other_connector_id": other,
        "other_messages": round(its.trials, 1),
        "other_delivered": round(its.delivered, 1),
        "other_at_least": round(least, 4),
    }
    return _Said(words, figures, its.rate - GAP / 2.0)  # else one that is as bad as ever would come back


def _bound(seen: Window, z: float) -> float:
    n, d = seen.trials / CLUMPING, seen.delivered / CLUMPING
    return rough(z, 1.0 + d, 1.0 + max(0.0, n - d))


# -- back -----------------------------------------------------------------------------------------------------------


def _back(evidence: Evidence, demotion: Demotion, now: int) -> Verdict | None:
    """Whether the messages that explored since show that it works; by the shortest window that holds enough of them."""
    if now < demotion.hold_until:
        return None
    seen, word = _since(evidence, demotion)
    if seen.trials >= BACK:
        sure = quantile(BACK_SURE, 1.0 + seen.delivered, 1.0 + max(0.0, seen.trials - seen.delivered))
        if sure >= demotion.against:
            words = f"{percent(seen.rate)} of some {seen.trials:.0f} messages of the last {word} were delivered"
            return Verdict(demotion, words)
    if now - demotion.since >= LONGEST_MS:
        return Verdict(demotion, "a day has passed: it is tried again")
    return None


def _since(evidence: Evidence, demotion: Demotion) -> tuple[Window, str]:
    leaves = list(_leaves(evidence, demotion))
    seen = NOTHING
    for scale in (SHORT, MEDIUM, LIVE):
        seen = NOTHING
        for leaf in leaves:
            seen = seen.plus(leaf.window(scale, evidence.halves))
        if seen.trials >= BACK:
            return seen, WINDOW_WORDS[scale]
    return seen, WINDOW_WORDS[LIVE]


def _leaves(evidence: Evidence, demotion: Demotion) -> Iterable[Tally]:
    connector_id, place = demotion.connector_id, demotion.place
    places = {place}
    if place == EVERYWHERE:
        places = {
            one for country in evidence.countries_of(connector_id) for one in evidence.places_in(connector_id, country)
        }
    elif not is_operator(place):
        places = evidence.places_in(connector_id, place)
    return [leaf for one in places if (leaf := evidence.leaf((connector_id, one))) is not None]
