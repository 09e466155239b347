"""When an hour or a day of the calendar ends, in any time zone. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_QUARTER_MS = 900_000  # no zone is off by less than a quarter of an hour
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


def end_of(per: str, zone: str, at: int) -> int:
    """The moment at which the `hour` or `day` that `at` lies in is over; both in milliseconds since the epoch."""
    return _end(per, zone, at // _QUARTER_MS)


@lru_cache(maxsize=4_096)
def _end(per: str, zone: str, quarter: int) -> int:
    at = quarter * _QUARTER_MS
    if zone == "UTC":  # known also where no time-zone database is installed
        length = _HOUR_MS if per == "hour" else _DAY_MS
        return at - at % length + length
    place = ZoneInfo(zone)
    local = datetime.fromtimestamp(at // 1000, UTC).astimezone(place)
    if per == "hour":
        return at + _HOUR_MS - (local.minute * 60 + local.second) * 1000
    return _midnight(local, place)


def _midnight(local: datetime, place: tzinfo) -> int:
    """The next one; where the clock skips it, the moment at which it is skipped."""
    day = local.date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day, tzinfo=place).timestamp() * 1000)
