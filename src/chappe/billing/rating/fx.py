"""What one currency was worth in another, by day, and files of it. Pure.

A rate is how much of `quote` one `base` is, in parts of 10^9 (1.0823 is 1,082,300,000). A conversion takes the rates of
its day, or the last before; between two currencies that no row joins it goes by a third. It is reckoned exactly and
rounded once, half away from zero.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from chappe.tabular import Column, Faults, Limits, Table

PPB = 1_000_000_000
DAY_MS = 86_400_000
MOST_RATE = 10**17
_EPOCH = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,12})?", re.ASCII)
_CODE = re.compile(r"[A-Z]{3}", re.ASCII)
_ABSENT = ("", "N/A", "n/a", "-")
_LIMITS = Limits(rows=1_000_000, bytes=64 << 20)
ECB = "ECB euro foreign exchange reference rates"


class FxRate(NamedTuple):
    """One `base` is `rate_ppb` / 10^9 `quote` on a day (since 1970-01-01, UTC)."""

    base: str
    quote: str
    day: int
    rate_ppb: int
    source: str


class Fx:
    """All rates, looked up by pair and day. `hub` is the currency to go by where no row joins two."""

    def __init__(self, rates: Iterable[FxRate] = (), hub: str = "EUR") -> None:
        rows: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for rate in rates:
            rows[rate.base, rate.quote].append((rate.day, rate.rate_ppb))
        self._days = {pair: [day for day, _ in sorted(days)] for pair, days in rows.items()}
        self._rates = {pair: [ppb for _, ppb in sorted(days)] for pair, days in rows.items()}
        bases = sorted({base for base, _ in rows})
        self._hubs = list(dict.fromkeys([hub, *bases]))

    def convert(self, amount: int, source: str, target: str, at: int) -> int | None:
        """`amount` micro-units of `source` in those of `target` at a moment (ms); None if no row tells."""
        ratio = self.ratio(source, target, at // DAY_MS)
        if ratio is None:
            return None
        over, under = ratio
        return rounded(amount * over, under)

    def ratio(self, source: str, target: str, day: int) -> tuple[int, int] | None:
        """What one `source` is in `target` on a day, as a fraction."""
        if source == target:
            return 1, 1
        straight = self._leg(source, target, day)
        if straight is not None:
            return straight
        for hub in self._hubs:
            there, on = self._leg(source, hub, day), self._leg(hub, target, day)
            if there is not None and on is not None:
                return there[0] * on[0], there[1] * on[1]
        return None

    def _leg(self, source: str, target: str, day: int) -> tuple[int, int] | None:
        if (ppb := self._latest(source, target, day)) is not None:
            return ppb, PPB
        if (ppb := self._latest(target, source, day)) is not None:
            return PPB, ppb
        return None

    def _latest(self, base: str, quote: str, day: int) -> int | None:
        days = self._days.get((base, quote))
        if days is None:
            return None
        place = bisect_right(days, day)
        return self._rates[base, quote][place - 1] if place else None


def rounded(over: int, under: int) -> int:
    """A fraction (`under` > 0) as a whole number, half away from zero."""
    whole = (2 * abs(over) + under) // (2 * under)
    return -whole if over < 0 else whole


def day_of(text: str) -> int:
    """Days since 1970-01-01 of `2026-11-20`, or `20 November 2026` as in the ECB's file of one day. ValueError."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = datetime.strptime(text, "%d %B %Y").date()
    return day.toordinal() - _EPOCH


def day_text(day: int) -> str:
    return date.fromordinal(day + _EPOCH).isoformat()


def day_at(moment: int) -> date:
    """The day (UTC) of a moment in milliseconds."""
    return datetime.fromtimestamp(moment // 1000, UTC).date()


def ppb_of(text: str) -> int:
    """`1.0823` in parts of 10^9, rounded to them. ValueError for what is no rate."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("a rate is a decimal number above 0, for example 1.0823")
    ppb = round(Decimal(text) * PPB)
    if not 1 <= ppb <= MOST_RATE:
        raise ValueError("the rate is too small or too large")
    return ppb


def ppb_text(ppb: int) -> str:
    return f"{ppb // PPB}.{ppb % PPB:09d}".rstrip("0").rstrip(".")


# -- files ---------------------------------------------------------------------------------------------------------

_LONG = (
    Column("day", ("day", "date", "datum", "time_period")),
    Column("base", ("base", "from", "base currency", "currency_denom")),
    Column("quote", ("quote", "to", "currency", "quote currency")),
    Column("rate", ("rate", "value", "obs_value", "kurs")),
    Column("source", ("source",), required=False),
)


def read_fx(data: bytes, *, base: str = "EUR", source: str = ECB) -> tuple[list[FxRate], Faults]:
    """Rates of a CSV file: a row a rate (`day,base,quote,rate,source`), or a row a day and a column a currency, which
    is how the European Central Bank publishes those of one `base`. Not to be used while there are faults."""
    header = Table(data, [Column("day", ("day", "date", "time_period"))], limits=_LIMITS)
    if len(header.faults):
        return [], header.faults
    currencies = [text for text in header.header if _CODE.fullmatch(text)]
    rates, faults = _wide(data, currencies, base, source) if currencies else _long(data, source)
    _check_twice(rates, faults)
    return [rate for rate, _ in rates], faults


Lined = list[tuple[FxRate, int]]


def _wide(data: bytes, currencies: list[str], base: str, source: str) -> tuple[Lined, Faults]:
    columns = [Column("day", ("date", "day", "time_period")), *(Column(code, required=False) for code in currencies)]
    table = Table(data, columns, limits=_LIMITS)
    rates: Lined = []
    for line, (day, *values) in table:
        for quote, value in zip(currencies, values, strict=True):
            if value not in _ABSENT and quote != base:
                _take(rates, table.faults, line, day, base, quote, value, source)
    return rates, table.faults


def _long(data: bytes, source: str) -> tuple[Lined, Faults]:
    table = Table(data, _LONG, limits=_LIMITS)
    rates: Lined = []
    for line, (day, base, quote, value, named) in table:
        _take(rates, table.faults, line, day, base.upper(), quote.upper(), value, named or source)
    return rates, table.faults


def _take(rates: Lined, faults: Faults, line: int, day: str, base: str, quote: str, value: str, source: str) -> None:
    for column, code in (("base", base), ("quote", quote)):
        if _CODE.fullmatch(code) is None:
            faults.add(
                line, column, "currency_unknown", f"{code[:20]!r} is no currency: write three letters (ISO 4217)."
            )
            return
    if base == quote:
        faults.add(line, "quote", "currency_unknown", f"{base} in {quote} says nothing.")
        return
    try:
        number = day_of(day)
    except ValueError:
        faults.add(line, "day", "date_unclear", f"{day[:40]!r} is no day: write it like 2026-11-20.")
        return
    try:
        rates.append((FxRate(base, quote, number, ppb_of(value), source[:200]), line))
    except ValueError as error:
        faults.add(line, quote, "rate_invalid", f"{value[:40]!r}: {error}.")


def _check_twice(rates: Lined, faults: Faults) -> None:
    seen: dict[tuple[str, str, int], int] = {}
    for rate, line in rates:
        key = (rate.base, rate.quote, rate.day)
        if seen.setdefault(key, rate.rate_ppb) != rate.rate_ppb:
            words = f"{rate.base} in {rate.quote} of {day_text(rate.day)} is there twice, with another rate."
            faults.add(line, rate.quote, "rates_overlap", words)
