"""Telephone numbers: E.164, countries, kinds of line, operators, number ranges. Pure look-ups over data files.

An operator's own tables come in through `read_operators` and `read_ranges`, whose result is not to be used while it has
faults; what is kept of them is the caller's business.
"""

from chappe.numbers.countries import Country, by_calling_code, countries, country, time_zones
from chappe.numbers.importing import Imported, ImportedOperators, read_operators, read_ranges
from chappe.numbers.number import Number, NumberError, is_textable, parse
from chappe.numbers.operators import Operator, Operators, is_mccmnc, operators
from chappe.numbers.plan import LineType
from chappe.numbers.ranges import Holder, Range, Ranges, portable, published_ranges

__all__ = [
    "Country",
    "Holder",
    "Imported",
    "ImportedOperators",
    "LineType",
    "Number",
    "NumberError",
    "Operator",
    "Operators",
    "Range",
    "Ranges",
    "by_calling_code",
    "countries",
    "country",
    "is_mccmnc",
    "is_textable",
    "operators",
    "parse",
    "portable",
    "published_ranges",
    "read_operators",
    "read_ranges",
    "time_zones",
]
