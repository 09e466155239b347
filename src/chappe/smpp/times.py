"""SMPP times: `YYMMDDhhmmsstnnp` (SMPP 3.4, 7.1.1). Epochs are milliseconds, UTC."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([-+R])", re.ASCII)
_LONGEST_RELATIVE_MS: Final = 31 * 86_400_000


def parse(text: str, now_ms: int) -> int | None:
    """The instant that an absolute or a relative time means; None for the empty string. Raises ValueError."""
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not YYMMDDhhmmsstnnp")
    year, month, day, hour, minute, second, tenth, quarters = map(int, match.groups()[:8])
    if match[9] == "R":
        return _later(now_ms, 12 * year + month, timedelta(days=day, hours=hour, minutes=minute, seconds=second))
    if quarters > 48:
        raise ValueError("a zone is at most 48 quarters of an hour from UTC")
    local = datetime(2000 + year, month, day, hour, minute, second, tenth * 100_000, UTC)
    offset = timedelta(minutes=15 * quarters)
    return to_ms(local - offset if match[9] == "+" else local + offset)


def format_absolute(at_ms: int) -> str:
    """The instant in UTC, to the tenth of a second: `241231235959900+`."""
    at = from_ms(at_ms)
    return f"{at:%y%m%d%H%M%S}{at.microsecond // 100_000}00+"


def format_relative(duration_ms: int) -> str:
    """A duration in whole seconds, rounded up: `000001000000000R` is a day. Raises ValueError above 31 days.

    Longer ones would need months, and how long a month is, is the peer's opinion: send an absolute time.
    """
    if not 0 <= duration_ms <= _LONGEST_RELATIVE_MS:
        raise ValueError("a relative time is 0 to 31 days long")
    minutes, seconds = divmod(-(-duration_ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def to_ms(at: datetime) -> int:
    """Epoch milliseconds of an aware datetime, exactly."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def _later(now_ms: int, months: int, rest: timedelta) -> int:
    now = from_ms(now_ms)
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return to_ms(now.replace(year=year, month=month + 1, day=day) + rest)
