"""Reading telephone numbers into E.164.

A number already written `+33612345678` costs one shape check, a look-up of its calling code and one or two patterns,
and nothing when it was seen lately. Others are cleaned first. A number that fits its country's lengths but no known
range is accepted with `line_type` `unknown`: new ranges open every month before the tables know.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from msgspec import Struct

from chappe.numbers.plan import CALLING_CODES, NON_GEOGRAPHIC, LineType, Plan, locate, plan, split_calling_code

MAX_DIGITS = 15  # ITU-T E.164, 6.2.1
_MAX_RAW = 64
_CACHED = 32_768  # numbers seen lately: about 15 MB when full

_E164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_DIGITS = re.compile(r"[0-9]+").fullmatch
_TRUNK_HINT = re.compile(r"\(\s*0\s*\)")  # +44 (0)20 ...: the 0 is not dialled from abroad
_SEPARATORS = re.compile(r"[\s().\-/~\u2010-\u2015\u2212]+")
_TEXTABLE = frozenset[LineType]({"mobile", "fixed_or_mobile", "voip", "unknown"})


class NumberError(ValueError):
    """A number that cannot be used. `code` is stable: `number_empty`, `number_not_e164`, `number_too_short`,
    `number_too_long`, `number_unknown_country`, `number_impossible`; `message` says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Number(Struct, frozen=True, gc=False):
    """A telephone number. `country` is an ISO code, or `001` when no country owns it; `digits` is E.164 without `+`."""

    e164: str
    digits: str
    country: str
    calling_code: str
    line_type: LineType

    @property
    def national(self) -> str:
        """The digits after the calling code."""
        return self.digits[len(self.calling_code) :]

    @property
    def geographic(self) -> bool:
        return self.country != NON_GEOGRAPHIC


def parse(raw: str, default_country: str | None = None) -> Number:
    """The number in `raw`, written `+33 6 12...` or `0033...`; with `default_country` (ISO) also as dialled there.

    Spaces, dots, dashes, slashes and parentheses are dropped. Nothing is guessed without `default_country`: digits
    with neither `+` nor `00` raise. Raises NumberError alone.
    """
    if len(raw) > _MAX_RAW:
        raise NumberError("number_too_long", f"This is no telephone number: it has {len(raw)} characters.")
    return _parse(raw, default_country)


@lru_cache(maxsize=_CACHED)
def _parse(raw: str, default_country: str | None) -> Number:
    if _E164(raw):
        return _resolve(raw[1:])
    return _resolve(_international_digits(raw, default_country))


def _resolve(digits: str) -> Number:
    """The number of international digits."""
    split = split_calling_code(digits)
    if split is None:
        raise NumberError("number_unknown_country", f"+{digits[:3]} is no country's calling code: check the number.")
    calling_code, national = split
    if calling_code == "52" and len(national) == 11 and national[0] == "1":
        national = national[1:]  # Mexico: the 1 before mobiles went in 2019, address books keep it
    owner, line_type = locate(calling_code, national)
    if line_type == "unknown":
        if owner.general.fullmatch(national) is None and (shorter := owner.without_trunk(national)) != national:
            national = shorter
            owner, line_type = locate(calling_code, national)
        if line_type == "unknown":
            _check_length(owner, national)
    if len(calling_code) + len(national) > MAX_DIGITS:
        raise NumberError("number_too_long", f"A number has at most {MAX_DIGITS} digits with its country code.")
    digits = calling_code + national
    return Number("+" + digits, digits, owner.country, calling_code, line_type)


def _check_length(owner: Plan, national: str) -> None:
    lengths = owner.lengths
    if len(national) in lengths:
        return
    place = f"+{owner.calling_code} ({owner.country})" if owner.country != NON_GEOGRAPHIC else f"+{owner.calling_code}"
    takes = f"after {place} come {_listed(lengths)} digits, here are {len(national)}"
    if len(national) < lengths[0]:
        raise NumberError("number_too_short", f"The number is too short: {takes}.")
    if len(national) > lengths[-1]:
        raise NumberError("number_too_long", f"The number is too long: {takes}.")
    raise NumberError("number_impossible", f"No number has this length: {takes}.")


def _listed(lengths: tuple[int, ...]) -> str:
    return str(lengths[0]) if len(lengths) == 1 else ", ".join(map(str, lengths[:-1])) + f" or {lengths[-1]}"


def _international_digits(raw: str, default_country: str | None) -> str:
    """International digits of a number as people write it."""
    text = unicodedata.normalize("NFKC", raw)  # full-width and other scripts' digits, the full-width plus
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text if unicodedata.category(c) != "Cf")
    text = _SEPARATORS.sub("", _TRUNK_HINT.sub("", text))
    if not text:
        raise NumberError("number_empty", "Give a telephone number, for example +33612345678.")
    dialled = text.removeprefix("+")
    if not _DIGITS(dialled):
        raise NumberError("number_not_e164", "A telephone number has digits only: write it like +33612345678.")
    if text.startswith("+"):
        return dialled
    if default_country is not None:
        return _dialled_in(default_country.upper(), dialled)
    if dialled.startswith("00"):
        return dialled[2:]
    raise NumberError("number_not_e164", "Write the number with + and its country code, for example +33612345678.")


def _dialled_in(country: str, dialled: str) -> str:
    """International digits of what one dials in `country`."""
    home = _home_plan(country)
    abroad = home.international.match(dialled) if home.international else None
    if abroad and dialled[abroad.end() : abroad.end() + 1] not in ("", "0"):
        return dialled[abroad.end() :]
    if dialled.startswith("00"):
        return dialled[2:]
    national = home.without_trunk(dialled)
    if home.general.fullmatch(national) is None and dialled.startswith(home.calling_code):
        bare = dialled[len(home.calling_code) :]
        if home.general.fullmatch(bare):
            national = bare
    return home.calling_code + national


def _home_plan(country: str) -> Plan:
    for calling_code, countries in CALLING_CODES.items():
        if country in countries and country != NON_GEOGRAPHIC:
            return plan(country, calling_code)
    raise NumberError("number_unknown_country", f"{country} is no country: give an ISO 3166 code such as FR.")


def is_textable(number: Number) -> bool:
    """Whether a text may arrive: mobile, voip, fixed or mobile, and ranges too new to be known.

    Not fixed, premium, toll-free, shared-cost, pager, personal and company numbers, nor those that no country owns
    (satellites and international networks: a favourite of fraud).
    """
    return number.line_type in _TEXTABLE and number.geographic
