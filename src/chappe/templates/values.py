"""Values as templates take them: checked against the declared type and length."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from chappe.templates.faults import Fault
from chappe.templates.filters import Day
from chappe.templates.measure import MAX_CLUSTER, UNICODE, cost, level_of, longest_cluster
from chappe.templates.model import OPT_OUT_LINK, Kind, Variable
from chappe.text import TextError, normalise, transliterate

_MONEY = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})? [A-Z]{3}")
_CODE = re.compile(r"[A-Za-z0-9-]{1,64}")
_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


class Amount(Decimal):
    """A number that is written without an exponent."""

    def __str__(self) -> str:
        return format(self, "f")


def fitted(variables: Mapping[str, Variable], given: Mapping[str, object]) -> dict[str, object]:
    """All values of a rendering. Raises Fault template_value that names the variable."""
    for name in given:
        if name not in variables:
            raise Fault("template_value", f"The template has no variable {name[:60]}.", variable=name[:60])
    return {name: fit(name, variable, given.get(name)) for name, variable in variables.items()}


def fit(name: str, variable: Variable, value: object) -> object:
    """One value; None for an optional one that is not given. Raises Fault template_value."""
    if value is None:
        if variable.optional:
            return None
        raise Fault("template_value", f"The variable {name} is missing.", variable=name)
    read = _read(variable, value)
    if read is None:
        raise Fault("template_value", f"{name} is no {variable.type}: {_FORMS[variable.type]}", variable=name)
    text = str(read)
    if OPT_OUT_LINK in text:
        words = f"{name} must not hold {OPT_OUT_LINK}, in whose place a link is put."
        raise Fault("template_value", words, variable=name)
    if cost(text) > variable.most:
        words = f"{name} counts {cost(text)} and may count {variable.most}."
        raise Fault("template_value", words, variable=name)
    if variable.alphabet == "gsm7" and level_of(text) == UNICODE:
        raise Fault("template_value", f"{name} has characters that GSM-7 lacks.", variable=name)
    if longest_cluster(text) > MAX_CLUSTER:
        raise Fault("template_value", f"{name} has a character with too many marks on it.", variable=name)
    return read


_FORMS: dict[Kind, str] = {
    "text": "give a string.",
    "number": "give a number.",
    "date": "write 2027-01-31, or 2027-01-31T18:30:00Z.",
    "money": "write 12.50 EUR.",
    "url": "write https://example.com/path in ASCII, without spaces.",
    "code": "use letters, digits and -.",
}


def _read(variable: Variable, value: object) -> object | None:
    if isinstance(value, bool):
        return None
    match variable.type:
        case "text":
            return _text(variable, value) if isinstance(value, str) else None
        case "number":
            return _number(value)
        case "date":
            return _date(value) if isinstance(value, str) else None
        case "money":
            return value if isinstance(value, str) and _MONEY.fullmatch(value) else None
        case "url":
            return value if isinstance(value, str) and "`" not in value and _URL.fullmatch(value) else None
        case "code":
            return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _text(variable: Variable, value: str) -> str | None:
    try:
        text, _ = normalise(value)
    except TextError:
        return None
    if variable.alphabet == "gsm7" and level_of(text) == UNICODE:
        plain = transliterate(text)
        return text if plain is None else plain[0]
    return text


def _number(value: object) -> Amount | None:
    if not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Amount(str(value)) if not isinstance(value, str) or _NUMBER.fullmatch(value) else None
    except (InvalidOperation, ValueError):
        return None
    # the written form of 1e999999 would be a megabyte
    return number if number is not None and number.is_finite() and abs(number.adjusted()) <= 40 else None


def _date(value: str) -> Day | None:
    try:
        if len(value) == 10:
            return Day(datetime.combine(date.fromisoformat(value), datetime.min.time()), timed=False)
        return Day(datetime.fromisoformat(value), timed=True) if len(value) <= 40 else None
    except ValueError:
        return None
