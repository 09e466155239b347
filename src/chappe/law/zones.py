"""In which time zones a number's owner may live, remembered by its beginning."""

from __future__ import annotations

from functools import lru_cache

from chappe import numbers
from chappe.numbers import LineType, Number

_PREFIX = 9  # digits; no area in the time-zone tables of phonenumbers has more


def zones(number: Number) -> tuple[str, ...]:
    """As `numbers.time_zones`: all that are possible, one if its beginning names a place."""
    return _zones(number.country, number.calling_code, number.line_type, number.digits[:_PREFIX])


@lru_cache(maxsize=32_768)
def _zones(country: str, calling_code: str, line_type: LineType, beginning: str) -> tuple[str, ...]:
    return numbers.time_zones(Number("+" + beginning, beginning, country, calling_code, line_type))


__all__ = ["zones"]
