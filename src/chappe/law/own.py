"""Adjustments: what an account asks of itself beyond the law, and what the operator adds or waives. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chappe.law.rules import Confidence, Kind, Purpose, Rule, all_rules, check_value

AdjustmentKind = Literal["hours", "cap", "ban", "word", "keyword", "waiver"]
MOST = 200  # of an account's own: each is looked at for every new minute


class Adjustment(Struct, frozen=True):
    """`hours`, `cap` and `ban` are written as in rules and hold beside them, so they only ever make it stricter. `word`
    is one that texts may not hold, `keyword` one more with which people refuse. `waiver` names a rule that is not kept;
    only the operator's may.

    `account_id` None is every account's, `country` None every country's.
    """

    id: int
    account_id: int | None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None
    purpose: Purpose
    kind: AdjustmentKind
    value: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(max_length=500)]
    by_operator: bool
    created_at: int


class Own:
    """What holds for one account beside the law: its own and the operator's. Told apart by identity: a change makes
    another."""

    __slots__ = ("_everywhere", "_rules", "waived")

    def __init__(self, adjustments: Iterable[Adjustment] = ()) -> None:
        self.waived: frozenset[str] = frozenset()
        self._rules: defaultdict[str, list[Rule]] = defaultdict(list)
        self._everywhere: list[Adjustment] = []
        for one in adjustments:
            if one.kind == "waiver":
                self.waived |= {one.value}
            elif one.country is None:
                self._everywhere.append(one)
            else:
                self._rules[one.country].append(_rule(one, one.country))

    def rules(self, country: str) -> list[Rule]:
        """As rules of the country."""
        return [*self._rules.get(country, ()), *(_rule(one, country) for one in self._everywhere)]


NOTHING = Own()


class Book:
    """All adjustments, one consistent version."""

    def __init__(self, adjustments: Iterable[Adjustment] = ()) -> None:
        self.adjustments = {one.id: one for one in adjustments}
        everyones = [one for one in self.adjustments.values() if one.account_id is None]
        accounts: defaultdict[int, list[Adjustment]] = defaultdict(list)
        for one in self.adjustments.values():
            if one.account_id is not None:
                accounts[one.account_id].append(one)
        self._everyone = Own(everyones) if everyones else NOTHING
        self._own = {account_id: Own([*everyones, *some]) for account_id, some in accounts.items()}

    def own(self, account_id: int) -> Own:
        return self._own.get(account_id, self._everyone)

    def of(self, account_id: int) -> list[Adjustment]:
        """Those that hold for an account."""
        return [one for one in self.adjustments.values() if one.account_id in (None, account_id)]


def check(adjustment: Adjustment) -> str | None:
    """What is wrong with its value by itself, or None."""
    if adjustment.kind == "waiver":
        known = {rule.name for rules in all_rules().values() for rule in rules}
        return None if adjustment.value in known else f"There is no rule {adjustment.value}."
    try:
        check_value(adjustment.kind, adjustment.value)
    except ValueError as error:
        return f"{error}."
    return None


def _rule(one: Adjustment, country: str) -> Rule:
    kind: Kind = one.kind  # type: ignore[assignment]  # a waiver never comes here
    sure: Confidence = "high"
    who = "operator" if one.by_operator else "account"
    note = one.reason or f"Set by the {who}."
    return Rule(country, "", kind, one.purpose, one.value, "", who, None, None, sure, f"the {who}'s own", note)  # type: ignore[arg-type]


__all__ = ["MOST", "NOTHING", "Adjustment", "AdjustmentKind", "Book", "Own", "check"]
