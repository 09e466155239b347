"""Numbering plans by calling code: which lengths exist, whose number it is, what kind of line.

The facts are the metadata of `phonenumbers` (the published numbering plans, updated about monthly); its patterns are
compiled here once per country and asked directly, which is an order of magnitude faster than parsing through it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from msgspec import Struct
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

LineType = Literal[
    "mobile",
    "fixed",
    "fixed_or_mobile",
    "premium",
    "toll_free",
    "shared_cost",
    "voip",
    "personal",
    "pager",
    "uan",
    "voicemail",
    "unknown",
]

NON_GEOGRAPHIC = "001"
"""The country of numbers that no country owns: satellites, international networks, +800, +979."""

CALLING_CODES: dict[str, tuple[str, ...]] = {
    str(code): tuple(regions) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()
}
"""Calling code to its countries, the main one first."""

# In the order in which a plan's descriptions take precedence; fixed and mobile may overlap.
_KINDS: tuple[tuple[LineType, str], ...] = (
    ("premium", "premium_rate"),
    ("toll_free", "toll_free"),
    ("shared_cost", "shared_cost"),
    ("voip", "voip"),
    ("personal", "personal_number"),
    ("pager", "pager"),
    ("uan", "uan"),
    ("voicemail", "voicemail"),
    ("fixed", "fixed_line"),
    ("mobile", "mobile"),
)


class Plan(Struct, frozen=True):
    """One country's plan. Patterns apply to the national number: digits after the calling code."""

    country: str
    calling_code: str
    lengths: tuple[int, ...]
    leading: re.Pattern[str] | None
    general: re.Pattern[str]
    kinds: tuple[tuple[LineType, re.Pattern[str]], ...]
    mobile: re.Pattern[str] | None
    trunk: re.Pattern[str] | None
    trunk_becomes: str | None
    international: re.Pattern[str] | None

    def line_type(self, national: str) -> LineType:
        if self.general.fullmatch(national) is None:
            return "unknown"
        for kind, pattern in self.kinds:
            if pattern.fullmatch(national):
                if kind == "fixed" and self.mobile is not None and self.mobile.fullmatch(national):
                    return "fixed_or_mobile"
                return kind
        return "unknown"

    def without_trunk(self, dialled: str) -> str:
        """The national number of digits dialled inside the country: the trunk prefix (often 0) goes."""
        match = self.trunk.match(dialled) if self.trunk else None
        if match is None or match.end() == 0:
            return dialled
        rest = dialled[match.end() :]
        if self.trunk_becomes and match.re.groups and match[match.re.groups]:
            rest = match.expand(self.trunk_becomes) + rest
        sound = self.general.fullmatch(rest) is not None or self.general.fullmatch(dialled) is None
        return rest if sound and len(rest) in self.lengths else dialled


@cache
def plan(country: str, calling_code: str) -> Plan:
    """The plan of a country; `calling_code` finds it for non-geographic numbers."""
    if country == NON_GEOGRAPHIC:
        metadata = PhoneMetadata.metadata_for_nongeo_region(int(calling_code))
    else:
        metadata = PhoneMetadata.metadata_for_region(country)
    assert metadata is not None and metadata.general_desc is not None  # every country of CALLING_CODES has a plan
    general = metadata.general_desc.national_number_pattern
    patterns = {
        kind: re.compile(desc.national_number_pattern, re.ASCII)
        for kind, field in _KINDS
        if (desc := getattr(metadata, field)) is not None and desc.national_number_pattern
    }
    return Plan(
        country=country,
        calling_code=calling_code,
        lengths=tuple(metadata.general_desc.possible_length),
        leading=_compiled(metadata.leading_digits),
        general=re.compile(general or "", re.ASCII),
        kinds=tuple(patterns.items()),
        mobile=patterns.get("mobile"),
        trunk=_compiled(metadata.national_prefix_for_parsing),
        trunk_becomes=metadata.national_prefix_transform_rule,
        international=_compiled(metadata.international_prefix),
    )


@cache
def plans(calling_code: str) -> tuple[Plan, ...]:
    """The plans that share a calling code, the main country first."""
    return tuple(plan(country, calling_code) for country in CALLING_CODES[calling_code])


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern, re.ASCII) if pattern else None


def split_calling_code(digits: str) -> tuple[str, str] | None:
    """(calling code, national number) of international digits; None when no country has that code."""
    for length in (1, 2, 3):  # calling codes are prefix-free (ITU-T E.164, annex to the Operational Bulletin)
        if digits[:length] in CALLING_CODES:
            return digits[:length], digits[length:]
    return None


def locate(calling_code: str, national: str) -> tuple[Plan, LineType]:
    """Whose number it is and what kind of line; the main country with `unknown` when no plan has it."""
    candidates = plans(calling_code)
    if len(candidates) > 1:
        for candidate in candidates:
            if candidate.leading is not None:
                if candidate.leading.match(national):
                    return candidate, candidate.line_type(national)
            elif (kind := candidate.line_type(national)) != "unknown":
                return candidate, kind
        return candidates[0], "unknown"
    return candidates[0], candidates[0].line_type(national)
