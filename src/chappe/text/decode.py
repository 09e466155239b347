"""From user data to text, for parts that others made. Nothing here raises on their octets: what cannot be read is kept
as it came and marked."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from chappe.text.alphabet import alphabet, unpack
from chappe.text.udh import NO_UDH, Udh, parse_udh

Charset = Literal["gsm7", "latin1", "ascii"]


class Coding(NamedTuple):
    """What data_coding says: `charset` is a name below, `binary`, or None when unknown or compressed."""

    charset: str | None
    message_class: int | None = None


# SMPP 3.4, 5.2.19; the values that TS 23.038, 4 does not know.
_SMPP = {
    0x01: "ascii",
    0x02: "binary",
    0x03: "latin1",
    0x04: "binary",
    0x05: "shift_jis",
    0x06: "iso8859_5",
    0x07: "iso8859_8",
    0x08: "ucs2",
    0x0A: "iso2022_jp",
    0x0D: "euc_jp",
    0x0E: "euc_kr",
}
_CODECS = {"latin1": "latin-1"}
_BY_BITS = ("gsm7", "binary", "ucs2", None)


def read_data_coding(value: int) -> Coding:
    """The charset and message class of a data_coding; `default` stands for the message centre's own alphabet."""
    if value == 0x00:
        return Coding("default")
    if value < 0x10:
        return Coding(_SMPP.get(value))
    if value < 0x80:  # TS 23.038, 4: general group and the one marked for automatic deletion
        message_class = value & 0x03 if value & 0x10 else None
        return Coding(None if value & 0x20 else _BY_BITS[value >> 2 & 0x03], message_class)
    if value < 0xC0:
        return Coding("default")  # reserved groups are read as the default alphabet
    if value < 0xF0:
        return Coding("ucs2" if value >= 0xE0 else "gsm7")  # message waiting
    return Coding("binary" if value & 0x04 else "gsm7", value & 0x03)


class Decoded(Struct, frozen=True):
    """What a part says. `text` is None when it is `binary` or `undecodable`.

    `payload` is the user data after its header, septets one an octet even if they came packed; `encoding` is the
    charset that read it.
    """

    text: str | None
    udh: Udh
    payload: bytes
    encoding: str | None
    binary: bool = False
    undecodable: bool = False
    message_class: int | None = None


def decode(
    user_data: bytes,
    data_coding: int,
    udhi: bool = False,
    default_alphabet: Charset = "gsm7",
    ucs2_little_endian: bool = False,
    packed: bool = False,
) -> Decoded:
    """Reads one part. The last three are the sender's dialect: its alphabet for data_coding 0, UCS-2, septets."""
    udh, payload = parse_udh(user_data) if udhi else (NO_UDH, user_data)
    coding = read_data_coding(data_coding)
    if coding.charset == "binary":
        return Decoded(None, udh, payload, "binary", binary=True, message_class=coding.message_class)
    charset = default_alphabet if coding.charset == "default" else coding.charset
    if packed and charset == "gsm7":
        payload = unpack(payload, len(udh.raw))
    # A wrong data_coding is common: the default alphabet is tried next, but UCS-2 is never read as septets.
    for attempt in (charset,) if charset == "ucs2" else (charset, default_alphabet):
        text = read(payload, attempt, udh.locking, udh.single, ucs2_little_endian)
        if text is not None:
            return Decoded(text, udh, payload, attempt, message_class=coding.message_class)
    return Decoded(None, udh, payload, charset, undecodable=True, message_class=coding.message_class)


def read(payload: bytes, charset: str | None, locking: int, single: int, little_endian: bool) -> str | None:
    """The text of octets in one charset, or None when they are not of that charset."""
    if charset is None:
        return None
    try:
        if charset == "gsm7":
            return alphabet(locking, single).decode(payload)
        if charset == "ucs2":
            return payload.decode("utf-16-le" if little_endian else "utf-16-be").removeprefix("\ufeff")
        return payload.decode(_CODECS.get(charset, charset))
    except UnicodeDecodeError:
        return None
