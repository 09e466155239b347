"""What each country takes as a sender: dated rows with their source and how sure we are of them. Pure.

`rules.csv` holds the rules, `words.csv` the names that a country refuses as too general. A row concerns a kind of
sender (`numeric`: every number), within it only the addresses whose digits or letters begin as `where` says. Rows that
are not sure (`L`: one weak source) warn and never block. This is what an engineer reads in public documents, no legal
advice: an operator's contract may say otherwise.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Literal

from msgspec import Struct

from chappe.senders.kinds import NUMERIC
from chappe.text.confusable import fold

Allowed = Literal["yes", "no", "replaced", "register"]
Confidence = Literal["H", "M", "L"]
DAY_MS = 86_400_000


class Rule(Struct, frozen=True):
    """A rule of a country (ISO 3166) about a kind of sender, in force from `valid_from` through `valid_to`.

    `allowed`: `replaced` arrives under another address, `register` needs an approved registration in `register`, for
    which the particulars named by `requires` must be given. `promo_prefix` and `promo_suffix` are part of the name of
    promotional messages. `pattern` is a regular expression for the whole address without `+`.
    """

    country: str
    kind: str
    where: str
    allowed: Allowed
    minimum: int
    maximum: int
    pattern: str
    promo_prefix: str
    promo_suffix: str
    case_sensitive: bool
    register: str
    requires: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None
    confidence: Confidence
    source: str
    note: str

    @property
    def sure(self) -> bool:
        """Whether the rule may block."""
        return self.confidence != "L"

    @property
    def name(self) -> str:
        """As messages name it: `ES alphanumeric, since 2026-09-15`."""
        since = f", since {self.valid_from}" if self.valid_from else ""
        return f"{self.country} {self.kind}{since}"

    def in_force(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)

    def concerns(self, kind: str, bare: str) -> bool:
        """Whether it is about this address, written without `+`."""
        if self.kind != kind and not (self.kind == "numeric" and kind in NUMERIC):
            return False
        return not self.where or re.match(self.where, bare) is not None


class Word(Struct, frozen=True):
    """A name that says nothing about who writes, which a country's operators refuse."""

    country: str
    word: str
    confidence: Confidence
    source: str


def rules_of(country: str, at: int) -> Sequence[Rule]:
    """The rules of a country in force at a time (milliseconds); none for a country that nobody has written down."""
    day = day_of(at)
    return [rule for rule in all_rules().get(country, ()) if rule.in_force(day)]


def word_of(country: str, name: str) -> Word | None:
    """The refused word that a name is, however it is spelt."""
    return _words().get((country, fold(name)))


def words_of(country: str) -> list[Word]:
    return [word for word in _words().values() if word.country == country]


def day_of(at: int) -> date:
    return datetime.fromtimestamp(at // 1000, UTC).date()


@cache
def all_rules() -> Mapping[str, Sequence[Rule]]:
    """All rules by country, those of the past and the future too."""
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    for row in _table("rules.csv"):
        found[row["country"]].append(_rule(row))
    return dict(found)


@cache
def _words() -> Mapping[tuple[str, str], Word]:
    words = [Word(**row) for row in _table("words.csv")]  # type: ignore[arg-type]
    return {(word.country, fold(word.word)): word for word in words}


def _rule(row: Mapping[str, str]) -> Rule:
    def day(name: str) -> date | None:
        return date.fromisoformat(row[name]) if row[name] else None

    return Rule(
        country=row["country"],
        kind=row["kind"],
        where=row["where"],
        allowed=row["allowed"],  # type: ignore[arg-type]
        minimum=int(row["minimum"] or 0),
        maximum=int(row["maximum"] or 0),
        pattern=row["pattern"],
        promo_prefix=row["promo_prefix"],
        promo_suffix=row["promo_suffix"],
        case_sensitive=row["case_sensitive"] == "yes",
        register=row["register"],
        requires=tuple(row["requires"].split()),
        valid_from=day("valid_from"),
        valid_to=day("valid_to"),
        confidence=row["confidence"],  # type: ignore[arg-type]
        source=row["source"],
        note=row["note"],
    )


def _table(name: str) -> list[dict[str, str]]:
    with resources.files(__package__).joinpath(name).open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
