"""Sender addresses: what kind they are, and the rules of alphanumeric ones."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from chappe.text.alphabet import DEFAULT
from chappe.text.errors import TextError

Kind = Literal["alphanumeric", "short_code", "numeric", "invalid"]

MAX_SEPTETS = 11  # TP-OA has 10 octets of packed septets (TS 23.040, 9.1.2.5)
_NUMERIC = re.compile(r"\+?[0-9]{9,15}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)

# (TON, NPI) to begin with; short codes differ by operator, so a connector may say otherwise (SMPP 3.4, 5.2.5).
TON_NPI: dict[Kind, tuple[int, int]] = {
    "alphanumeric": (5, 0),
    "short_code": (3, 0),
    "numeric": (1, 1),
    "invalid": (0, 0),
}


@lru_cache(maxsize=4096)  # few senders, many messages
def sender_kind(sender: str) -> Kind:
    """`short_code` (3 to 8 digits), `numeric` (9 to 15 digits, `+` or not), `alphanumeric` (has a letter)."""
    if _NUMERIC.fullmatch(sender):
        return "numeric"
    if _SHORT_CODE.fullmatch(sender):
        return "short_code"
    return "alphanumeric" if any(char.isalpha() for char in sender) else "invalid"


def check_alphanumeric(sender: str, marks: str = "&.-_") -> TextError | None:
    """Why an alphanumeric sender cannot be used, or None. `marks` are the signs allowed beside letters and digits.

    Letters are A-Z: handsets and filters disagree on others. `@` is refused whatever `marks` says: it is septet 0,
    which ends the field on the wire.
    """
    fault = _fault(sender, marks)
    return TextError("invalid_sender", fault, "from") if fault else None


@lru_cache(maxsize=4096)
def _fault(sender: str, marks: str) -> str | None:
    if not sender:
        return "The sender is empty."
    if sender != sender.strip():
        return "The sender starts or ends with a space."
    alien = [
        c for c in dict.fromkeys(sender) if c == "@" or not (c == " " or (c.isascii() and c.isalnum()) or c in marks)
    ]
    if alien:
        return f"A sender takes A-Z, a-z, 0-9, space and {marks or 'no signs'}, not: {' '.join(alien)}"
    if not any(char.isalpha() for char in sender):
        return "A sender name has at least one letter; for a number use its international form."
    septets = DEFAULT.encode(sender)
    if septets is None or len(septets) > MAX_SEPTETS:
        return f"The sender takes {len(septets or sender)} places and the limit is {MAX_SEPTETS}."
    return None
