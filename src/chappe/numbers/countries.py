"""Countries: ISO 3166 code, English name, calling code, IANA time zones in the order of the tz database."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from msgspec import Struct
from phonenumbers import PhoneNumberType
from phonenumbers.phonenumberutil import is_number_type_geographical

from chappe.numbers.number import Number


class Country(Struct, frozen=True):
    """A country or territory with a numbering plan; `time_zones` are IANA names."""

    iso: str
    name: str
    calling_code: str
    time_zones: tuple[str, ...]


@cache
def countries() -> dict[str, Country]:
    """All countries by ISO code."""
    with resources.files(__package__).joinpath("countries.csv").open(encoding="utf-8") as lines:
        return {
            row["iso"]: Country(row["iso"], row["name"], row["calling_code"], tuple(row["time_zones"].split()))
            for row in csv.DictReader(lines)
        }


def country(iso: str) -> Country | None:
    """The country of an ISO code, or None."""
    return countries().get(iso.upper())


def by_calling_code(calling_code: str) -> tuple[Country, ...]:
    """The countries that share a calling code (digits, no `+`)."""
    return tuple(found for found in countries().values() if found.calling_code == calling_code)


def time_zones(number: Number) -> tuple[str, ...]:
    """Every time zone in which the number's owner may live: its prefix's if that names a place, else its country's.

    A rule about hours must hold in all of them: a Russian mobile or a toll-free number has many.
    """
    if not _names_a_place(number):
        return _of_country(number)
    # Loaded here: thousands of prefixes that most processes never need.
    from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

    for length in range(min(len(number.digits), TIMEZONE_LONGEST_PREFIX), 0, -1):
        if zones := TIMEZONE_DATA.get(number.digits[:length]):
            return tuple(zones)
    return _of_country(number)


def _of_country(number: Number) -> tuple[str, ...]:
    home = country(number.country)
    return home.time_zones if home else ()


def _names_a_place(number: Number) -> bool:
    """Fixed lines have area codes everywhere, mobiles in a few countries only."""
    if number.line_type == "mobile":
        return is_number_type_geographical(PhoneNumberType.MOBILE, int(number.calling_code))
    return number.line_type in ("fixed", "fixed_or_mobile")
