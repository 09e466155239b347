"""Time as rooms see it: wall time in milliseconds since the epoch, and a monotonic clock in seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock(Clock):
    """A clock for tests that moves when told."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1000

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)


def rfc3339(millis: int | None) -> str | None:
    """`2026-11-21T22:04:05.678Z`, or None for None."""
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{millis % 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Milliseconds since the epoch; ValueError for anything but a date and time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset, for example 2026-11-21T22:04:05Z")
    return round(moment.timestamp() * 1000)
