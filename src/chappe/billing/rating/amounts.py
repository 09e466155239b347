"""Amounts as people write them. Pure."""

from __future__ import annotations

import re

from chappe.billing.ledger.model import PER_UNIT, decimal

_DECIMAL = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,12})(?:\.(?P<part>\d{1,6}))?", re.ASCII)


def micros(text: str) -> int:
    """Micro-units of a decimal number: "0.0725" is 72,500. ValueError for anything else, and beyond six decimals."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError("an amount is a decimal number with at most six decimals, for example 0.0725")
    amount = int(found["whole"]) * PER_UNIT + int(f"{found['part'] or '0':0<6}")
    return -amount if found["sign"] else amount


def percent(ppm: int) -> str:
    """25,000 parts per million are "2.5"."""
    text = f"{ppm // 10_000}.{ppm % 10_000:04d}".rstrip("0")
    return text.rstrip(".")


__all__ = ["decimal", "micros", "percent"]
