"""How many messages a person may get in a time. Pure: told when the earlier ones went."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_CAP = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,2})(h|d)")
_MS = {"h": 3_600_000, "d": 86_400_000}
LONGEST = 92 * _MS["d"]  # how long it is known when somebody got a message


class Cap(NamedTuple):
    """At most `most` in any `period` (milliseconds): stricter than by the calendar, and the same in all zones."""

    most: int
    period: int


@lru_cache(maxsize=1_024)
def parse(text: str) -> Cap:
    """`3/24h`, `8/30d`. Raises ValueError."""
    read = _CAP.fullmatch(text)
    if read is None:
        raise ValueError(f"{text} is not of the form 3/24h or 8/30d")
    cap = Cap(int(read[1]), int(read[2]) * _MS[read[3]])
    if cap.period > LONGEST:
        raise ValueError(f"{text} counts further back than {LONGEST // _MS['d']} days")
    return cap


def free_at(cap: Cap, earlier: Sequence[int], at: int) -> int:
    """The first moment from `at` on at which one more may go, if none goes until then.

    `earlier` are the moments (milliseconds) of those that went or will go, in any order; one that went `period` ago
    counts no more.
    """
    counted = sorted(moment for moment in earlier if moment > at - cap.period)
    if len(counted) < cap.most:
        return at
    return counted[-cap.most] + cap.period


__all__ = ["LONGEST", "Cap", "free_at", "parse"]
