"""What law, operators and suppliers ask of messages to a country: dated rows with source and confidence. Pure.

`rules.csv` holds them. `kind` says what a row is about, `value` is written as that kind is:

- `hours`: when messages may go, as `Mo-Sa 08:00-21:30; Su,PH off` (`hours.py`)
- `cap`: how many a person may get, as `3/24h` (`caps.py`)
- `wording`: what the text must hold at its `place`: one of WORDINGS, or of `[QC]|[AD]` as it stands
- `ban`: what it may not hold, by category: `url_shorteners`, `premium_numbers`, ...
- `consent`: what must have been given before: `opt_in`, `soft_opt_in`, `written`, `express_or_implied`
- `opt_out`, `opt_out_scope`: how soon a refusal takes effect (`10 business_days`), and what it ends
- `register`: a list to be looked up; `regime`, `parameter`: under which order the rest stands, and its figures

`binding` says who asks: `law`, `operators`, `suppliers`; `advice` is only told. Rows of `low` confidence warn and never
block. Senders have rules of their own, in their room. This is what an engineer reads in public documents, no legal
advice.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from importlib import resources
from itertools import combinations
from typing import Literal

import msgspec
from msgspec import Struct

from chappe import numbers
from chappe.law import caps, hours

Kind = Literal[
    "hours", "cap", "wording", "ban", "consent", "opt_out", "opt_out_scope", "register", "regime", "parameter",
    "word", "keyword",
]  # fmt: skip
Purpose = Literal["any", "otp", "transactional", "service", "marketing"]
Binding = Literal["law", "operators", "suppliers", "advice", "operator", "account"]
Place = Literal["", "start", "end", "any"]
Confidence = Literal["high", "medium", "low"]
BANS = (
    "phone_numbers_not_listed",
    "premium_numbers",
    "shaft",
    "text_without_template",
    "url_shorteners",
    "urls_not_listed",
)
CONSENTS = ("opt_in", "soft_opt_in", "written", "express_or_implied")
WORDINGS = ("opt_out", "sender_name", "commercial_mark", "signature", "stop_short_code")
_WORDS: Mapping[str, tuple[str, ...]] = {"ban": BANS, "consent": CONSENTS, "wording": WORDINGS}
_SHAPES: Mapping[str, str] = {
    "opt_out": r"[1-9]\d* (hours|days|business_days)",
    "parameter": r"[a-z_]+=\S+",
    "wording": r"\[[^|]+\](\|\[[^|]+\])*",
}
_ONE = ("hours", "consent", "opt_out")  # kinds of which one row at a time can be in force
_ALWAYS = (date.min, date.max)


class Rule(Struct, frozen=True):
    """One row, in force from `valid_from` through `valid_to`, in a country (ISO 3166) or a region of it.

    `region` is what stands after the country in ISO 3166-2. `note` tells it in plain words.
    """

    country: str
    region: str
    kind: Kind
    purpose: Purpose
    value: str
    place: Place
    binding: Binding
    valid_from: date | None
    valid_to: date | None
    confidence: Confidence
    source: str
    note: str

    @property
    def name(self) -> str:
        """`FR.hours.marketing.operators@2026-01-01`: another after each change of the law, so that what was said of
        the old one does not hold for the new one."""
        place = f"{self.country}-{self.region}" if self.region else self.country
        what = self.kind if self.kind in _ONE else f"{self.kind}.{self.value}"
        since = f"@{self.valid_from}" if self.valid_from else ""
        return f"{place}.{what}.{self.purpose}.{self.binding}{since}"

    @property
    def blocks(self) -> bool:
        """Whether it may hold a message up; others are only told."""
        return self.binding != "advice" and self.confidence != "low"

    @property
    def literals(self) -> tuple[str, ...]:
        """Of wording that is asked as it stands: one of these."""
        return tuple(self.value.split("|")) if self.kind == "wording" and self.value.startswith("[") else ()

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day in force."""
        return self.valid_from or _ALWAYS[0], self.valid_to or _ALWAYS[1]

    def in_force(self, day: date) -> bool:
        return self.days[0] <= day <= self.days[1]

    def concerns(self, purpose: str | None, region: str | None) -> bool:
        """Whether it may be about a message; who may live in any region has to keep the rules of all."""
        return (purpose is None or self.purpose in ("any", purpose)) and (
            not self.region or region in (None, self.region)
        )


class Contradiction(ValueError):
    """Rows that cannot be: the file is not to be used."""


@cache
def all_rules() -> Mapping[str, Sequence[Rule]]:
    """All rules by country, those of the past and the future too."""
    with resources.files(__package__).joinpath("rules.csv").open(encoding="utf-8") as lines:
        return load(csv.DictReader(lines))


def load(rows: Iterable[Mapping[str, str]]) -> Mapping[str, Sequence[Rule]]:
    """The rules of a table, by country. Raises Contradiction for a row that cannot be read, or says what another one
    says otherwise on the same day."""
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    for line, row in enumerate(rows, 2):
        try:
            rule = msgspec.convert(
                {name: (text or None) if name in _DATES else text for name, text in row.items()}, Rule
            )
            check(rule)
        except (msgspec.ValidationError, ValueError) as error:
            raise Contradiction(f"line {line}: {error}") from None
        found[rule.country].append(rule)
    for rules in found.values():
        for one, other in combinations(rules, 2):
            if _clash(one, other):
                raise Contradiction(f"{one.name} and {other.name} are in force on the same day")
    return dict(found)


_DATES = ("valid_from", "valid_to")


def check(rule: Rule) -> None:
    """Raises ValueError for a row that makes no sense by itself."""
    if numbers.country(rule.country) is None or rule.country != rule.country.upper():
        raise ValueError(f"there is no country {rule.country}")
    if not (rule.source and rule.note):
        raise ValueError("source and note are needed")
    if rule.days[0] > rule.days[1]:
        raise ValueError("it ends before it begins")
    if (rule.kind == "wording") != bool(rule.place):
        raise ValueError("wording, and nothing else, has a place")
    check_value(rule.kind, rule.value)


def check_value(kind: Kind, value: str) -> None:
    """Raises ValueError for a value that its kind does not have."""
    if kind == "hours":
        hours.parse(value)
    elif kind == "cap":
        caps.parse(value)
    elif kind in _WORDS or kind in _SHAPES:
        known, shape = _WORDS.get(kind, ()), _SHAPES.get(kind)
        if value not in known and (shape is None or re.fullmatch(shape, value) is None):
            raise ValueError(f"{kind} knows no {value}" + (f"; there are: {', '.join(known)}" if known else ""))
    elif not value.strip():
        raise ValueError("a value is needed")


def _clash(one: Rule, other: Rule) -> bool:
    same = (one.region, one.kind, one.binding) == (other.region, other.kind, other.binding)
    if not same or (one.kind not in _ONE and (one.value, one.place) != (other.value, other.place)):
        return False
    together = one.purpose == other.purpose or "any" in (one.purpose, other.purpose)
    return together and one.days[0] <= other.days[1] and other.days[0] <= one.days[1]


__all__ = [
    "BANS",
    "CONSENTS",
    "WORDINGS",
    "Binding",
    "Confidence",
    "Contradiction",
    "Kind",
    "Place",
    "Purpose",
    "Rule",
    "all_rules",
    "check",
    "check_value",
    "load",
]
