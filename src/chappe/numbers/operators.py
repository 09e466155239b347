"""Mobile operators by MCC-MNC (ITU-T E.212), as dated data: `operators.csv` ships with Chappe, own rows go over it.

A code is text: `01` and `001` are different network codes, and only the list itself says whether a country's have two
digits or three. Each row names the public document that it was taken from, and how sure it is.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Literal

from msgspec import Struct

Status = Literal["operational", "closed"]
Confidence = Literal["high", "medium", "low"]

_IS_CODE = re.compile(r"[2-79][0-9]{4,5}").fullmatch  # MCC 2xx-7xx are countries, 9xx shared networks (E.212, annex A)
_WORD = re.compile(r"[^\w&+*]+")
_LEGAL_FORMS = (
    "ab ag ao as bv cjsc co corp doo gmbh inc jsc kg limited llc ltd nv oao ohg ojsc ooo oy pao pjsc plc prjsc sa sarl "
    "sas sasu sau sl slu spa spzoo sro srl sprl unipersonal zao ао ат зао оао ооо пао прат тов"
)
_IS_LEGAL_FORM = frozenset(_LEGAL_FORMS.split()).__contains__


class Operator(Struct, frozen=True):
    """A mobile network code and who holds it, from `valid_from` up to the day before `valid_to` (None: open).

    `brand` is what people call it, and groups the codes of one operator in its country; `aliases` are other names that
    registries and price lists use. A `closed` code without dates is known to be withdrawn, the day is not.
    """

    mccmnc: str
    country: str
    name: str
    brand: str
    aliases: tuple[str, ...] = ()
    status: Status = "operational"
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = ""
    confidence: Confidence = "medium"

    def held(self, at: date) -> bool:
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)

    def overlaps(self, other: Operator) -> bool:
        """Whether both hold on some day."""
        return (self.valid_from or date.min) < (other.valid_to or date.max) and (other.valid_from or date.min) < (
            self.valid_to or date.max
        )


class Operators:
    """Look-ups in a list of operators. Without `at` (a day, UTC) they answer with the latest that is known.

    Raises ValueError when two rows give one code to two holders on the same day.
    """

    def __init__(self, rows: Iterable[Operator]) -> None:
        self._history: dict[str, list[Operator]] = {}
        for row in rows:
            self._history.setdefault(row.mccmnc, []).append(row)
        for code, history in self._history.items():
            history.sort(key=lambda row: row.valid_from or date.min)
            for one, other in pairwise(history):
                if one.overlaps(other):
                    raise ValueError(f"{code} has two holders on the same day: {one.name} and {other.name}")
        self._latest = {code: history[-1] for code, history in self._history.items()}
        self._codes: dict[str, list[str]] = {}
        self._named: dict[tuple[str, str], str] = {}
        for code, row in self._latest.items():
            self._codes.setdefault(row.country, []).append(code)
        self._learn_names()

    def _learn_names(self) -> None:
        """A name means the first code that has it: a working one before a closed one, as brand or name before alias."""
        for status in ("operational", "closed"):
            rows = [row for row in self._latest.values() if row.status == status]
            named = [(name, row) for row in rows for name in (row.brand, row.name)]
            called = [(name, row) for row in rows for name in row.aliases]
            for name, row in named + called:
                self._named.setdefault((row.country, name_key(name)), row.mccmnc)

    def __len__(self) -> int:
        return len(self._latest)

    def __iter__(self) -> Iterator[Operator]:
        """Every row, past holders too."""
        return (row for history in self._history.values() for row in history)

    def __contains__(self, mccmnc: str) -> bool:
        return mccmnc in self._latest

    def get(self, mccmnc: str, at: date | None = None) -> Operator | None:
        """Who holds a code such as `20801`, None when it is not listed for that day."""
        if at is None:
            return self._latest.get(mccmnc)
        return next((row for row in self._history.get(mccmnc, ()) if row.held(at)), None)

    def in_country(self, country: str, at: date | None = None) -> tuple[Operator, ...]:
        """The codes of a country (ISO 3166) in the order of the list, closed ones too."""
        found = (self.get(code, at) for code in self._codes.get(country.upper(), ()))
        return tuple(row for row in found if row is not None)

    def of_brand(self, country: str, brand: str, at: date | None = None) -> tuple[Operator, ...]:
        """All the codes of an operator, as brand, in its country: what a price or a route for `Orange` means."""
        key = name_key(brand)
        return tuple(row for row in self.in_country(country, at) if name_key(row.brand) == key)

    def named(self, name: str, country: str) -> str | None:
        """The main code of an operator by brand, name or alias; legal forms, case and accents do not matter."""
        return self._named.get((country.upper(), name_key(name)))

    def home_of(self, digits: str, at: date | None = None) -> Operator | None:
        """The home network of an IMSI, or of digits that begin like one: the longest code that is listed."""
        return self.get(digits[:6], at) or self.get(digits[:5], at)

    def updated(self, rows: Iterable[Operator]) -> Operators:
        """These with own rows over them: all rows of a code are replaced together."""
        own = tuple(rows)
        codes = {row.mccmnc for row in own}
        return Operators((*(row for row in self if row.mccmnc not in codes), *own))


@cache
def operators() -> Operators:
    """The operators that ship with Chappe (see docs/reference/numbers.md for the countries)."""
    with resources.files(__package__).joinpath("operators.csv").open(encoding="utf-8") as lines:
        return Operators(
            Operator(
                mccmnc=row["mccmnc"],
                country=row["country"],
                name=row["name"],
                brand=row["brand"],
                aliases=tuple(filter(None, row["aliases"].split(";"))),
                status="closed" if row["status"] == "closed" else "operational",
                valid_from=_day(row["valid_from"]),
                valid_to=_day(row["valid_to"]),
                source=row["source"],
                confidence="high" if row["confidence"] == "high" else "medium",
            )
            for row in csv.DictReader(lines)
        )


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def is_mccmnc(text: str) -> bool:
    """Whether a text has the shape of MCC and MNC written together: 5 or 6 digits."""
    return _IS_CODE(text) is not None


def name_key(name: str) -> str:
    """A name without case, accents, punctuation and legal form: `ООО "Т2 Мобайл"` and `т2 мобайл` are one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    words = _WORD.sub(" ", plain.replace(".", "").replace("sp z oo", "spzoo")).split()
    return "".join(word for word in words if not _IS_LEGAL_FORM(word)) or "".join(words)
