"""What may be a telephone number in a text: digits as people group them. Pure; whose number it is, `numbers` knows."""

from __future__ import annotations

import re
from typing import NamedTuple

# a slash parts dates and amounts more often than telephone numbers
_DIGITS = re.compile(r"(?<![\w.,:/@#+-])\+?\(?\d(?:\d|[ .()-]{1,2}(?=[\d(])){0,60}")
_GOES_ON = re.compile(r"[\w@/]")
_DATE = re.compile(r"(?:\d{1,2}[.-]\d{1,2}[.-](?:19|20)\d\d|(?:19|20)\d\d[.-]\d\d[.-]\d\d)(?!\d)")
_RUN = re.compile(r"\d{3,}")  # quickly found, and then looked at
_SHORT = re.compile(r"(?<![\w.,:/@#+-])\d{3,6}(?![\w@/%€$£]|[.,:-]\d)")
_LEAST, _MOST = 7, 17


class Digits(NamedTuple):
    """`written` stands at [start, end); `international` begins with + or 00."""

    start: int
    end: int
    written: str
    international: bool


def find_phones(text: str) -> list[Digits]:
    """Groups of 7 to 17 digits that are no date, in their order."""
    found = []
    for match in _DIGITS.finditer(text):
        written = match[0]
        count = sum(map(str.isdigit, written))
        alone = _GOES_ON.match(text, match.end()) is None and _DATE.match(written) is None
        if alone and _LEAST <= count <= _MOST:
            found.append(Digits(match.start(), match.end(), written, written.startswith(("+", "00"))))
    return found


def find_short_codes(text: str) -> list[Digits]:
    """Numbers of 3 to 6 digits that stand alone."""
    found = (_SHORT.match(text, run.start()) for run in _RUN.finditer(text))
    return [Digits(match.start(), match.end(), match[0], False) for match in found if match is not None]
