"""A PDU for human eyes: every field by name, bit fields spelt out, and what must not be read blanked.

Redaction hides passwords and texts. Of a receipt's text only what follows its `text:` label is hidden: ids, states and
dates are what one looks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from chappe.smpp import commands, status, tlv
from chappe.smpp.commands import RESPONSE, Shape
from chappe.smpp.pdu import HEADER_SIZE, Pdu, PduError, decode
from chappe.smpp.receipt import NETWORKS, MessageState, parse_text

# SMPP 3.4, 5.2.12
_MODES: Final = ("default mode", "datagram", "forward", "store and forward")
_TYPES: Final = {
    0x00: "message",
    0x04: "delivery receipt",
    0x08: "SME delivery acknowledgement",
    0x10: "user acknowledgement",
    0x18: "conversation abort",
    0x20: "intermediate notification",
}
# SMPP 3.4, 5.2.17; success only is 5.0
_RECEIPTS: Final = ("no receipt", "receipt on success and failure", "receipt on failure", "receipt on success")
_ACKS: Final = ("", "delivery acknowledgement", "user acknowledgement", "delivery and user acknowledgement")
# SMPP 3.4, 5.2.19
_CODINGS: Final = {
    0x00: "message centre default",
    0x01: "IA5 (ASCII)",
    0x02: "octets",
    0x03: "Latin-1",
    0x04: "octets",
    0x05: "JIS",
    0x06: "Cyrillic (ISO 8859-5)",
    0x07: "Hebrew (ISO 8859-8)",
    0x08: "UCS-2",
    0x09: "pictogram",
    0x0A: "ISO-2022-JP",
    0x0D: "extended Kanji JIS",
    0x0E: "KS C 5601",
}
_ALPHABETS: Final = ("default alphabet", "8-bit data", "UCS-2", "reserved alphabet")
_WAITING: Final = {0xC: "discard the message", 0xD: "store the message", 0xE: "store the message, UCS-2"}
_TONS: Final = ("unknown", "international", "national", "network specific", "subscriber", "alphanumeric", "abbreviated")
_NPIS: Final = {
    0: "unknown",
    1: "E.164",
    3: "X.121",
    4: "F.69",
    6: "E.212",
    8: "national",
    9: "private",
    10: "ERMES",
    14: "IP",
    18: "WAP",
}
_CONGESTION: Final = ((0, "idle"), (29, "low"), (49, "medium"), (79, "high"), (89, "optimum"), (99, "nearly congested"))


def esm_class(value: int) -> str:
    """`store and forward, delivery receipt, UDH`."""
    kind = value & 0x3C
    parts = [_MODES[value & 3], _TYPES.get(kind, f"type 0x{kind:02X}")]
    parts += [word for bit, word in ((0x40, "UDH"), (0x80, "reply path")) if value & bit]
    return ", ".join(parts)


def registered_delivery(value: int) -> str:
    """`receipt on failure, intermediate notification`."""
    parts = [_RECEIPTS[value & 3], _ACKS[value >> 2 & 3], "intermediate notification" if value & 0x10 else ""]
    return ", ".join(filter(None, parts))


def data_coding(value: int) -> str:
    """The alphabet; for a GSM data coding scheme in the upper nibble also the class (3GPP TS 23.038, 4)."""
    if value in _CODINGS:
        return _CODINGS[value]
    group = value >> 4
    if group == 0xF:
        return f"{_ALPHABETS[value >> 2 & 1]}, {_message_class(value)}"
    if group in _WAITING:
        return f"message waiting, {_WAITING[group]}"
    if 0x1 <= group <= 0x7:
        parts = [_ALPHABETS[value >> 2 & 3]]
        parts += [_message_class(value)] if group & 1 else []
        parts += ["compressed"] if group & 2 else []
        parts += ["automatic deletion"] if group & 4 else []
        return ", ".join(parts)
    return "reserved"


def _message_class(value: int) -> str:
    return ("class 0 (flash)", "class 1", "class 2 (SIM)", "class 3")[value & 3]


def _at(words: tuple[str, ...], value: int) -> str:
    return words[value] if value < len(words) else "reserved"


def _spell(name: str, value: int) -> str:
    """What the number of a field or TLV means, "" where it is only a number."""
    if name == "esm_class":
        return esm_class(value)
    if name == "registered_delivery":
        return registered_delivery(value)
    if name == "data_coding":
        return data_coding(value)
    if name == "message_state":
        return MessageState(value).name if value in MessageState.__members__.values() else "unknown"
    if name in ("interface_version", "sc_interface_version"):
        return f"{value >> 4}.{value & 15}"
    if name == "congestion_state":
        return next((word for most, word in _CONGESTION if value <= most), "congested")
    if name.endswith("_ton"):
        return _at(_TONS, value)
    if name.endswith("_npi"):
        return _NPIS.get(value, "reserved")
    return ""


# -- what must not be read -------------------------------------------------------------------------

_TEXT_LABEL: Final = re.compile(rb"text[ \t]*:", re.IGNORECASE)


def _shown(octets: bytes, is_receipt: bool) -> int:
    """How many of a text's first octets may be shown."""
    if not is_receipt or parse_text(octets) is None:
        return 0
    label = _TEXT_LABEL.search(octets)
    return label.end() if label else len(octets)


def _is_receipt(fields: dict[str, Any]) -> bool:
    return fields.get("esm_class", 0) & 0x3C in (0x04, 0x20)


# -- the doors -------------------------------------------------------------------------------------


def dump(pdu: Pdu, redact: bool = False) -> dict[str, Any]:
    """The PDU as plain values, ready for JSON, in the order of the wire.

    Numbers with a meaning become `"4 (default mode, delivery receipt)"`; texts and opaque octets become
    `{"octets": n, "hex": ..., "text": ...}`, of which redaction leaves only what may be read.
    """
    is_receipt = _is_receipt(pdu.fields)
    state = status.lookup(pdu.command_status)
    return {
        "command": pdu.name,
        "command_id": f"0x{pdu.command_id:08X}",
        "command_status": f"0x{state.code:08X} {state.name}" if pdu.command_id & RESPONSE else "0x00000000",
        "sequence_number": pdu.sequence_number,
        "fields": {name: _field(name, value, is_receipt, redact) for name, value in pdu.fields.items()},
        "tlvs": [
            {"tag": f"0x{tag:04X}", "name": tlv.name(tag), "value": _tlv(tag, value, is_receipt, redact)}
            for tag, value in pdu.tlvs
        ],
    }


def _field(name: str, value: Any, is_receipt: bool, redact: bool) -> Any:
    if name == "password":
        return "***" if redact else value
    if isinstance(value, bytes):
        return _octets(value, _shown(value, is_receipt) if redact else len(value))
    if isinstance(value, int):
        meaning = _spell(name, value)
        return f"{value} ({meaning})" if meaning else value
    if isinstance(value, str):
        return value
    return [item._asdict() for item in value]


def _tlv(tag: int, raw: bytes, is_receipt: bool, redact: bool) -> Any:
    if tag == tlv.MESSAGE_PAYLOAD:
        return _octets(raw, _shown(raw, is_receipt) if redact else len(raw))
    if tag == tlv.NETWORK_ERROR_CODE and raw[:1] and raw[0] in NETWORKS:
        return f"{NETWORKS[raw[0]]} {int.from_bytes(raw[1:], 'big')}"
    value = tlv.unpack(tag, raw)
    return _octets(value, len(value)) if isinstance(value, bytes) else _field(tlv.name(tag), value, False, redact)


def _octets(value: bytes, shown: int) -> dict[str, Any]:
    seen = value[:shown]
    described: dict[str, Any] = {"octets": len(value)}
    if seen or not value:
        described |= {"hex": seen.hex(), "text": "".join(chr(o) if 32 <= o < 127 else "." for o in seen)}
    return described


def redacted_hex(frame: bytes) -> str:
    """The frame in hexadecimal, two digits an octet, `..` for each octet of a password or text.

    Of a frame that cannot be read everything behind the header is blanked.
    """
    digits = [f"{octet:02x}" for octet in frame]
    for start, end in _secrets(frame):
        digits[start:end] = [".."] * (end - start)
    return "".join(digits)


def _secrets(frame: bytes) -> Iterator[tuple[int, int]]:
    """From where to where octets are to be blanked."""
    try:
        pdu = decode(frame, long_passwords=True)
    except PduError:
        yield HEADER_SIZE, max(HEADER_SIZE, len(frame))
        return
    is_receipt = _is_receipt(pdu.fields)
    at = HEADER_SIZE
    for name, shape, _ in commands.LAYOUTS[pdu.command_id] if pdu.fields else ():
        value = pdu.fields[name]
        if shape is Shape.STRING:
            if name == "password":
                yield at, at + len(value)
            at += len(value) + 1
        elif shape is Shape.OCTET:
            at += 1
        elif shape is Shape.SHORT_MESSAGE:
            yield at + 1 + _shown(value, is_receipt), at + 1 + len(value)
            at += 1 + len(value)
        elif shape is Shape.DESTINATIONS:
            at += 1 + sum(
                len(d.name) + 2 if isinstance(d, commands.DistributionList) else len(d.address) + 4 for d in value
            )
        else:
            at += 1 + sum(len(failure.address) + 7 for failure in value)
    for tag, raw in pdu.tlvs:
        if tag == tlv.MESSAGE_PAYLOAD:
            yield at + 4 + _shown(raw, is_receipt), at + 4 + len(raw)
        at += 4 + len(raw)
