"""The lines of a month: what was used, then what the conditions make of it. Pure.

Usage is counted by day, not by message, so that every message of a country costs what the messages of that country cost
on average in the month: ten free ones of a hundred are a tenth of the amount. A message counts when a supplier has
taken it or it has failed for good; where only what is delivered is charged, what is delivered counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chappe import numbers
from chappe.billing.closing.amounts import share
from chappe.billing.closing.model import Line, Registered, line
from chappe.billing.closing.months import Month
from chappe.billing.rating.model import Conditions, Fee, Tier

MILLION = 1_000_000


class Used(NamedTuple):
    """What was used of one kind in a month; `charged` in micro-units. `messages` are those that count."""

    country: str
    operator: str
    purpose: str
    messages: int
    parts: int
    charged: int


class Agreed(NamedTuple):
    """What counts for a month: the conditions of its beginning, and the set-up fees that begin in it."""

    conditions: Conditions
    set_up: tuple[Fee, ...] = ()


class _Volume(NamedTuple):
    """The messages of some countries; `free` of them cost nothing, `paid` is what the others cost."""

    messages: int
    parts: int
    free: int
    paid: int


def lines_of(
    used: Sequence[Used], agreed: Agreed, names: Sequence[Registered], month: Month, currency: str
) -> tuple[Line, ...]:
    """All but what the sub-accounts of a reseller have cost."""
    conditions = agreed.conditions
    free = _free(used, conditions)
    usage = [_usage(one, currency) for one in used]
    allowances = list(_allowances(used, conditions, free, currency))
    discounts = list(_discounts(used, conditions, free, currency))
    return (*usage, *allowances, *discounts, *_fees(agreed, names, month, currency))


def commitment_of(lines: Iterable[Line], conditions: Conditions, currency: str) -> Line | None:
    """What is missing to the least that a month comes to."""
    least = max((one.amount for one in conditions.commitments), default=0)
    missing = least - sum(one.exact for one in lines)
    if missing <= 0:
        return None
    return line("commitment", "Difference to the agreed minimum of a month", missing, currency, unit="month")


# -- usage ---------------------------------------------------------------------------------------------------------


def _usage(used: Used, currency: str) -> Line:
    """By the part, unless the amount only divides by messages: then these were what was charged for."""
    by_message = bool(used.parts and used.charged % used.parts and used.messages and not used.charged % used.messages)
    quantity = used.messages if by_message else used.parts
    to = ", ".join(filter(None, (country_name(used.country), operator_name(used.operator))))
    return line(
        "usage",
        f"Messages to {to}, {used.purpose}",
        used.charged,
        currency,
        quantity=quantity,
        unit="message" if by_message else "part",
        place=(used.country, used.operator, used.purpose),
    )


_NO_COUNTRY = {"": "all countries", "001": "international networks"}


def country_name(iso: str) -> str:
    found = numbers.country(iso)
    return found.name if found is not None else _NO_COUNTRY.get(iso, iso)


def operator_name(mccmnc: str) -> str:
    """`Orange (20801)`, empty where the operator was not known."""
    known = numbers.operators().get(mccmnc) if mccmnc else None
    return f"{known.brand or known.name} ({mccmnc})" if known is not None else mccmnc


# -- allowances ----------------------------------------------------------------------------------------------------


def _free(used: Iterable[Used], conditions: Conditions) -> dict[str, int]:
    """The free messages of each country. What is free of all together is spread over them as their messages are."""
    messages: defaultdict[str, int] = defaultdict(int)
    for one in used:
        messages[one.country] += one.messages
    allowed = {one.country: one.messages for one in conditions.allowances}
    free = {country: min(allowed[country], count) for country, count in messages.items() if country in allowed}
    if "" in allowed:
        others = {country: count for country, count in sorted(messages.items()) if country not in allowed}
        total, seen = sum(others.values()), 0
        left = min(allowed[""], total)
        for country, count in others.items():  # the differences of a rising sum: they add up to what is left
            free[country] = left * (seen + count) // total - left * seen // total if total else 0
            seen += count
    return free


def _allowances(used: Sequence[Used], conditions: Conditions, free: dict[str, int], currency: str) -> Iterator[Line]:
    for country, count in sorted(free.items()):
        amount = _given(used, country, count)
        if amount:
            text = f"Free messages to {country_name(country)}"
            yield line("allowance", text, -amount, currency, quantity=count, unit="message", place=(country, "", ""))


def _given(used: Iterable[Used], country: str, count: int) -> int:
    """What that many messages to a country cost."""
    messages = charged = 0
    for one in used:
        if one.country == country:
            messages, charged = messages + one.messages, charged + one.charged
    return share(charged, count, messages) if messages else 0


# -- tiers ---------------------------------------------------------------------------------------------------------


def _discounts(used: Sequence[Used], conditions: Conditions, free: dict[str, int], currency: str) -> Iterator[Line]:
    own = {tier.country for tier in conditions.tiers}
    for place in sorted(own):
        tiers = sorted((one for one in conditions.tiers if one.country == place), key=lambda one: one.from_messages)
        within = [one for one in used if (one.country == place if place else one.country not in own)]
        volume = _volume(within, free)
        ranges = _ranges(tiers, volume.messages, whole=conditions.tiering == "whole")
        for tier, start, stop in ranges:
            count = max(0, stop - max(start, volume.free))
            amount = _discount(tier, volume, count)
            if amount:
                text = _tier_text(tier, conditions.tiering == "whole")
                yield line("discount", text, -amount, currency, quantity=count, unit="message", place=(place, "", ""))


def _volume(used: Sequence[Used], free: dict[str, int]) -> _Volume:
    countries = {one.country for one in used}
    given = sum(_given(used, country, free.get(country, 0)) for country in countries)
    return _Volume(
        messages=sum(one.messages for one in used),
        parts=sum(one.parts for one in used),
        free=sum(free.get(country, 0) for country in countries),
        paid=sum(one.charged for one in used) - given,
    )


def _ranges(tiers: Sequence[Tier], messages: int, *, whole: bool) -> list[tuple[Tier, int, int]]:
    """Each tier that was reached, with the first and the last message it is for."""
    reached = [tier for tier in tiers if tier.from_messages < messages]
    if not reached:
        return []
    if whole:
        return [(reached[-1], 0, messages)]
    ends = [tier.from_messages for tier in reached[1:]] + [messages]
    return [(tier, tier.from_messages, end) for tier, end in zip(reached, ends, strict=True)]


def _discount(tier: Tier, volume: _Volume, count: int) -> int:
    """What so many paid messages cost less by a tier; a tier makes nothing dearer."""
    paying = volume.messages - volume.free
    if not count or paying <= 0:
        return 0
    price = share(volume.paid, count, paying)
    if tier.amount is None:
        return share(price, tier.discount_ppm or 0, MILLION)
    parts = share(share(volume.parts, paying, volume.messages), count, paying)
    return max(0, price - parts * tier.amount)


def _tier_text(tier: Tier, whole: bool) -> str:
    to = f" to {country_name(tier.country)}" if tier.country else ""
    which = f"all messages{to}, being more than" if whole else f"messages{to} beyond"
    return f"Volume discount: {which} {tier.from_messages:,}"


# -- fees ----------------------------------------------------------------------------------------------------------


def _fees(agreed: Agreed, names: Sequence[Registered], month: Month, currency: str) -> Iterator[Line]:
    fees = agreed.conditions.fees
    for fee in fees:
        if fee.kind == "monthly" and fee.amount:
            yield line("monthly_fee", fee.description or "Monthly fee", fee.amount, currency, unit="month")
    for fee in agreed.set_up:
        if fee.amount:
            yield line("set_up_fee", fee.description or "Set-up fee", fee.amount, currency)
    rows = [fee for fee in fees if fee.kind == "sender_name"]
    for name in sorted(names, key=lambda one: (one.sender, one.country, one.operator)):
        at = ", ".join(filter(None, (country_name(name.country), operator_name(name.operator))))
        place = (name.country, name.operator, "")
        monthly = name.monthly if name.monthly is not None else _sender_fee(rows, name)
        if monthly:
            text = f"Sender name {name.sender}, {at}"
            yield line("sender_fee", text, monthly, currency, unit="month", place=place)
        if name.set_up and month.starts <= name.since < month.ends:
            yield line("set_up_fee", f"Set-up of sender name {name.sender}, {at}", name.set_up, currency, place=place)


def _sender_fee(rows: Iterable[Fee], name: Registered) -> int:
    """Of the row that says most: an operator before its country before any."""
    fitting = [row for row in rows if row.country in ("", name.country) and row.operator in ("", name.operator)]
    return max(fitting, key=lambda row: (row.operator != "", row.country != "")).amount if fitting else 0
