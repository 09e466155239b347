"""What is to be forbidden, the lists that it comes in, and what each reason covers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from chappe import numbers
from chappe.consent.model import Channel, Cover, Reason, Scope
from chappe.errors import Refused

MOST_AT_ONCE = 10_000  # in one call
MOST_ROWS = 100_000  # of a file in one call: half a second of reading; the command line hands longer files in by parts
MOST_LISTS = 1_000  # of an account

# What is forbidden where nobody says it. A number that is given up will be a stranger's: nothing may reach them.
COVERED: Mapping[Reason, Cover] = {
    "opt_out": "marketing",
    "list": "marketing",
    "operator": "marketing",
    "complaint": "all_but_otp",
    "disconnected": "all",
    "erased": "all",
}


class Wanted(NamedTuple):
    """A person (as `consent.address` writes one) and what is to be forbidden; `covers` None: as the reason or the list
    has it. `expires_at` in milliseconds."""

    person: str
    channel: Channel = "any"
    scope: Scope = "account"
    value: str = ""
    covers: Cover | None = None
    note: str = ""
    expires_at: int | None = None
    list_name: str = ""
    reason: Reason | None = None


class Held(NamedTuple):
    """What forbids already."""

    id: int
    covers: Cover
    expires_at: int | None

    def stands(self, one: Wanted) -> bool:
        """Whether it forbids all that is wanted, for as long."""
        if _STRICT[self.covers] < _STRICT[one.covers or "marketing"]:
            return False
        return self.expires_at is None or (one.expires_at is not None and one.expires_at <= self.expires_at)


class Added(NamedTuple):
    """The suppression that holds now; `created` is False if it was there before."""

    id: int
    created: bool


class Imported(NamedTuple):
    """How many rows there were; of these, how many are new and how many were there already."""

    rows: int
    added: int
    known: int


class SuppressionList(Struct, frozen=True):
    """Where suppressions come from, under a name; they go together. `reason`, `channel`, `covers` and `expires_at` are
    those of rows that say nothing else. `deleted_at`: its rows are going, those left still forbid."""

    id: int
    account_id: int
    test: bool
    name: str
    reason: Reason
    channel: Channel
    covers: Cover
    note: str
    expires_at: int | None
    created_at: int
    created_by: str
    imported_at: int | None
    deleted_at: int | None


class Gone(NamedTuple):
    """When a number counts as disconnected: on so many days of the last ones a network said that nobody has it. It is
    suppressed for `keep_days`, for numbers are given to others. `after` 0: never."""

    after: int = 3
    within_days: int = 30
    keep_days: int = 90

    def reached(self, days: set[int]) -> bool:
        """`days` counted from any day on."""
        return bool(self.after) and sum(day > max(days) - self.within_days for day in days) >= self.after


def check_scope(scope: str, value: str) -> str:
    """The value as it is stored. Raises Refused that names `value`."""
    value = " ".join(value.split())
    if scope == "account":
        if value:
            raise Refused("invalid_value", "The scope account takes no value.", param="value")
        return ""
    if not value:
        words = f"Say which {scope}."
        raise Refused("missing_field", "The value is missing.", param="value", action=words)
    if len(value) > 100 or not value.isprintable():
        raise Refused("invalid_value", "The value has 1 to 100 characters.", param="value")
    if scope == "country":
        value = value.upper()
        if numbers.country(value) is None:
            words = "Give a code of ISO 3166-1, for example FR."
            raise Refused("invalid_value", f"There is no country {value[:20]}.", param="value", action=words)
    return value


def stricter(one: Wanted, other: Wanted) -> Wanted:
    """Of two about the same: what forbids as much as both, for as long as both."""
    covers = max(one.covers or "marketing", other.covers or "marketing", key=_STRICT.__getitem__)
    ends: Any = None
    if one.expires_at is not None and other.expires_at is not None:
        ends = max(one.expires_at, other.expires_at)
    return other._replace(covers=covers, expires_at=ends)


_STRICT: Mapping[str, int] = {"marketing": 0, "all_but_otp": 1, "all": 2}
