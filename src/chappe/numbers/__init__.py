"""Telephone numbers: E.164, countries, kinds of line. Pure look-ups over data files."""

from chappe.numbers.countries import Country, by_calling_code, countries, country, time_zones
from chappe.numbers.number import Number, NumberError, is_textable, parse
from chappe.numbers.plan import LineType

__all__ = [
    "Country",
    "LineType",
    "Number",
    "NumberError",
    "by_calling_code",
    "countries",
    "country",
    "is_textable",
    "parse",
    "time_zones",
]
