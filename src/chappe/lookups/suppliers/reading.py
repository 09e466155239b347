"""Values out of a stranger's JSON: whatever it holds, nothing raises. None is what is not there or makes no sense."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from chappe.numbers import by_calling_code, country
from chappe.secrets import HIDDEN

_MAX_TEXT = 120
_MAX_PRICE = 1_000  # of one look-up, in any currency: beyond it is no price

_MCC = re.compile(r"[2-79][0-9]{2}").fullmatch  # ITU-T E.212: 0, 1 and 8 begin no MCC of a network
_MNC = re.compile(r"[0-9]{2,3}").fullmatch
_IMSI = re.compile(r"[0-9]{6,15}").fullmatch
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}").fullmatch  # RFC 6901, 4
_TRUE = frozenset({"true", "1", "y", "yes"})
_FALSE = frozenset({"false", "0", "n", "no"})


def within(value: Any, *path: str) -> Any:
    """What lies at the end of a path of names and indexes."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and _INDEX(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def words(value: Any) -> str | None:
    """A string of printable characters that says something, as long as it is: it may hold a secret, which nobody would
    find any more in what was cut."""
    if not isinstance(value, str):
        return None
    return "".join(c for c in value if c.isprintable()).strip() or None


def text(value: Any) -> str | None:
    """The first 120 characters of it."""
    return said[:_MAX_TEXT] if (said := words(value)) is not None else None


def word(value: Any) -> str | None:
    """A scalar as it is written: `true` and 1 are `true` and `1`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and abs(value) < 1 << 63 else words(value)


def flag(value: Any) -> bool | None:
    said = (word(value) or "").lower()
    return True if said in _TRUE else False if said in _FALSE else None


def number(value: Any) -> int | None:
    """A small whole number, also written as a string."""
    said = word(value) or ""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 9 else None


def operator(mcc: Any, mnc: Any) -> str | None:
    """MCC and MNC, told apart. An MNC told as a number has lost its zeros (`01` is not `001`) and is not believed."""
    area = word(mcc) or ""
    return area + mnc if _MCC(area) and isinstance(mnc, str) and _MNC(mnc) else None


def network_code(value: Any) -> str | None:
    """MCC and MNC, told in one: no MCC begins with 0, so a number will do."""
    said = word(value) or ""
    return operator(said[:3], said[3:])


def imsi(value: Any) -> str | None:
    said = word(value) or ""
    return said if _IMSI(said) else None


def iso_country(value: Any) -> str | None:
    """An ISO 3166 code of two letters that we know."""
    known = country(said) if (said := text(value)) is not None and len(said) == 2 else None
    return known.iso if known is not None else None


def country_of_calling_code(value: Any) -> str | None:
    """The only country with a calling code: 1, 7 and 44 name none."""
    said = (word(value) or "").removeprefix("+")
    owners = by_calling_code(said)
    return owners[0].iso if len(owners) == 1 else None


def micros(value: Any) -> int | None:
    """A price, a decimal in a string or a number, in millionths of its currency."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(written := str(value)) > 64:
        return None
    try:
        price = Decimal(written)
    except InvalidOperation:
        return None
    if not price.is_finite() or not 0 <= price <= _MAX_PRICE:
        return None
    return int((price * 1_000_000).to_integral_value())


def raw(value: Any, identity: str | None = None) -> bytes:
    """An answer as it is kept: JSON, without the subscriber's `identity` (IMSI)."""
    kept = msgspec.json.encode(value)
    return kept.replace(identity.encode(), HIDDEN.encode()) if identity else kept
