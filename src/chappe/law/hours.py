"""Hours in which messages may go, and the first minute at which all of several allow it. Pure.

Hours are written as in OpenStreetMap's `opening_hours`, of which this is a small part: `Mo-Sa 08:00-21:30; Su,PH off`.
Days of which nothing is said are closed once any day is named; PH is a public holiday, which is a day like any other if
nothing is said of it. Times are those of a zone's wall clock.

Minutes are counted since the epoch (UTC). A minute is legal if the wall clock shows a legal time at its beginning: so
an hour that comes twice when clocks go back is legal or not both times, and one that is left out never comes. A zone's
offset is taken to change once a day at most.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

DAY = 1_440  # minutes
HORIZON_DAYS = 62  # further on nobody looks for a legal minute
_BLOCK = 64 * DAY

_WEEK = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY = "(?:Mo|Tu|We|Th|Fr|Sa|Su|PH)"
_DAYS = re.compile(rf"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*")
_SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_EPOCH = date(1970, 1, 1).toordinal()

Spans = tuple[tuple[int, int], ...]  # from minute to minute of the day, rising


class Hours(Struct, frozen=True):
    """The open spans of the seven days, Monday first; of public holidays, or None if they are like any day."""

    week: tuple[Spans, ...]
    holidays: Spans | None = None

    def on(self, day: int, holiday: Callable[[int], bool]) -> Spans:
        """Of a day, counted since the epoch."""
        if self.holidays is not None and holiday(day):
            return self.holidays
        return self.week[(day + 3) % 7]  # 1970 began on a Thursday


class Clause(Struct, frozen=True):
    """Hours in force in a zone from day to day (local days since the epoch), and what is a public holiday there."""

    hours: Hours
    zone: str
    first: int
    last: int
    holiday: Callable[[int], bool]

    def legal(self, minute: int) -> bool:
        return self.opens(minute, minute) == minute

    def opens(self, minute: int, latest: int) -> int | None:
        """The first legal minute from `minute` through `latest`, or None."""
        while minute <= latest:
            offset = offset_of(self.zone, minute)
            day, now = divmod(minute + offset, DAY)
            if not self.first <= day <= self.last:
                return minute
            spans = self.hours.on(day, self.holiday)
            wanted = next((max(start, now) for start, end in spans if now < end), DAY)
            if wanted == now:
                return minute
            there = minute + wanted - now
            minute = there if offset_of(self.zone, there) == offset else _turned(self.zone, minute, there)
        return None


@lru_cache(maxsize=4_096)
def parse(text: str) -> Hours:
    """Raises ValueError that says what cannot be read."""
    week: list[Spans] = [()] * 7
    holidays: Spans | None = None
    for part in text.split(";"):
        days, spans = _rule(part.strip())
        for day in days:
            if day == "PH":
                holidays = spans
            else:
                week[_WEEK.index(day)] = spans
    return Hours(tuple(week), holidays)


def next_legal(clauses: Sequence[Clause], minute: int) -> int | None:
    """The first minute from `minute` on that all clauses allow; None if none of the next HORIZON_DAYS days has one."""
    latest = minute + HORIZON_DAYS * DAY
    found = minute
    while True:
        before = found
        for clause in clauses:
            opened = clause.opens(found, latest)
            if opened is None:
                return None
            found = opened
        if found == before:
            return found


def day_number(day: date) -> int:
    """Days since the epoch."""
    return day.toordinal() - _EPOCH


def local_day(zone: str, minute: int) -> int:
    """The day in a zone, since the epoch."""
    return (minute + offset_of(zone, minute)) // DAY


def date_of(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


def offset_of(zone: str, minute: int) -> int:
    """Minutes that a zone's wall clock is before UTC."""
    starts, offsets = _offsets(zone, minute // _BLOCK)
    return offsets[0] if len(offsets) == 1 else offsets[bisect_right(starts, minute) - 1]


@lru_cache(maxsize=1_024)
def unlike(zones: tuple[str, ...], block: int) -> tuple[str, ...]:
    """Of zones whose clocks agree in this block and the next, the first only: the United States have 29 zones that make
    eight."""
    alike: dict[object, str] = {}
    for zone in zones:
        alike.setdefault((_offsets(zone, block), _offsets(zone, block + 1)), zone)
    return tuple(alike.values())


def block_of(minute: int) -> int:
    """The block of time, longer than HORIZON_DAYS, in which a minute is."""
    return minute // _BLOCK


def _turned(zone: str, low: int, high: int) -> int:
    """The first change of a zone's offset after `low`; there is one through `high`, which is a day later at most."""
    starts = (*_offsets(zone, low // _BLOCK)[0], *_offsets(zone, high // _BLOCK)[0])
    offset = offset_of(zone, low)
    return next(start for start in starts if start > low and offset_of(zone, start) != offset)


@lru_cache(maxsize=8_192)
def _offsets(zone: str, block: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """From which minutes on a zone has which offsets within a block."""
    start = block * _BLOCK
    starts, offsets = [start], [_read(zone, start)]
    for day in range(start + DAY, start + _BLOCK + 1, DAY):
        later = _read(zone, min(day, start + _BLOCK - 1))
        if later != offsets[-1]:
            starts.append(_turn(zone, day - DAY, day))
            offsets.append(later)
    return tuple(starts), tuple(offsets)


def _read(zone: str, minute: int) -> int:
    offset = datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) // 60


def _turn(zone: str, low: int, high: int) -> int:
    """The first minute after `low` with another offset than its own; `high` has another."""
    offset = _read(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _read(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _rule(part: str) -> tuple[list[str], Spans]:
    days, _, times = part.rpartition(" ")
    if times == "off":
        return _named(days), ()
    if _SPAN.match(times) is None:
        raise ValueError(f"{part or 'nothing'} is not of the form Mo-Fr 08:00-20:00")
    return _named(days) if days else list(_WEEK), tuple(_spans(times))


def _named(days: str) -> list[str]:
    if not _DAYS.fullmatch(days):
        raise ValueError(f"{days or 'nothing'} names no days: write Mo, Tu, We, Th, Fr, Sa, Su or PH")
    found = []
    for one in days.split(","):
        first, dash, last = one.partition("-")
        if "PH" in (first, last) and dash:
            raise ValueError(f"{one}: PH begins and ends no range")
        start, count = (_WEEK.index(first), (_WEEK.index(last) - _WEEK.index(first)) % 7 + 1) if dash else (0, 0)
        found += [_WEEK[(start + n) % 7] for n in range(count)] if dash else [first]
    return found


def _spans(times: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for one in times.split(","):
        read = _SPAN.fullmatch(one)
        if read is None:
            raise ValueError(f"{one} is not of the form 08:00-20:00")
        hours = [int(number) for number in read.groups()]
        start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if not (spans[-1][1] if spans else 0) <= start < end <= DAY:
            raise ValueError(f"{one} does not rise: a span over midnight is written as two")
        spans.append((start, end))
    return spans


__all__ = [
    "DAY",
    "HORIZON_DAYS",
    "Clause",
    "Hours",
    "block_of",
    "date_of",
    "day_number",
    "local_day",
    "next_legal",
    "offset_of",
    "parse",
    "unlike",
]
