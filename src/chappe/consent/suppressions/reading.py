"""Files of persons to be suppressed: a table of any layout, or a number a line. Read as a stream, checked to its end
before anything of it is applied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, TypeVar

from chappe.clock import parse_rfc3339
from chappe.consent.addresses import address
from chappe.consent.model import CHANNELS, COVERS, SCOPES, Channel, Cover, Scope
from chappe.consent.suppressions.model import Wanted, check_scope
from chappe.errors import Refused
from chappe.tabular import Column, Faults, Limits, Readable, Table

_PERSONS = (
    *("person", "to", "number", "phone", "phone_number", "mobile", "mobile_number", "msisdn", "recipient", "telephone"),
    *("email", "e-mail", "mail", "numéro", "téléphone", "portable", "rufnummer", "telefonnummer"),
    *("handynummer", "teléfono", "número", "telefono", "numero", "telefone", "telefoon", "numer", "telefon"),
    *("номер", "телефон"),
)
COLUMNS = (
    Column("person", _PERSONS),
    Column("channel", required=False),
    Column("scope", required=False),
    Column("value", required=False),
    Column("covers", required=False),
    Column("expires_at", ("expires_at", "expires", "expiry", "until", "valid_to"), required=False),
    Column("note", ("note", "reason", "comment", "remark"), required=False),
)
NAMES = tuple(column.name for column in COLUMNS)
_HEAD = 64 << 10
_PERSON = re.compile(r"[+(]?[\d\s().\-/]{5,}|(mail|alias|push):\S.*|[^@\s]+@[^@\s]+\.[^@\s]+")
_LATEST = 4_102_444_800_000  # 2100
_DAY_MS = 86_400_000
T = TypeVar("T")


class Defaults(NamedTuple):
    """What holds for the rows that say nothing else; `country` (ISO) reads national numbers as dialled there."""

    channel: Channel = "any"
    scope: Scope = "account"
    value: str = ""
    covers: Cover | None = None
    expires_at: int | None = None
    note: str = ""
    country: str | None = None


class Rows:
    """The rows of a file, once: `for wanted in Rows(file, now)`. Rows with a fault are not given; `faults` is whole
    after the last row, and nothing should be applied if there is any.

    Codes of faults are those of `tabular.Table` and of the catalogue: number_*, invalid_value, missing_field.
    """

    def __init__(
        self,
        source: bytes | Readable,
        now: int,
        defaults: Defaults | None = None,
        *,
        mapping: Mapping[str, str | int] | None = None,
        most: int = 20_000_000,
    ) -> None:
        self.faults = Faults()
        self._now = now
        self._defaults = defaults or Defaults()
        head, pieces = _opened(source)
        bare = not mapping and _is_bare(head)
        self._table = Table(
            chain([head], pieces),
            COLUMNS,
            mapping={"person": 1} if bare else mapping,
            header=False if bare else None if mapping else True,
            limits=Limits(rows=most),
            faults=self.faults,
        )
        self._rest = lru_cache(maxsize=1_024)(self._read_rest)  # most rows of a file say the same

    @property
    def bytes_read(self) -> int:
        return self._table.bytes_read

    def __iter__(self) -> Iterator[Wanted]:
        country = self._defaults.country
        for line, (person, *rest) in self._table:
            try:
                who = address(person, country)
            except Refused as refused:
                self.faults.add(line, "person", refused.code, refused.message)
                continue
            found = self._rest(*rest)
            if isinstance(found, Refused):
                self.faults.add(line, found.param or "", found.code, found.message)
                continue
            yield found._replace(person=who)

    def _read_rest(
        self, channel: str, scope: str, value: str, covers: str, expires: str, note: str
    ) -> Wanted | Refused:
        """Everything but who it is. A refusal is a value here, so that it is remembered, too."""
        base = self._defaults
        try:
            where = _one_of("scope", scope, SCOPES) or base.scope
            return Wanted(
                "",
                _one_of("channel", channel, CHANNELS) or base.channel,
                where,
                check_scope(where, value or (base.value if where == base.scope else "")),
                _one_of("covers", covers, COVERS) or base.covers,
                note[:500] or base.note,
                expiry(expires, self._now) if expires else base.expires_at,
            )
        except Refused as refused:
            return refused


def expiry(text: str, now: int) -> int:
    """Milliseconds: a date and time with an offset, or a day, at whose end (UTC) it is over. Raises Refused that names
    `expires_at`, also for what lies in the past."""
    try:
        at = parse_rfc3339(f"{text}T00:00:00Z") + _DAY_MS if len(text) == 10 else parse_rfc3339(text)
    except (ValueError, OverflowError):
        words = "Write a day, 2027-01-31, or a time with its offset, 2027-01-31T09:00:00Z."
        raise Refused("invalid_value", "expires_at is no time.", param="expires_at", action=words) from None
    if at <= now:
        raise Refused("invalid_value", "expires_at lies in the past.", param="expires_at")
    return min(at, _LATEST)


def _one_of(name: str, text: str, allowed: tuple[T, ...]) -> T | None:
    """None if nothing is said. Raises Refused."""
    if not text:
        return None
    wanted = text.lower().replace(" ", "_").replace("-", "_")
    for one in allowed:
        if one == wanted:
            return one
    words = f"Use one of: {', '.join(map(str, allowed))}."
    raise Refused("invalid_value", f"{text[:40]} is no {name}. {words}", param=name, action=words)


def _opened(source: bytes | Readable) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of a file, and the rest of it."""
    if isinstance(source, bytes):
        return source[:_HEAD], (source[start : start + _HEAD] for start in range(_HEAD, len(source), _HEAD))
    return source.read(_HEAD), iter(lambda: source.read(_HEAD), b"")


def _is_bare(head: bytes) -> bool:
    """Whether the first line is a person already, and no header."""
    table = Table(head, [Column("person", required=False)], mapping={"person": 1}, header=False)
    first = next(iter(table), None)
    return first is not None and _PERSON.fullmatch(first[1][0]) is not None
