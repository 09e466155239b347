"""How long receipts take: a small histogram of delays, four buckets an octave. Pure.

A histogram is a dict of bucket -> weight. A bucket is found from a delay by shifting bits alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Final

Histogram = dict[int, float]

_LEAST: Final = 8  # ms: all that is quicker is one bucket
LAST: Final = (33 << 2) - 1  # 2^32 ms, some 50 days


def bucket(ms: int) -> int:
    """The bucket of a delay in milliseconds: its octave and which quarter of it."""
    if ms < _LEAST:
        ms = _LEAST
    bits = ms.bit_length()
    return (bits << 2 | ms >> bits - 3 & 3) if bits <= 32 else LAST


def begin(index: int) -> int:
    """The shortest delay of a bucket, in milliseconds."""
    return (4 + (index & 3)) << (index >> 2) - 3


def quantile(found: Mapping[int, float], share: float) -> float | None:
    """The delay within which that share lies, in milliseconds; None when nothing was measured."""
    total = sum(found.values())
    if total <= 0.0:
        return None
    left = share * total
    index = 0
    for index in sorted(found):
        weight = found[index]
        if weight >= left:
            return begin(index) + (begin(index + 1) - begin(index)) * (left / weight if weight else 0.0)
        left -= weight
    return float(begin(index + 1))


def within(found: Mapping[int, float], ms: float) -> float:
    """The share that took at most so long; 0 when nothing was measured."""
    total = sum(found.values())
    if total <= 0.0:
        return 0.0
    passed = 0.0
    for index, weight in found.items():
        low, high = begin(index), begin(index + 1)
        passed += weight * min(1.0, max(0.0, (ms - low) / (high - low)))
    return passed / total


def curve(found: Mapping[int, float], prior: Mapping[int, float]) -> list[float]:
    """For each bucket the share that has come by the middle of it; `prior` is added to what was measured."""
    total = sum(found.values()) + sum(prior.values())
    passed, made = 0.0, []
    for index in range(LAST + 1):
        weight = found.get(index, 0.0) + prior.get(index, 0.0)
        made.append((passed + weight / 2.0) / total)
        passed += weight
    return made


def spread(found: Mapping[int, float]) -> float | None:
    """The standard deviation of the delays' natural logarithm: 0.1 is within some 10 % of each other, 1 within a factor
    of e. None when nothing was measured."""
    total = sum(found.values())
    if total <= 0.0:
        return None
    points = [(log((begin(index) + begin(index + 1)) / 2.0), weight) for index, weight in found.items()]
    mean = sum(x * weight for x, weight in points) / total
    return sqrt(sum(weight * (x - mean) ** 2 for x, weight in points) / total)
