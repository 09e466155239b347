"""Importing tables of operators and number ranges: CSV of any layout becomes rows, and what is wrong faults by line.

Nothing is applied here. Whoever imports looks at `faults` first: as long as there is one, the table in force stays.
Columns are recognised by their headers in the languages of the registries, or mapped by whoever knows the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from chappe.numbers.countries import Country, countries
from chappe.numbers.number import MAX_DIGITS
from chappe.numbers.operators import Operator, Operators, Status, is_mccmnc, name_key
from chappe.numbers.plan import Plan, plan, split_calling_code
from chappe.numbers.ranges import Range, conflicts, country_of
from chappe.tabular import Column, Faults, Limits, Source, Table, normalise

RANGE_LIMITS = Limits(rows=1_000_000, bytes=256 << 20)
OPERATOR_LIMITS = Limits(rows=100_000, bytes=32 << 20)

# The words of registries and suppliers, in the order of preference where a file has several.
RANGE_COLUMNS = (
    Column("prefix", ("préfixe", "prefijo", "prefisso", "prefixo", "vorwahl", "префикс", "npa-nxx", "nxx"), False),
    Column("code", ("авс/def", "abc/def", "def", "код", "npa", "ndc", "area code", "indicatif"), False),
    Column("block", ("x", "thousands block"), False),
    Column("first", ("from", "от", "с", "tranche_debut", "début", "von", "desde", "da", "van", "od", "start"), False),
    Column("last", ("to", "до", "по", "tranche_fin", "fin", "bis", "hasta", "a", "tot", "do", "end"), False),
    Column("operator", ("mcc-mnc", "plmn", "оператор", "opérateur", "operador", "operatore", "betreiber", "mnémo",
                        "carrier", "company", "network", "provider")),
    Column("region", ("регион", "région", "regione", "territoire", "rate center", "area"), False),
)  # fmt: skip
OPERATOR_COLUMNS = (
    Column("mccmnc", ("plmn", "mcc-mnc", "network code", "tadig plmn"), False),
    Column("mcc", ("mobile country code",), False),
    Column("mnc", ("mobile network code",), False),
    Column("country", ("iso", "country iso", "pays", "land", "país", "paese", "страна")),
    Column("name", ("operator", "network", "operateur", "operador", "operatore", "betreiber", "оператор", "carrier")),
    Column("brand", ("marque", "marke", "marca", "бренд", "group"), False),
    Column("status", ("statut", "estado", "stato", "статус"), False),
    Column("valid_from", ("from", "since", "depuis", "ab", "desde", "dal", "с"), False),
    Column("valid_to", ("to", "until", "jusqu au", "bis", "hasta", "al", "по"), False),
    Column("source", ("quelle", "fuente", "fonte", "источник"), False),
)

_WORKING = frozenset(("", "operational", "active", "open", "inservice", "enservice", "inbetrieb", "действует"))
_CLOSED = frozenset(("closed", "notoperational", "inactive", "withdrawn", "ferme", "ausserbetrieb", "закрыт"))
_WRITTEN = re.compile(r"[\s().\-\u2010-\u2015/]+")
_DIGITS = re.compile(r"[0-9]+").fullmatch
_DAY_FIRST = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})").fullmatch


class Imported(NamedTuple):
    """Ranges of a table with how many rows it had; not to be used while there are `faults`."""

    ranges: tuple[Range, ...]
    rows: int
    faults: Faults


class ImportedOperators(NamedTuple):
    """Operators of a table with how many rows it had; not to be used while there are `faults`."""

    operators: tuple[Operator, ...]
    rows: int
    faults: Faults


class _Bad(Exception):
    """A fault of the row being read."""

    def __init__(self, column: str, code: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.code = code
        self.message = message


def read_ranges(
    source: Source,
    *,
    operators: Operators,
    country: str | None = None,
    names: Mapping[str, str] | None = None,
    mapping: Mapping[str, str | int] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits = RANGE_LIMITS,
) -> Imported:
    """The ranges of a table of prefixes, or of numbers from-to, in one of these layouts:

    - `prefix`, operator: `33612, 20801`; with `code` and `block` they are put together (North American NPA, NXX, X);
    - `first`, `last`, operator: numbers of equal length (`0612000000, 0612999999`); with `code` what follows it.

    With `country` (ISO) numbers are as dialled there, with the trunk 0 or not, unless they begin with `+` or `00`;
    without it they are international. The operator is an MCC-MNC that `operators` lists, or a name: one of `names`,
    which gives its MCC-MNC, or an empty text for who is of no interest; else one that an operator of the country has.

    Codes of faults, besides those of `Table`: `country_unknown`, `range_missing`, `range_bad_digits`, `range_too_long`,
    `range_too_wide`, `range_lengths_differ`, `range_reversed`, `operator_unknown`, `range_contradicts`,
    `range_overlaps`.
    """
    table = Table(
        source, RANGE_COLUMNS, mapping=mapping, header=header, encoding=encoding, delimiter=delimiter, limits=limits
    )
    faults = table.faults
    home = _plan_of(country, faults)
    holders = _Holders(operators, country, names or {}, faults)
    found: list[Range] = []
    regions: dict[str, str] = {}  # a registry repeats a few: one text each
    for line, (prefix, code, block, first, last, operator, region) in table:
        try:
            low, high = _extent(home, prefix, code, block, first, last)
            found.append(Range(low, high, holders.of(operator, low), regions.setdefault(region, region), line))
        except _Bad as bad:
            faults.add(line, bad.column, bad.code, bad.message)
    for one, other, same in conflicts(found):
        earlier, later = sorted((one, other), key=lambda found: found.line)
        told = f"{_spell(later)} is {_who(later)} here, {_spell(earlier)} is {_who(earlier)} on line {earlier.line}."
        faults.add(later.line, "", "range_contradicts" if same else "range_overlaps", told)
    return Imported(tuple(found), table.rows, faults)


class _Holders:
    """Which MCC-MNC a table's word for an operator means."""

    def __init__(self, operators: Operators, country: str | None, names: Mapping[str, str], faults: Faults) -> None:
        self._operators = operators
        self._country = country
        self._names = {name_key(name): mccmnc for name, mccmnc in names.items()}
        self._seen: dict[tuple[str, str], str | None] = {}
        for name, mccmnc in names.items():
            if mccmnc and mccmnc not in operators:
                faults.add(0, "operator", "operator_unknown", f"{name!r} is mapped to {mccmnc}, which no operator has.")

    def of(self, word: str, digits: str) -> str:
        """The MCC-MNC, empty for who is of no interest."""
        country = self._country or country_of(digits)
        key = (word, country)
        if key not in self._seen:
            self._seen[key] = self._find(word, country)
        if (found := self._seen[key]) is None:
            told = f"No operator is {word!r}: give its MCC-MNC, or say which one the name means."
            raise _Bad("operator", "operator_unknown", told)
        return found

    def _find(self, word: str, country: str) -> str | None:
        code = word.replace("-", "").replace(" ", "")
        if is_mccmnc(code) and code in self._operators:
            return code
        if (mapped := self._names.get(name_key(word))) is not None:
            return mapped
        return self._operators.named(word, country) if country else None


def _plan_of(country: str | None, faults: Faults) -> Plan | None:
    if country is None:
        return None
    if (found := countries().get(country.upper())) is None:
        faults.add(0, "country", "country_unknown", f"{country} is no country: give an ISO 3166 code such as FR.")
        return None
    return plan(found.iso, found.calling_code)


def _extent(home: Plan | None, prefix: str, code: str, block: str, first: str, last: str) -> tuple[str, str]:
    """The first and last number of a row, international."""
    if not first and not last:
        if not prefix and not code:
            raise _Bad("prefix", "range_missing", "The row has neither a prefix nor a first and last number.")
        thousand = "" if block.upper() == "A" else block  # NANPA's files: block A is the whole NXX
        whole = _international(home, code + prefix + thousand, "prefix")
        return whole, whole
    if not first or not last:
        raise _Bad("last" if first else "first", "range_missing", "Give both ends of the range.")
    low, high = _international(home, code + first, "first"), _international(home, code + last, "last")
    if len(low) != len(high):
        told = f"{first} and {last} are not equally long: a spreadsheet may have cut leading zeros."
        raise _Bad("last", "range_lengths_differ", told)
    if low > high:
        raise _Bad("last", "range_reversed", f"The range ends at {last}, before it begins at {first}.")
    return low, high


def _international(home: Plan | None, written: str, column: str) -> str:
    """International digits of a number or prefix as a table writes it."""
    bare = _WRITTEN.sub("", written)
    digits = bare.removeprefix("+")
    if not _DIGITS(digits):
        raise _Bad(column, "range_bad_digits", f"{written!r} is no number: write its digits, as text.")
    if home is not None and not bare.startswith(("+", "00")):
        digits = home.calling_code + _without_trunk(home, digits)
    elif digits is bare:
        digits = digits.removeprefix("00")
    if len(digits) > MAX_DIGITS:
        raise _Bad(column, "range_too_long", f"+{digits} has more than {MAX_DIGITS} digits.")
    split = split_calling_code(digits)
    if split is None:
        raise _Bad(column, "country_unknown", f"+{digits} begins with no country's calling code.")
    if not split[1]:
        raise _Bad(column, "range_too_wide", f"+{digits} is the whole country: give the digits that tell the operator.")
    return digits


def _without_trunk(home: Plan, digits: str) -> str:
    """National digits of what may begin with the trunk prefix; a lone prefix is too short for the plan to tell."""
    if digits[0] == "0" and home.trunk is not None and home.trunk.fullmatch("0"):
        return digits[1:]
    return home.without_trunk(digits)


def _spell(found: Range) -> str:
    return f"+{found.first}" if found.first == found.last else f"+{found.first} to +{found.last}"


def _who(found: Range) -> str:
    return f"{found.mccmnc or 'somebody'} ({found.region})" if found.region else found.mccmnc or "somebody"


def read_operators(
    source: Source,
    *,
    origin: str,
    mapping: Mapping[str, str | int] | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits = OPERATOR_LIMITS,
) -> ImportedOperators:
    """The operators of a table: MCC-MNC together or in two columns, country (ISO code or English name), name, and if it
    has them brand, status, validity (2024-01-31 or 31.01.2024) and source; `origin` is the source of rows without one.

    Give them to `Operators.updated`. Codes of faults, besides those of `Table`: `mccmnc_bad`, `country_unknown`,
    `status_unknown`, `date_bad`, `dates_reversed`, `operator_overlaps`.
    """
    table = Table(
        source, OPERATOR_COLUMNS, mapping=mapping, header=header, encoding=encoding, delimiter=delimiter, limits=limits
    )
    faults = table.faults
    found: list[tuple[int, Operator]] = []
    for line, values in table:
        try:
            found.append((line, _operator(values, origin)))
        except _Bad as bad:
            faults.add(line, bad.column, bad.code, bad.message)
    found.sort(key=lambda pair: (pair[1].mccmnc, pair[1].valid_from or date.min, pair[0]))
    for (earlier, one), (later, other) in pairwise(found):
        if one.mccmnc == other.mccmnc and one.overlaps(other):
            told = f"{one.mccmnc} is {one.name} on line {earlier} and {other.name} on line {later}, on the same days."
            faults.add(max(earlier, later), "mccmnc", "operator_overlaps", told)
    found.sort(key=lambda pair: pair[0])
    return ImportedOperators(tuple(operator for _, operator in found), table.rows, faults)


def _operator(values: tuple[str, ...], origin: str) -> Operator:
    code, mcc, mnc, country, name, brand, status, valid_from, valid_to, source = values
    held_from, held_to = _day("valid_from", valid_from), _day("valid_to", valid_to)
    if held_from and held_to and held_to <= held_from:
        raise _Bad("valid_to", "dates_reversed", f"Its validity ends on {held_to}, not after {held_from}.")
    return Operator(
        mccmnc=_mccmnc(code, mcc, mnc),
        country=_country(country),
        name=name,
        brand=brand or name,
        status=_status(status),
        valid_from=held_from,
        valid_to=held_to,
        source=source or origin,
    )


def _status(text: str) -> Status:
    word = normalise(text)
    if word in _WORKING:
        return "operational"
    if word in _CLOSED:
        return "closed"
    raise _Bad("status", "status_unknown", f"{text!r} is no status: write operational or closed.")


def _mccmnc(code: str, mcc: str, mnc: str) -> str:
    whole = code.replace("-", "").replace(" ", "") or (mcc + mnc if len(mcc) == 3 else "")
    if not is_mccmnc(whole):
        told = f"{code or f'{mcc}-{mnc}'} is no MCC and MNC: an MNC has 2 or 3 digits, its zeros may have been cut."
        raise _Bad("mccmnc", "mccmnc_bad", told)
    return whole


def _country(text: str) -> str:
    if (found := countries().get(text.upper()) or _by_name().get(normalise(text))) is None:
        raise _Bad("country", "country_unknown", f"{text} is no country: give an ISO 3166 code such as FR.")
    return found.iso


@cache
def _by_name() -> dict[str, Country]:
    return {normalise(found.name): found for found in countries().values()}


def _day(column: str, text: str) -> date | None:
    if not text:
        return None
    parts = _DAY_FIRST(text)
    try:
        return date(int(parts[3]), int(parts[2]), int(parts[1])) if parts else date.fromisoformat(text)
    except ValueError:
        raise _Bad(column, "date_bad", f"{text} is no day: write it like 2024-01-31.") from None
