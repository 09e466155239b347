"""How one customer wants to be spoken to: what this server obeys of a login's dialect, and the forms of message ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from chappe import ids
from chappe.accounts import LoginDialect
from chappe.messages.model import Purpose

Alphabet = Literal["gsm7", "gsm7_packed", "latin1", "ascii"]
IdForm = Literal["opaque", "decimal", "hex", "hex_upper"]


class Dialect(Struct, frozen=True, omit_defaults=True):
    """The fields of `accounts.LoginDialect`, and what else a login may say once it has the field.

    `message_id` is the form of ids in responses and in the receipted_message_id TLV; `receipt_id` that of `id:` in the
    text of receipts, where it differs. `country` (ISO) completes national numbers. `purposes` reads the purpose of a
    message from its service_type, `purpose_tlv` from a TLV that holds its name. `long_messages` says how a message
    from a phone comes that fits no single deliver_sm. `inbound` off keeps messages from phones away from this login.
    `reasons` adds additional_status_info_text to every refusal: before SMPP 5.0 only data_sm_resp has it, and there are
    clients that stumble over it elsewhere.
    """

    default_alphabet: Alphabet = "gsm7"
    receipt_dates: Literal[10, 12, 14] = 10
    receipt_timezone_minutes: int = 0
    receipt_tlvs: bool = True
    receipt_text: bool = True
    plus: bool = False
    ton_npi: bool = True
    message_id: IdForm = "opaque"
    receipt_id: IdForm | None = None
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    purposes: Mapping[str, Purpose] = {}
    purpose_tlv: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None
    long_messages: Literal["udh", "payload"] = "udh"
    inbound: bool = True
    reasons: bool = False


def dialect_of(login_dialect: LoginDialect) -> Dialect:
    """What this server obeys of a login's dialect."""
    return msgspec.convert(msgspec.to_builtins(login_dialect), Dialect)


# -- message ids -----------------------------------------------------------------------------------------------------

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
