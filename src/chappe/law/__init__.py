"""Law: what the countries ask of messages, as dated data; whether one may go now, and when.

`verdict` and `frequency` are pure and answer of `rules.csv`; `book(rt).own(account_id)` is what an account and the
operator set beside it. Nobody's sending is held up by this room: the pipeline asks it.
"""

from __future__ import annotations

from datetime import date

from chappe.law.caps import LONGEST, Cap, free_at
from chappe.law.days import holiday
from chappe.law.hours import HORIZON_DAYS, Clause, Hours, next_legal, parse
from chappe.law.own import NOTHING, Adjustment, AdjustmentKind, Book, Own
from chappe.law.room import book, start
from chappe.law.rules import (
    BANS,
    CONSENTS,
    WORDINGS,
    Binding,
    Confidence,
    Contradiction,
    Kind,
    Place,
    Purpose,
    Rule,
    all_rules,
    load,
)
from chappe.law.store import ADJUSTMENTS, ROOM
from chappe.law.verbs import create_adjustment, delete_adjustment, found_adjustment
from chappe.law.verdict import (
    Barred,
    Now,
    Verdict,
    Verdicts,
    Wait,
    Warned,
    applicable,
    cap_period,
    frequency,
    holiday_at,
    local_date,
    verdict,
    zones_of,
)
from chappe.law.zones import zones


def rules(
    country: str, at: int, *, purpose: str | None = None, region: str | None = None, own: Own = NOTHING
) -> list[Rule]:
    """What applies in a country (ISO 3166) at a time (milliseconds), on the day that it is there; without what is
    waived. No purpose means all, no region those of all regions."""
    day: date = local_date(country, at)
    return [rule for rule in applicable(country, purpose, region, own) if rule.in_force(day)]


__all__ = [
    "ADJUSTMENTS",
    "BANS",
    "CONSENTS",
    "HORIZON_DAYS",
    "LONGEST",
    "NOTHING",
    "ROOM",
    "WORDINGS",
    "Adjustment",
    "AdjustmentKind",
    "Barred",
    "Binding",
    "Book",
    "Cap",
    "Clause",
    "Confidence",
    "Contradiction",
    "Hours",
    "Kind",
    "Now",
    "Own",
    "Place",
    "Purpose",
    "Rule",
    "Verdict",
    "Verdicts",
    "Wait",
    "Warned",
    "all_rules",
    "book",
    "cap_period",
    "create_adjustment",
    "delete_adjustment",
    "found_adjustment",
    "free_at",
    "frequency",
    "holiday",
    "holiday_at",
    "load",
    "local_date",
    "next_legal",
    "parse",
    "rules",
    "start",
    "verdict",
    "zones",
    "zones_of",
]
