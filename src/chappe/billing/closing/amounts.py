"""Amounts as they stand on paper. Pure; everything is in integers of micro-units.

The ledger is exact to the micro-unit, an invoice to the smallest unit of its currency. Each line is rounded by itself,
so that whoever adds up the paper comes to its total, and half a unit goes away from zero, as spreadsheets and
accountants round (DIN 1333). What the rounding makes of the whole is booked too.
"""

from __future__ import annotations

PER_UNIT = 1_000_000

# ISO 4217, list one (SIX Financial Information): those whose smallest unit is no hundredth
_NONE = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DIGITS = dict.fromkeys(_NONE, 0) | dict.fromkeys(_THREE, 3)


def digits(currency: str) -> int:
    """Places behind the point."""
    return _DIGITS.get(currency, 2)


def rounded(micros: int, currency: str) -> int:
    """To the smallest unit, still in micro-units; half of one goes away from zero."""
    return _nearest(micros, 10 ** (6 - digits(currency)))


def share(micros: int, part: int, whole: int) -> int:
    """`micros * part / whole`, to the nearest micro-unit."""
    return _nearest(micros * part, whole) // whole


def spelt(micros: int, currency: str) -> str:
    """A rounded amount: `1234.50` of EUR, `1234` of JPY."""
    places = digits(currency)
    units, rest = divmod(abs(micros), PER_UNIT)
    sign = "-" if micros < 0 else ""
    return f"{sign}{units}.{rest // 10 ** (6 - places):0{places}d}" if places else f"{sign}{units}"


def _nearest(amount: int, step: int) -> int:
    """The multiple of `step` that is nearest."""
    size = (2 * abs(amount) + step) // (2 * step) * step
    return size if amount >= 0 else -size
