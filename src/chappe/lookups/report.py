"""What is known of one number: built up from the answers of several sources, each value with who said it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct, field

from chappe.lookups.model import Absent, Findings, Outcome, Reachable
from chappe.numbers import LineType
from chappe.numbers.operators import operators

Field = Literal["validity", "line_type", "operator", "reachability", "roaming"]
"""What one may ask for. `operator` is the one that serves the number now, after portability."""

FIELDS: tuple[Field, ...] = get_args(Field)

# A phone moves and is switched off within minutes; who serves it and what it is stays for days.
VOLATILE: frozenset[Field] = frozenset({"reachability", "roaming"})
STABLE: frozenset[Field] = frozenset(FIELDS) - VOLATILE

Value = Literal["valid", "line_type", "original", "current", "ported", "reachable", "roaming"]
_VALUES: tuple[Value, ...] = get_args(Value)
_VALUE_OF: dict[Field, Value] = {
    "validity": "valid",
    "line_type": "line_type",
    "operator": "current",
    "reachability": "reachable",
    "roaming": "roaming",
}
# what belongs to a value, and comes with it
_COMPANIONS: dict[Value, tuple[str, ...]] = {
    "current": ("carrier",),
    "reachable": ("absent",),
    "roaming": ("roaming_country",),
}


class Fault(Struct, frozen=True):
    """Why nobody can have this number: a code of the catalogue and words."""

    code: str
    message: str


class Evidence(Struct, frozen=True, omit_defaults=True):
    """Who said a value, and when it was learnt (milliseconds since the epoch). `cost_micros` is what asking cost this
    time: nothing when the answer was known already (`cached`)."""

    source: str
    learned_at: int
    cached: bool = False
    cost_micros: int = 0
    currency: str = ""


class Asked(Struct, frozen=True, omit_defaults=True):
    """A source that was asked now, and what came of it."""

    source: str
    outcome: Outcome
    reason: str = ""
    cost_micros: int = 0
    currency: str = ""


class Report(Struct, kw_only=True, omit_defaults=True):
    """All that is known of a number. None is unknown. `given` is the number as it was written, `number` E.164 where it
    could be read; `original` and `current` are MCC and MNC as text, `carrier` the name of the current operator as its
    source writes it."""

    given: str
    number: str = ""
    country: str | None = None
    valid: bool | None = None
    fault: Fault | None = None
    line_type: LineType | None = None
    original: str | None = None
    current: str | None = None
    carrier: str | None = None
    ported: bool | None = None
    reachable: Reachable | None = None
    absent: Absent | None = None
    roaming: bool | None = None
    roaming_country: str | None = None
    evidence: dict[Value, Evidence] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def missing(self, fields: Iterable[Field]) -> set[Field]:
        """Which of the fields are still to be found out; none of a number that cannot exist."""
        if self.valid is False:
            return set()
        return {name for name in fields if getattr(self, _VALUE_OF[name]) is None}

    def take(self, found: Findings, by: Evidence) -> None:
        """Keep what was not known yet: who was asked first is believed."""
        for name in _VALUES:
            said = getattr(found, name)
            if said in (None, "unknown") or getattr(self, name) is not None:
                continue
            setattr(self, name, said)
            self.evidence[name] = by
            for companion in _COMPANIONS.get(name, ()):
                setattr(self, companion, getattr(found, companion))
        self._conclude()

    def _conclude(self) -> None:
        """A number that was not ported is still with its first operator; one whose operators differ was ported."""
        if self.current is None and self.original is not None and self.ported is False:
            self.current, self.evidence["current"] = self.original, self.evidence["ported"]
        if self.ported is None and self.original is not None and self.current is not None:
            self.ported = not _same_operator(self.original, self.current)
            self.evidence["ported"] = self.evidence["current"]

    def costs(self) -> dict[str, int]:
        """What asking cost now: micro-units by currency."""
        total: dict[str, int] = {}
        for one in self.asked:
            if one.cost_micros:
                total[one.currency] = total.get(one.currency, 0) + one.cost_micros
        return total


def _same_operator(one: str, other: str) -> bool:
    """An operator may have several network codes, also of networks that it has bought."""
    if one == other:
        return True
    first, second = operators().get(one), operators().get(other)
    return first is not None and second is not None and (first.country, first.brand) == (second.country, second.brand)


class CacheTimes(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """For how many seconds an answer is used again; 0: never. Who serves a number changes within days, whether the
    phone is on within minutes: an absent phone is worth another question as soon as the message is tried again."""

    answer_s: int = 7 * 86_400
    reachability_s: int = 3_600
    absent_s: int = 300
    not_covered_s: int = 86_400

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) <= _LONGEST_S:
                raise ValueError(f"{name} lies between 0 and {_LONGEST_S} seconds")

    @property
    def longest_s(self) -> int:
        return max(self.answer_s, self.reachability_s, self.absent_s, self.not_covered_s)


_LONGEST_S = 90 * 86_400


def still_good(found: Findings | None, age_s: float, times: CacheTimes) -> tuple[Findings | None, frozenset[Field]]:
    """What an answer of that age may still say, and the fields that its source need not be asked for again.

    `found` None: it had said that it does not cover the number.
    """
    if found is None:
        return None, frozenset(FIELDS) if age_s <= times.not_covered_s else frozenset()
    told: frozenset[Field] = STABLE if age_s <= times.answer_s else frozenset()
    if age_s <= (times.absent_s if found.reachable == "absent" else times.reachability_s):
        told |= VOLATILE
    if not told:
        return None, told
    lasting = found if told & STABLE else Findings()
    now = found if told & VOLATILE else Findings()
    return (
        Findings(
            valid=lasting.valid,
            line_type=lasting.line_type,
            original=lasting.original,
            current=lasting.current,
            ported=lasting.ported,
            carrier=lasting.carrier,
            roaming=now.roaming,
            roaming_country=now.roaming_country,
            reachable=now.reachable,
            absent=now.absent,
        ),
        told,
    )
