"""The forms in which customers read message ids."""

from __future__ import annotations

from typing import Final

from chappe import ids
from chappe.accounts import IdForm

_KIND: Final = "msg"
_LONGEST: Final = 20  # characters of the longest form


def write_id(form: IdForm, number: int) -> str:
    """The message_id that a customer reads. `opaque` is the id of the API without its `msg_`: letters keep a client
    from taking it for a number of another base."""
    match form:
        case "opaque":
            return ids.public(_KIND, number)[len(_KIND) + 1 :]
        case "decimal":
            return str(number)
        case "hex":
            return f"{number:x}"
        case "hex_upper":
            return f"{number:X}"


def read_id(form: IdForm, text: str) -> int | None:
    """The id behind a message_id that a customer hands back, in any case and with or without leading zeros."""
    text = text.strip().lower()
    if not text.isascii() or not text.isalnum() or len(text) > _LONGEST:
        return None
    if form == "opaque":
        return ids.parse(_KIND, f"{_KIND}_{text:0>13}")
    try:
        number = int(text, 10 if form == "decimal" else 16)
    except ValueError:
        return None
    return number if number < 1 << 63 else None
