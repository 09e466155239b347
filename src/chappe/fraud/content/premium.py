"""Telephone numbers in a text: whose they are, and which cost more than a call. Pure.

Numbers are told by the published numbering plans, short codes by the short-number metadata of `phonenumbers`, which
has the premium ranges of countries that publish them.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from phonenumbers import PhoneMetadata

from chappe.numbers import Number, NumberError, parse
from chappe.text.phones import Digits

# what stands in front of a number to text or call, and never in front of a code to type in
CALLS = frozenset(
    [
        "to",
        "au",
        "an",
        "al",
        "a",
        "na",
        "на",
        "op",
        "til",
        "ao",
        "call",
        "dial",
        "text",
        "sms",
        "appelez",
        "envoyez",
        "llame",
        "ligue",
        "звоните",
    ]
)


@lru_cache(maxsize=8_192)
def telephone(written: str, international: bool, country: str) -> Number | None:
    """The number that digits are, if its range is known; digits without + or 00 must begin as one dials them
    inside the country, or be grouped where one dials nothing in front: else they are as well the number of an order."""
    if not international and not _is_dialled(written, country):
        return None
    try:
        number = parse(written, country or None)
    except NumberError:
        return None
    return None if number.line_type == "unknown" else number


def _is_dialled(written: str, country: str) -> bool:
    """Whether digits look like those that one dials inside the country."""
    if not country:
        return False
    trunk = _trunk(country)
    if trunk in ("", "1"):  # North America leaves it out
        return not written.isdigit()
    return written.lstrip("(").startswith(trunk)


@cache
def _trunk(country: str) -> str:
    metadata = PhoneMetadata.metadata_for_region(country)
    return (metadata.national_prefix or "") if metadata else ""


@cache
def _premium_short(country: str) -> re.Pattern[str] | None:
    metadata = PhoneMetadata.short_metadata_for_region(country) if country else None
    pattern = metadata.premium_rate.national_number_pattern if metadata and metadata.premium_rate else None
    return re.compile(pattern, re.ASCII) if pattern else None


def is_premium_short(text: str, code: Digits, country: str) -> bool:
    """Whether a text asks to write to or call a premium short code of the country."""
    premium = _premium_short(country)
    if premium is None or premium.fullmatch(code.written) is None:
        return False
    before = text[max(0, code.start - 24) : code.start].split()
    return bool(before) and before[-1].lower().strip(":") in CALLS
