"""Reading a national file: its rows become records that sort by number, then date, then line.

A row that is broken after its number still makes a record: that number is in doubt, rather than silently not ported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from chappe import numbers, tabular
from chappe.lookups.portability.errors import PortabilityError
from chappe.lookups.portability.index import IN_DOUBT
from chappe.numbers.number import MAX_DIGITS
from chappe.numbers.plan import Plan, plan, plans
from chappe.tabular import Faults, Limits, Table

Place = int | str
Source = Path | tabular.Source
Progress = Callable[[int, int], None]

# A record: number 7 octets, seconds since the year 1 5, line 4, place of the operator 2; all big-endian.
WIDTH = 18
DATED = 12  # octets of number and date
OPERATOR = 16  # where the operator begins
REMOVED = 0xFFFF
"""The operator of a number that is ported no more."""

LIMITS = Limits(rows=100_000_000, bytes=16 << 30, line=4096, cell=256)
_UNDATED = bytes(5)
_LATEST = b"\xff" * 5
_DOUBT = IN_DOUBT.to_bytes(2, "big")
_REMOVED = REMOVED.to_bytes(2, "big")
_FIRST_DAY = datetime(1, 1, 1, tzinfo=UTC)
_SEEN = 16_384  # spellings of dates and operators that are remembered
_TELL_EVERY = 16_384
_MCC_MNC = re.compile(r"[0-9]{5,6}").fullmatch

# What such files call their columns; the operator is the one that a number was ported to.
_NUMBER = ("msisdn", "phone", "phone number", "telephone number", "tn", "numéro", "número", "numero", "nummer")
_NUMBER_MORE = ("rufnummer", "numer", "telefone", "teléfono", "telefono", "номер", "номер телефона")
_OPERATOR = ("mccmnc", "mcc mnc", "recipient", "recipient operator", "current operator", "new operator", "rn")
_OPERATOR_MORE = ("routing number", "lrn", "spn", "opérateur receveur", "operador receptor", "оператор реципиент")
_DATE = ("porting date", "port date", "ported at", "ported on", "date de portage", "fecha", "datum", "дата")

# Where an operator or a date is missing, that is a fault of ours: the number is then in doubt.
_COLUMNS = (
    tabular.Column("number", (*_NUMBER, *_NUMBER_MORE)),
    tabular.Column("operator", (*_OPERATOR, *_OPERATOR_MORE), required=False),
    tabular.Column("date", _DATE, required=False),
    tabular.Column("mnc", required=False),
    tabular.Column("action", required=False),
)


class Columns(Struct, frozen=True, kw_only=True):
    """Which column holds what, by its header or its position from 1; number, operator and date also go by their usual
    headers.

    Two columns of `operator` are joined: MCC and MNC. `action` says whether a row adds (`added`) or takes away
    (`removed`). Dates are ISO 8601, or written as `date_format` says in the words of strptime; UTC unless they name a
    zone. With `national` numbers are written as dialled at home, else with the calling code (and `+`, `00` or nothing
    before it). `header`, `encoding` and `delimiter` are found by `tabular.Table` where they are not given.
    """

    number: Place | None = None
    operator: Place | tuple[Place, Place] | None = None
    date: Place | None = None
    action: Place | None = None
    header: bool | None = None
    encoding: str | None = None
    delimiter: str | None = None
    date_format: str | None = None
    national: bool = False
    added: tuple[str, ...] = ("a", "add", "added", "i", "insert", "u", "update")
    removed: tuple[str, ...] = ("d", "delete", "deleted", "r", "remove", "removed")


class _Broken(Exception):
    """A row cannot be used: column, code, message."""


class Intake:
    """One reading of one file. `rows` counts them; `operators` are those met, after the `known` ones."""

    def __init__(
        self,
        country: str,
        columns: Columns,
        operators_map: Mapping[str, str],
        faults: Faults,
        known: Sequence[str] = ("",),
    ) -> None:
        """`operators_map`: routing number, provider number, name or MCC-MNC as the file writes it (upper or lower
        case) to MCC and MNC as text. Raises PortabilityError for what cannot be meant."""
        self.rows = 0
        self._columns = columns
        self._mapping = _mapping(columns)
        self._wanted = [column for column in _COLUMNS if column.headers or column.name in self._mapping]
        self._faults = faults
        self._number = _reader(country, columns.national)
        self._map = _checked_map(operators_map)
        self._codes = {operator: code for code, operator in enumerate(known)}
        # on the instance, so that they go with it
        self._operator = lru_cache(_SEEN)(self._find_operator)
        self._date = lru_cache(_SEEN)(self._read_date)
        self._added = {word.casefold() for word in columns.added}
        self._removed = {word.casefold() for word in columns.removed}

    @property
    def operators(self) -> tuple[str, ...]:
        return tuple(self._codes)

    def records(self, source: Source, progress: Progress | None = None) -> Iterator[bytes]:
        """A record for each row with a number. `progress` hears of rows and octets now and then; what it raises ends
        the reading."""
        with ExitStack() as stack:
            table = self._table(stack.enter_context(source.open("rb")) if isinstance(source, Path) else source)
            dated = "date" in table.positions
            for line, values in table:
                if progress is not None and table.rows % _TELL_EVERY == 0:
                    progress(table.rows, table.bytes_read)
                try:
                    yield self._record(line, values, dated)
                except _Broken as broken:
                    self._faults.add(line, *broken.args)
            self.rows = table.rows
            if progress is not None:
                progress(table.rows, table.bytes_read)

    def _table(self, source: tabular.Source) -> Table:
        table = Table(
            source,
            self._wanted,
            mapping=self._mapping,
            header=self._columns.header,
            encoding=self._columns.encoding,
            delimiter=self._columns.delimiter,
            limits=LIMITS,
            faults=self._faults,
        )
        if not self._faults and "operator" not in table.positions:
            words = "No column is the operator: say which one it is, by header or position."
            self._faults.add(1, "operator", "column_missing", words)
        return table

    def _record(self, line: int, values: tuple[str, ...], dated: bool) -> bytes:
        number, operator, date, *more = values
        key = int(self._number(number)).to_bytes(7, "big")
        try:
            when = self._date(date) if dated else _UNDATED
            if "action" in self._mapping and self._takes_away(more[-1]):
                whose = _REMOVED
            else:
                whose = self._operator(operator + more[0] if "mnc" in self._mapping else operator)
        except _Broken as broken:
            self._faults.add(line, *broken.args)
            when, whose = _LATEST, _DOUBT
        return key + when + line.to_bytes(4, "big") + whose

    def _takes_away(self, action: str) -> bool:
        word = action.casefold()
        if word not in self._added and word not in self._removed:
            raise _Broken("action", "action_unknown", f"{_shown(action)} neither adds nor takes away a number.")
        return word in self._removed

    def _find_operator(self, word: str) -> bytes:
        operator = self._map.get(word.casefold())
        if operator is None:
            raise _Broken("operator", "operator_unknown", f"{_shown(word)} is not in the mapping of operators.")
        code = self._codes.setdefault(operator, len(self._codes))
        if code >= REMOVED:
            raise PortabilityError("portability_operators", f"An index has less than {REMOVED:,} operators.")
        return code.to_bytes(2, "big")

    def _read_date(self, text: str) -> bytes:
        pattern = self._columns.date_format
        try:
            moment = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return int((zoned - _FIRST_DAY).total_seconds()).to_bytes(5, "big")
        except (ValueError, OverflowError):
            wanted = f"of the form {pattern}" if pattern else "in ISO 8601"
            raise _Broken("date", "date_invalid", f"{_shown(text)} is no date {wanted}.") from None


def _mapping(columns: Columns) -> dict[str, Place]:
    """The columns that are given, as `tabular` is told them."""
    operator, mnc = columns.operator if isinstance(columns.operator, tuple) else (columns.operator, None)
    given = {"number": columns.number, "operator": operator, "date": columns.date, "mnc": mnc, "action": columns.action}
    return {name: place for name, place in given.items() if place is not None}


def _reader(iso: str, national: bool) -> Callable[[str], str]:
    """What makes E.164 digits of a number of this country, or raises _Broken."""
    home = numbers.country(iso)
    if home is None:
        raise PortabilityError("portability_country", f"{iso} is no country: give an ISO 3166 code such as FR.")
    own = plan(home.iso, home.calling_code)
    code, start = own.calling_code, len(own.calling_code)
    lengths = {start + length for length in own.lengths if start + length <= MAX_DIGITS}
    foreign = _foreign(own)

    def read(text: str) -> str:
        digits = text.removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            raise _Broken("number", "number_not_e164", "A number has digits only.")
        digits = code + own.without_trunk(digits) if national else digits.removeprefix("00")
        if not digits.startswith(code) or (foreign is not None and foreign(digits[start:])):
            raise _Broken("number", "number_wrong_country", f"The number is not of {home.iso} (+{code}).")
        if len(digits) not in lengths:
            raise _Broken("number", "number_impossible", f"No number of {home.iso} has {len(digits)} digits.")
        return digits

    return read


def _foreign(own: Plan) -> Callable[[str], object] | None:
    """Tells the national numbers of other countries with the same calling code, as far as the leading digits say:
    +7 is Russia's or Kazakhstan's, but the United States and Canada differ by area codes alone."""
    if own.leading is not None:
        leading = own.leading
        return lambda national: leading.match(national) is None
    others = [f"(?:{other.leading.pattern})" for other in plans(own.calling_code) if other.leading is not None]
    return re.compile("|".join(others), re.ASCII).match if others else None


def _checked_map(operators_map: Mapping[str, str]) -> dict[str, str]:
    """By what the file writes, in lower case."""
    for word, operator in operators_map.items():
        if not _MCC_MNC(operator):
            words = f"{_shown(word)} is mapped to {_shown(operator)}: an operator is MCC and MNC, 5 or 6 digits."
            raise PortabilityError("portability_operators", words)
    return {word.strip().casefold(): operator for word, operator in operators_map.items()}


def _shown(text: str) -> str:
    return repr(text[:40])
