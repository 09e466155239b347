"""May a message go now, when may it, or never? Pure; asked for every message.

`verdict` answers from memory what was asked for the same country, purpose, zones and minute. Where it is not known in
which zone or region somebody lives, a minute is legal if it is in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from msgspec import Struct

from chappe import numbers
from chappe.law import caps
from chappe.law.days import holiday, somewhere
from chappe.law.hours import (
    HORIZON_DAYS,
    Clause,
    block_of,
    date_of,
    day_number,
    local_day,
    next_legal,
    parse,
    unlike,
)
from chappe.law.own import NOTHING, Own
from chappe.law.rules import Kind, Rule, all_rules

MINUTE_MS = 60_000
MOST_VERDICTS = 65_536  # about 20 MB when full; the oldest go


class Warned(Struct, frozen=True):
    """What does not hold the message up, and the rule behind it if there is one."""

    message: str
    rule: Rule | None = None


class Now(Struct, frozen=True):
    """It may go."""

    warnings: tuple[Warned, ...] = ()


class Wait(Struct, frozen=True):
    """It may go at `until` (milliseconds); `rule` holds it up. The warnings are about that time."""

    until: int
    rule: Rule
    warnings: tuple[Warned, ...] = ()


class Barred(Struct, frozen=True):
    """There is no legal minute in the time that was looked at."""

    rule: Rule
    message: str
    warnings: tuple[Warned, ...] = ()


Verdict = Now | Wait | Barred


class Verdicts:
    """The verdicts of lately."""

    def __init__(self, most: int = MOST_VERDICTS) -> None:
        self._most = most
        self._known: dict[tuple[Any, ...], Verdict] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __call__(
        self,
        country: str,
        purpose: str,
        zones: tuple[str, ...],
        at: int,
        region: str | None = None,
        own: Own = NOTHING,
    ) -> Verdict:
        """As `verdict`."""
        key = (country, purpose, zones, at // MINUTE_MS, region, own)
        found = self._known.get(key)
        if found is None:
            found = verdict(country, purpose, zones, at, region=region, own=own)
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return found


def verdict(
    country: str,
    purpose: str,
    zones: tuple[str, ...],
    at: int,
    *,
    region: str | None = None,
    own: Own = NOTHING,
) -> Verdict:
    """Of the hours in force, for a recipient in one of these zones (IANA names; none: all of the country's).

    `at` in milliseconds; the whole minute has one answer. `region`: as ISO 3166-2 names it after the country, if known.
    Rules begin and end with a local day, also between `at` and the minute found.
    """
    zones = zones or zones_of(country)
    minute = at // MINUTE_MS
    distinct = unlike(zones, block_of(minute))
    rules = _of_kind("hours", country, purpose, region, own)
    binding = [(rule, clauses(rule, distinct, region)) for rule in rules if rule.blocks]
    held = next((rule for rule, some in binding if not all(one.legal(minute) for one in some)), None)
    if held is None:
        return Now(_warnings(rules, country, distinct, region, minute))
    until = next_legal(_without_doubles(binding), minute)
    if until is None:
        words = f"No minute of the next {HORIZON_DAYS} days is legal in {' and '.join(zones)} by {len(binding)} rules."
        return Barred(held, words)
    return Wait(until * MINUTE_MS, held, _warnings(rules, country, distinct, region, until))


def frequency(
    country: str,
    purpose: str,
    earlier: Sequence[int],
    at: int,
    *,
    region: str | None = None,
    own: Own = NOTHING,
) -> Now | Wait:
    """Of the caps in force, for a person who got or will get such messages at the moments `earlier` (milliseconds).

    When the cap that waits longest is free, so are the others.
    """
    found = _of_kind("cap", country, purpose, region, own)
    if not found or not earlier:
        return Now()
    day = local_date(country, at)
    rules = [rule for rule in found if rule.in_force(day)]
    free = [(caps.free_at(caps.parse(rule.value), earlier, at), rule) for rule in rules]
    over = [(until, rule) for until, rule in free if until > at]
    warnings = tuple(Warned(f"More than advised: {rule.note}", rule) for _, rule in over if not rule.blocks)
    held = max(((until, rule) for until, rule in over if rule.blocks), default=None, key=lambda one: one[0])
    return Now(warnings) if held is None else Wait(*held, warnings)


@lru_cache(maxsize=8_192)
def cap_period(country: str, purpose: str, own: Own = NOTHING) -> int:
    """How far back (milliseconds) `frequency` may have to look, of all times and regions; 0: nothing is capped."""
    return max((caps.parse(rule.value).period for rule in _of_kind("cap", country, purpose, None, own)), default=0)


def applicable(country: str, purpose: str | None, region: str | None = None, own: Own = NOTHING) -> list[Rule]:
    """The rules of all times that may be about a message, the account's own among them, without those waived."""
    rules = [*all_rules().get(country, ()), *own.rules(country)]
    found = [rule for rule in rules if rule.concerns(purpose, region)]
    return [rule for rule in found if rule.name not in own.waived] if own.waived else found


@lru_cache(maxsize=8_192)
def _of_kind(kind: Kind, country: str, purpose: str, region: str | None, own: Own) -> tuple[Rule, ...]:
    return tuple(rule for rule in applicable(country, purpose, region, own) if rule.kind == kind)


def clauses(rule: Rule, zones: tuple[str, ...], region: str | None) -> list[Clause]:
    """The hours of a rule, in each zone."""
    place = rule.region or region
    first, last = map(day_number, rule.days)
    return [
        Clause(parse(rule.value), zone, first, last, lambda day: holiday(rule.country, place, day) is not None)
        for zone in zones
    ]


def _without_doubles(binding: Iterable[tuple[Rule, Sequence[Clause]]]) -> list[Clause]:
    """States often ask the same; a rule without holidays is the same in all of them."""
    found = {}
    for rule, some in binding:
        for one in some:
            place = rule.region if one.hours.holidays is not None else ""
            found[(one.hours, one.zone, one.first, one.last, place)] = one
    return list(found.values())


def zones_of(country: str) -> tuple[str, ...]:
    """All zones of a country; UTC for one that is none."""
    found = numbers.country(country)
    return found.time_zones if found is not None and found.time_zones else ("UTC",)


def local_date(country: str, at: int) -> date:
    """The day in the first zone of a country."""
    return date_of(local_day(zones_of(country)[0], at // MINUTE_MS))


def holiday_at(country: str, region: str | None, zones: tuple[str, ...], at: int) -> str | None:
    """The public holiday that it is at a time (milliseconds) in one of the zones."""
    days = sorted({local_day(zone, at // MINUTE_MS) for zone in zones})
    return next((name for day in days if (name := holiday(country, region, day)) is not None), None)


def _warnings(
    rules: Sequence[Rule], country: str, zones: tuple[str, ...], region: str | None, minute: int
) -> tuple[Warned, ...]:
    """What speaks against sending at a minute without forbidding it."""
    against = [
        Warned(f"Outside of what is {'advised' if rule.binding == 'advice' else 'probably asked'}: {rule.note}", rule)
        for rule in rules
        if not rule.blocks and not all(one.legal(minute) for one in clauses(rule, zones, region))
    ]
    days = sorted({local_day(zone, minute) for zone in zones})
    minds = any(rule.blocks and parse(rule.value).holidays is not None for rule in rules)
    for day in days if minds and region is None else ():
        name = somewhere(country, day)
        if name is not None and holiday(country, None, day) is None:
            against.append(Warned(f"{date_of(day)} is a public holiday in a part of {country}: {name}."))
    return tuple(against)


__all__ = [
    "Barred",
    "Now",
    "Verdict",
    "Verdicts",
    "Wait",
    "Warned",
    "applicable",
    "cap_period",
    "frequency",
    "holiday_at",
    "local_date",
    "verdict",
    "zones_of",
]
