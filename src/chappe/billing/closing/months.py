"""Months as they are billed: by the days of UTC. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import NamedTuple

_TEXT = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000


class Month(NamedTuple):
    """A calendar month; they sort by time."""

    year: int
    number: int

    @property
    def next(self) -> Month:
        return Month(self.year + 1, 1) if self.number == 12 else Month(self.year, self.number + 1)

    @property
    def code(self) -> int:
        """As tables hold it: 202610."""
        return self.year * 100 + self.number

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        return date.fromordinal(self.next.first.toordinal() - 1)

    @property
    def days(self) -> range:
        """As `usage` counts them: days since 1970-01-01."""
        return range((self.first - _EPOCH).days, (self.next.first - _EPOCH).days)

    @property
    def starts(self) -> int:
        """Milliseconds since the epoch, included."""
        return self.days.start * _DAY_MS

    @property
    def ends(self) -> int:
        """Milliseconds since the epoch, not included."""
        return self.days.stop * _DAY_MS

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def parse(text: str) -> Month | None:
    """Of `2026-10`, within 1970 and 2100; None for anything else."""
    found = _TEXT.fullmatch(text)
    month = Month(int(found[1]), int(found[2])) if found else None
    return month if month is not None and 1970 <= month.year < 2100 else None


def of_code(code: int) -> Month:
    return Month(code // 100, code % 100)


def month_of(millis: int) -> Month:
    """The month of a moment."""
    day = day_of(millis)
    return Month(day.year, day.month)


def day_of(millis: int) -> date:
    """The day of a moment, in UTC."""
    return datetime.fromtimestamp(millis / 1000, UTC).date()
