"""Persons as they are stored, from what people write. Pure."""

from __future__ import annotations

import re

from chappe import numbers
from chappe.errors import Refused
from chappe.numbers import NumberError

_MAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")  # RFC 5321, 4.5.3.1: 254 octets in all
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,255}")
_WORDS = "Write a number as +33612345678, or mail:name@example.com, push:TOKEN, alias:NAME."


def address(text: str, country: str | None = None) -> str:
    """`+33612345678`, `mail:name@example.com` (in lower case), `push:...` or `alias:...`.

    A number may be written in any way, also as dialled in `country` (ISO). Raises Refused, param `person`.
    """
    written = text.strip()
    kind, colon, name = written.partition(":")
    if colon and kind.lower() in ("push", "alias"):
        if not _NAME.fullmatch(name):
            raise Refused(
                "invalid_value", f"{_shown(text)} is no {kind.lower()} address.", param="person", action=_WORDS
            )
        return f"{kind.lower()}:{name}"
    if "@" in written or kind.lower() == "mail":
        mail = name if colon and kind.lower() == "mail" else written
        if not _MAIL.fullmatch(mail):
            raise Refused("invalid_value", f"{_shown(text)} is no mail address.", param="person", action=_WORDS)
        return f"mail:{mail.lower()}"
    try:
        return numbers.parse(written, country).e164
    except NumberError as error:
        raise Refused(error.code, error.message, param="person", action=_WORDS) from None


def _shown(text: str) -> str:
    return ascii(text[:40])
