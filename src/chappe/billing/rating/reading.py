"""Rates out of a table that somebody uploads: CSV of any layout, or an Excel workbook.

Columns are found by their headers in several languages, or by what the caller says. An operator may be its code or its
name: a name stands for all its codes in that country. Nothing raises because of what is in the file; `Read.faults` say
what is wrong by line.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from chappe import numbers
from chappe.billing.rating import sheet
from chappe.billing.rating.contents import MOST_ROWS
from chappe.billing.rating.model import FOREVER, MOST, ListKind
from chappe.billing.rating.rates import MOST_PPM, SENDER_KINDS, Rate, clashes
from chappe.tabular import Column, Fault, Faults, Limits, Table, normalise

PURPOSES = ("otp", "transactional", "service", "marketing")
XLSX: Final = b"PK\x03\x04"
_LIMITS = Limits(rows=MOST_ROWS, bytes=64 << 20)
_PATIENCE_S = 90.0

COLUMNS: Final = (
    Column(
        "country", ("country", "iso", "country code iso", "country iso", "pays", "land", "país", "paese", "kraj"), False
    ),
    Column("mccmnc", ("mccmnc", "mcc mnc", "plmn", "network code", "operator code"), False),
    Column("mcc", ("mcc",), False),
    Column("mnc", ("mnc",), False),
    Column("operator", ("operator", "network", "carrier", "operator name", "opérateur", "netz", "operador"), False),
    Column("channel", ("channel", "canal", "kanal"), False),
    Column("sender_kind", ("sender_kind", "sender", "sender type", "sender id type"), False),
    Column("purpose", ("purpose", "traffic type", "traffic", "use case"), False),
    Column("per", ("per", "unit", "billed per"), False),
    Column(
        "amount",
        (
            "amount",
            "price",
            "rate",
            "new price",
            "new rate",
            "cost",
            "tariff",
            "prix",
            "preis",
            "precio",
            "prezzo",
            "cena",
        ),
        False,
    ),
    Column("plus", ("plus", "cost plus", "margin", "markup", "surcharge on cost"), False),
    Column("percent", ("percent", "percentage", "markup percent", "margin percent"), False),
    Column("roaming", ("roaming", "roaming surcharge"), False),
    Column("currency", ("currency", "devise", "währung", "moneda", "valuta", "waluta"), False),
    Column("valid_from", ("valid_from", "from", "effective", "effective date", "effective from", "start date"), False),
    Column("valid_to", ("valid_to",), False),
    Column("valid_until", ("valid_until", "until", "end date", "expiry", "expires"), False),
)
NAMES: Final = tuple(column.name for column in COLUMNS)

_NUMBER = re.compile(r"(?:(?P<before>[A-Z]{3})\s*)?(?P<number>-?[\d.,' ]+)(?:\s*(?P<behind>[A-Z]{3}))?", re.ASCII)
_NOT_SERVED = frozenset(("-", "–", "n/a", "na", "no", "none", "not served", "not available", "blocked", "x"))
_ANY = frozenset(("", "*", "any", "all", "other", "others", "default", "rest", "all networks", "all operators"))
_PER = {"segment": "segment", "part": "segment", "sms": "segment", "message": "message", "verification": "message"}
_COUNTRY_WORDS = {"uk": "GB", "usa": "US", "greatbritain": "GB", "unitedstates": "US", "russianfederation": "RU"}


class Read(NamedTuple):
    """The rows of a file with the line of each; not to be used while there are faults."""

    rates: list[Rate]
    lines: list[int]
    faults: Faults


class _Wrong(Exception):
    """What is wrong with one cell."""

    def __init__(self, column: str, code: str, message: str) -> None:
        super().__init__(message)
        self.column, self.code, self.message = column, code, message


# -- files ---------------------------------------------------------------------------------------------------------


async def csv_of(data: bytes, name: str | None = None) -> bytes | Fault:
    """The CSV of a workbook's sheet (default: its first), or what is no workbook as it is. Unfolding and reading it is
    the work of a child process, which ends after a minute and a half at the latest."""
    if not data.startswith(XLSX):
        return data
    arguments = [] if name is None else [name]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", sheet.__file__, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            rows, told = await child.communicate(data)
    except TimeoutError:
        return Fault(0, "", "sheet_too_large", "The workbook took too long to read: save the sheet as CSV.")
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode == 0:
        return rows
    try:
        answer = msgspec.json.decode(told)
        return Fault(0, "", str(answer["code"]), str(answer["message"]))
    except (msgspec.DecodeError, KeyError, TypeError):
        return Fault(0, "", "sheet_unreadable", "The workbook cannot be read: save the sheet as CSV.")


def read_rates(
    data: bytes,
    kind: ListKind,
    currency: str,
    *,
    mapping: Mapping[str, str | int] | None = None,
    valid_from: int = 0,
    operators: numbers.Operators | None = None,
) -> Read:
    """The rates of a CSV file. `mapping` says where a column is that its header does not tell, by header or position
    from 1; rows without a date count from `valid_from` on. Some 10 microseconds a row: for a thread."""
    table = Table(data, COLUMNS, mapping=mapping, limits=_LIMITS)
    if not len(table.faults):
        has = table.positions.keys()
        if not has & {"amount", "plus", "percent"}:
            words = "No column is the price: name one `price`, or say which one it is."
            table.faults.add(1, "amount", "column_missing", words)
            return Read([], [], table.faults)
    rows = ((line, dict(zip(NAMES, cells, strict=True))) for line, cells in table)
    return _read(rows, kind, currency, valid_from, operators or numbers.operators(), table.faults)


def read_rows(
    rows: Sequence[Mapping[str, str]],
    kind: ListKind,
    currency: str,
    *,
    valid_from: int = 0,
    operators: numbers.Operators | None = None,
) -> Read:
    """The same of rows of named cells; the line is the place of a row, from 1."""
    numbered = enumerate(rows, 1)
    return _read(numbered, kind, currency, valid_from, operators or numbers.operators(), Faults())


def _read(
    rows: Iterable[tuple[int, Mapping[str, str]]],
    kind: ListKind,
    currency: str,
    valid_from: int,
    operators: numbers.Operators,
    faults: Faults,
) -> Read:
    reader = _Reader(kind, currency, valid_from, operators)
    rates: list[Rate] = []
    lines: list[int] = []
    for line, cells in rows:
        try:
            found = reader.rates(cells)
        except _Wrong as wrong:
            faults.add(line, wrong.column, wrong.code, wrong.message)
            continue
        rates += found
        lines += [line] * len(found)
        if len(rates) > MOST_ROWS:
            faults.add(line, "", "too_many_rows", f"The list would have more than {MOST_ROWS} rows.")
            break
    for clash in clashes(rates):
        other = "" if clash.other is None else f" The other is on line {lines[clash.other]}."
        faults.add(lines[clash.row], "", clash.code, clash.message + other)
    return Read(rates, lines, faults)


# -- a row ---------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the cells of rows for one list."""

    def __init__(self, kind: ListKind, currency: str, valid_from: int, operators: numbers.Operators) -> None:
        self._kind, self._currency, self._valid_from, self._operators = kind, currency, valid_from, operators

    def rates(self, cells: Mapping[str, str]) -> list[Rate]:
        """One rate, or one for each code of an operator that is named."""
        cell = cells.get
        country = _country(cell("country") or "")
        codes = self._codes(cells, country)
        self._check_currency("currency", cell("currency") or "")
        fields = self._price(cells) | {
            "channel": _channel(cell("channel") or ""),
            "sender_kind": _word("sender_kind", cell("sender_kind") or "", SENDER_KINDS),
            "purpose": _word("purpose", cell("purpose") or "", PURPOSES),
            "per": _per(cell("per") or ""),
            "roaming": self._amount("roaming", cell("roaming") or "0"),
        }
        since, until = self._times(cells)
        return [Rate(country=home, operator=code, valid_from=since, valid_to=until, **fields) for home, code in codes]

    def _codes(self, cells: Mapping[str, str], country: str) -> list[tuple[str, str]]:
        """(country, operator) of each rate that the row stands for."""
        code = (cells.get("mccmnc") or "").replace("-", "").replace(" ", "")
        mcc, mnc = cells.get("mcc") or "", cells.get("mnc") or ""
        name = (cells.get("operator") or "").strip()
        if not code and mcc and mnc and mnc.casefold() not in _ANY:
            code = self._joined(mcc, mnc)
        plain = name.replace("-", "").replace(" ", "")
        if not code and numbers.is_mccmnc(plain):
            code = plain
        if code:
            return [self._coded(code, country)]
        if name.casefold() in _ANY:
            return [(country, "")]
        if not country:
            raise _Wrong("country", "country_unknown", f"Which country's operator is {name[:60]!r}?")
        if (main := self._operators.named(name, country)) is None:
            raise _Wrong("operator", "operator_unknown", f"{country} has no operator {name[:60]!r} that is known here.")
        holder = self._operators.get(main)
        assert holder is not None
        return [(country, one.mccmnc) for one in self._operators.of_brand(country, holder.brand)]

    def _joined(self, mcc: str, mnc: str) -> str:
        """MCC and MNC of two cells; a spreadsheet takes the zeros in front of a network code away."""
        for width in (2, 3):
            if mcc + mnc.zfill(width) in self._operators:
                return mcc + mnc.zfill(width)
        return mcc + mnc.zfill(2)

    def _coded(self, code: str, country: str) -> tuple[str, str]:
        holder = self._operators.get(code)
        if holder is not None:
            if country and country != holder.country:
                words = f"{code} is {holder.brand} of {holder.country}, not of {country}."
                raise _Wrong("operator", "operator_elsewhere", words)
            return holder.country, code
        if not numbers.is_mccmnc(code):
            raise _Wrong("operator", "operator_unknown", f"{code[:20]!r} is no MCC and MNC: write 5 or 6 digits.")
        if not country or self._operators.in_country(country):  # a country whose operators are all listed
            raise _Wrong("operator", "operator_unknown", f"No operator that is known here has the code {code}.")
        return country, code

    def _price(self, cells: Mapping[str, str]) -> dict[str, Any]:
        amount, plus, percent = ((cells.get(name) or "").strip() for name in ("amount", "plus", "percent"))
        if plus or percent:
            if self._kind == "supplier":
                words = "Cost plus is for customers' lists: a supplier's has amounts."
                raise _Wrong("plus" if plus else "percent", "price_contradictory", words)
            if amount:
                words = "The row has both a price and something on the cost: leave one empty."
                raise _Wrong("amount", "price_contradictory", words)
            return {
                "plus": self._amount("plus", plus) if plus else None,
                "percent_ppm": _ppm(percent) if percent else None,
            }
        if not amount:
            raise _Wrong("amount", "price_missing", "The price is missing; write `not served` where there is none.")
        return {"amount": None if amount.casefold() in _NOT_SERVED else self._amount("amount", amount)}

    def _amount(self, column: str, text: str) -> int:
        found = _NUMBER.fullmatch(text.replace("\u00a0", " ").replace("€", "EUR").replace("£", "GBP").strip().upper())
        if found is None:
            raise _Wrong(column, "price_invalid", f"{text[:40]!r} is no amount: write it like 0.0725.")
        for currency in (found["before"], found["behind"]):
            self._check_currency(column, currency or "")
        number = _decimal(found["number"])
        if number is None:
            raise _Wrong(column, "price_invalid", f"{text[:40]!r} is no amount: write it like 0.0725.")
        if number < 0:
            raise _Wrong(column, "price_negative", f"{text[:40]} is negative.")
        micros = number.scaleb(6)
        if micros != micros.to_integral_value():
            raise _Wrong(column, "price_too_fine", f"{text[:40]} has more than six decimals.")
        if micros > MOST:
            raise _Wrong(column, "price_too_high", f"{text[:40]} is more than a million.")
        return int(micros)

    def _check_currency(self, column: str, currency: str) -> None:
        if currency and currency.strip().upper() != self._currency:
            words = f"The row is in {currency[:20].strip().upper()}, the list in {self._currency}."
            raise _Wrong(column, "currency_differs", words)

    def _times(self, cells: Mapping[str, str]) -> tuple[int, int]:
        since, to, until = (cells.get(name) or "" for name in ("valid_from", "valid_to", "valid_until"))
        begins = self._valid_from if not since else _moment("valid_from", since)
        if to and until:
            raise _Wrong("valid_to", "validity_empty", "The row ends twice: by valid_to and by valid_until.")
        ends = _moment("valid_to", to) if to else _moment("valid_until", until, days=1) if until else FOREVER
        if ends <= begins:
            raise _Wrong("valid_to", "validity_empty", "The row ends before it begins.")
        return begins, ends


# -- cells ---------------------------------------------------------------------------------------------------------


def _country(text: str) -> str:
    """The ISO code of a country by its code or English name; "" is any."""
    word = text.strip()
    if word.casefold() in ("", "*", "any", "world", "rest of world"):
        return ""
    code = word.upper()
    if ((len(code) == 2 and code != "UK") or code == "001") and numbers.country(code) is not None:
        return code
    key = normalise(word)
    found = _COUNTRY_WORDS.get(key) or _country_names().get(key)
    if found is None:
        raise _Wrong("country", "country_unknown", f"{word[:60]!r} is no country: write two letters (ISO 3166-1).")
    return found


@cache
def _country_names() -> dict[str, str]:
    return {normalise(country.name): country.iso for country in numbers.countries().values()}


def _channel(text: str) -> str:
    word = text.strip().lower() or "sms"
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", word) is None:
        raise _Wrong("channel", "word_unknown", f"{text[:40]!r} is no channel: write it like sms.")
    return word


def _word(column: str, text: str, words: Sequence[str]) -> str:
    word = re.sub(r"[\s-]+", "_", text.strip().lower())
    if word in ("", "*", "any", "all"):
        return ""
    if word not in words:
        raise _Wrong(column, "word_unknown", f"{text[:40]!r} is not one of: {', '.join(words)}.")
    return word


def _per(text: str) -> str:
    word = text.strip().lower()
    if not word:
        return "segment"
    if word not in _PER:
        raise _Wrong("per", "word_unknown", f"{text[:40]!r} is neither segment nor message.")
    return _PER[word]


def _decimal(text: str) -> Decimal | None:
    """A number with a decimal point or comma: the later of the two marks is it. None for what is none."""
    plain = text.replace(" ", "").replace("'", "")
    if plain.count(",") and plain.count("."):
        mark = "," if plain.rindex(",") > plain.rindex(".") else "."
        plain = plain.replace("." if mark == "," else ",", "")
    plain = plain.replace(",", ".")
    return Decimal(plain) if re.fullmatch(r"-?\d{1,12}(\.\d{1,18})?", plain, re.ASCII) else None


def _ppm(text: str) -> int:
    number = _decimal(text.replace("%", "").strip())
    if number is None or not 0 <= number * 10_000 <= MOST_PPM or (number * 10_000) % 1:
        raise _Wrong("percent", "price_invalid", f"{text[:40]!r} is no share: write per cent, at most 1000, like 2.5.")
    return int(number * 10_000)


def _moment(column: str, text: str, *, days: int = 0) -> int:
    """Milliseconds since the epoch of a day (its beginning, UTC) or of a time with an offset."""
    try:
        return _milliseconds(text.strip(), days)
    except (ValueError, OverflowError):
        words = (
            f"{text[:40]!r} is no day: write it like 2027-01-31 (day before month is not to be told from its reverse)."
        )
        raise _Wrong(column, "date_unclear", words) from None


@lru_cache(maxsize=4096)
def _milliseconds(text: str, days: int) -> int:
    if re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{4}", text):
        day, month, year = map(int, text.split("."))
        at = datetime(year, month, day, tzinfo=UTC)
    elif re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", text):
        at = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    else:
        at, days = datetime.fromisoformat(text), 0
        if at.tzinfo is None:
            raise ValueError("a time needs an offset")
    if not 1970 <= at.year <= 2200:
        raise ValueError("out of range")
    return max(0, round((at + timedelta(days=days)).timestamp() * 1000))
