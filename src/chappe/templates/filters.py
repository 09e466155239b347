"""The filters of templates. Each takes a value and gives a text; `worst.py` knows how each lets a text grow."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from liquid.exceptions import FilterArgumentError

from chappe.text.normalise import clusters

Filter = Callable[..., object]

MAX_TRUNCATE = 1_000
# Only these: what the platform's strftime takes may be a number of thousands of digits, or differ between machines.
_CODES: dict[str, tuple[Callable[[datetime], str], int]] = {
    "d": (lambda at: f"{at.day:02}", 2),
    "-d": (lambda at: str(at.day), 2),
    "m": (lambda at: f"{at.month:02}", 2),
    "-m": (lambda at: str(at.month), 2),
    "Y": (lambda at: f"{at.year:04}", 4),
    "y": (lambda at: f"{at.year % 100:02}", 2),
    "H": (lambda at: f"{at.hour:02}", 2),
    "-H": (lambda at: str(at.hour), 2),
    "I": (lambda at: f"{at.hour % 12 or 12:02}", 2),
    "M": (lambda at: f"{at.minute:02}", 2),
    "p": (lambda at: "AM" if at.hour < 12 else "PM", 2),
    "%": (lambda at: "%", 1),
}
_CODE = re.compile(r"%(-?.|$)", re.DOTALL)


class Day(str):
    """A date, or a date and time, as it is written without a filter."""

    __slots__ = ("at",)
    at: datetime

    def __new__(cls, at: datetime, *, timed: bool) -> Day:
        day = super().__new__(cls, at.strftime("%Y-%m-%d %H:%M") if timed else at.date().isoformat())
        day.at = at
        return day


def _text(value: object) -> str:
    """As the language writes a value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _append(value: object, other: object) -> str:
    return _text(value) + _text(other)


def _prepend(value: object, other: object) -> str:
    return _text(other) + _text(value)


def _upcase(value: object) -> str:
    return "".join(map(_upper, _text(value)))


def _downcase(value: object) -> str:
    return "".join(map(_lower, _text(value)))


def _capitalize(value: object) -> str:
    text = _text(value)
    return "".join(map(_upper, text[:1])) + text[1:]


def _upper(char: str) -> str:
    """A letter whose capital is several (ß, some ligatures) stays: the case never makes a text longer."""
    capital = char.upper()
    return capital if len(capital) == 1 else char


def _lower(char: str) -> str:
    small = char.lower()
    return small if len(small) == 1 else char


def _strip(value: object) -> str:
    return _text(value).strip()


def _remove(value: object, what: object) -> str:
    return _text(value).replace(_text(what), "") if _text(what) else _text(value)


def _default(value: object, other: object) -> object:
    return other if value is None or value is False or _text(value) == "" else value


def _truncate(value: object, length: object, ending: object = "...") -> str:
    """At most so many characters, the ending among them; what a reader takes for one character is not cut."""
    text, tail = _text(value), _text(ending)
    if not isinstance(length, int) or not 1 <= length <= MAX_TRUNCATE:
        raise FilterArgumentError(f"truncate takes a length from 1 to {MAX_TRUNCATE}", token=None)
    if len(text) <= length:
        return text
    room = max(0, length - len(tail))
    kept = ""
    for cluster in clusters(text[: room + 1]) if room else ():
        if len(kept) + len(cluster) > room:
            break
        kept += cluster
    return (kept + tail)[:length]


def _date(value: object, form: object) -> str:
    if not isinstance(value, Day):
        raise FilterArgumentError("date is for variables of the type date", token=None)
    codes = date_codes(_text(form))
    if codes is None:
        raise FilterArgumentError(f"date takes the codes %{' %'.join(_CODES)}", token=None)
    return _CODE.sub(lambda code: _CODES[code[1]][0](value.at), _text(form))


def date_codes(form: str) -> int | None:
    """The most characters that the codes of a form stand for, None where one of them is unknown."""
    codes = [code[1] for code in _CODE.finditer(form)]
    return sum(_CODES[code][1] for code in codes) if all(code in _CODES for code in codes) else None


def date_rest(form: str) -> str:
    """What stands between the codes of a form."""
    return _CODE.sub("", form)


ALL: dict[str, Filter] = {
    "append": _append,
    "capitalize": _capitalize,
    "date": _date,
    "default": _default,
    "downcase": _downcase,
    "prepend": _prepend,
    "remove": _remove,
    "strip": _strip,
    "truncate": _truncate,
    "upcase": _upcase,
}
