"""How often somebody may come, in bounded memory. Pure: the time is an argument.

Many phones share an address of their carrier, so it may bring many people; only those who guess links are held short.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address, ip_network
from typing import NamedTuple

MOST = 20_000  # addresses or links remembered a limit; who was not seen for longest is forgotten


class Pace(NamedTuple):
    """So many at once, and so many a second after that."""

    burst: float
    per_s: float


PEOPLE = Pace(300, 20.0)  # by address
GUESSES = Pace(10, 0.1)  # by address, links that are forged
VISITS = Pace(30, 0.5)  # by link


class Limit:
    """A bucket for each of many."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, whose: object, now: float) -> float:
        """0 if they may, else the seconds to wait."""
        left, seen = self._buckets.pop(whose, (self._pace.burst, now))
        left = min(self._pace.burst, left + (now - seen) * self._pace.per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._pace.per_s
        self._buckets[whose] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return wait


def neighbourhood(address: str) -> str:
    """Whom a limit by address holds together: an IPv4 address, or the 64 bits of IPv6 that one line gets."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return address if ip.version == 4 else str(ip_network(f"{address.partition('%')[0]}/64", strict=False))
