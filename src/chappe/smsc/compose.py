"""From what is to be told to the deliver_sm that tell it, in the customer's dialect (SMPP 3.4, 4.6 and appendix B)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from chappe.accounts import LoginDialect
from chappe.smpp import Pdu, commands, receipt, tlv
from chappe.smsc.addresses import write_address
from chappe.smsc.message_ids import write_id
from chappe.smsc.model import InboundNews, News, ReceiptNews
from chappe.smsc.states import MESSAGE_STATE, error_number, is_intermediate, network_error
from chappe.text import Concatenation, Encoded, Options, Part, TextError, encode, encode_binary

_RECEIPT: Final = 0x04  # esm_class, SMPP 3.4, 5.2.12
_INTERMEDIATE: Final = 0x20
_UDHI: Final = 0x40
_MOST_IN_SHORT_MESSAGE: Final = 254
_SEPTETS: Final = 160  # of one message
_MAX_PARTS: Final = 255


def compose(news: News, dialect: LoginDialect, *, with_tlvs: bool) -> list[Pdu]:
    """The PDUs that carry the news, all of which have to be acknowledged. `with_tlvs`: the peer speaks 3.4 or later.

    Raises PduError or TextError for what no deliver_sm can carry.
    """
    if isinstance(news, ReceiptNews):
        return [_receipt(news, dialect)]
    return _inbound(news, dialect, with_tlvs)


def _receipt(news: ReceiptNews, dialect: LoginDialect) -> Pdu:
    state = MESSAGE_STATE[news.state]
    number = error_number(news.error)
    fields = _addresses(news.to, news.sender, dialect)
    fields["esm_class"] = _INTERMEDIATE if is_intermediate(news.state) else _RECEIPT
    if dialect.receipt_text or not dialect.receipt_tlvs:
        fields["short_message"] = receipt.format_text(
            write_id(dialect.receipt_id or dialect.message_id, news.id),
            state,
            news.created_at,
            news.at,
            f"{number:03d}",
            news.text.encode("ascii", "replace").decode(),
            _style(dialect.receipt_dates, dialect.receipt_timezone_minutes),
        )
    tlvs: list[tuple[int, bytes]] = []
    if dialect.receipt_tlvs:
        tlvs = receipt.receipt_tlvs(write_id(dialect.message_id, news.id), state, network_error(number))
    if news.reference is not None:
        tlvs.append((tlv.USER_MESSAGE_REFERENCE, news.reference))
    return Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs)


@lru_cache(maxsize=64)
def _style(date_digits: Literal[10, 12, 14], tz_offset: int) -> receipt.Style:
    return receipt.Style(date_digits=date_digits, tz_offset=tz_offset)


def _inbound(news: InboundNews, dialect: LoginDialect, with_tlvs: bool) -> list[Pdu]:
    """One PDU a part; what is too long for short_message goes in message_payload."""
    addresses = _addresses(news.sender, news.to, dialect)
    encoded = _encoded(news, dialect, "payload" if with_tlvs and dialect.long_messages == "payload" else "udh8")
    pdus = []
    for part in encoded.parts:
        user_data = part.udh + part.payload
        fields = {**addresses, "data_coding": encoded.data_coding, "esm_class": _UDHI if part.udh else 0}
        if len(user_data) > _MOST_IN_SHORT_MESSAGE:
            pdus.append(Pdu(commands.DELIVER_SM, fields=fields, tlvs=[(tlv.MESSAGE_PAYLOAD, user_data)]))
        else:
            pdus.append(Pdu(commands.DELIVER_SM, fields={**fields, "short_message": user_data}))
    return pdus


def _encoded(news: InboundNews, dialect: LoginDialect, concat: Concatenation) -> Encoded:
    """The parts of a message from a phone, its text in the login's alphabet or else in UCS-2."""
    if news.text is None:
        return _octets(news, concat)
    if not news.text:
        return Encoded("gsm7", 0, (Part(b""),), 1, 0, 0, "")
    alphabet = dialect.default_alphabet
    if alphabet in ("latin1", "ascii"):
        return _in_charset(news, alphabet, concat)
    packed = alphabet == "gsm7_packed"
    return encode(news.text, Options(concat=concat, max_parts=_MAX_PARTS, packed=packed), news.id)


def _in_charset(news: InboundNews, alphabet: Literal["latin1", "ascii"], concat: Concatenation) -> Encoded:
    """A text for a login whose data_coding 0 is a charset of octets."""
    text = news.text or ""
    try:
        octets = text.encode("latin-1" if alphabet == "latin1" else "ascii")
        if len(octets) <= _SEPTETS:  # short: no network stands between us that could not carry it
            return Encoded(alphabet, 0, (Part(octets, text),), 1, len(text), len(octets), text)
        encoded = encode(text, Options(encoding=alphabet, concat=concat, max_parts=_MAX_PARTS), news.id)
    except (UnicodeEncodeError, TextError):
        return encode(text, Options(encoding="ucs2", concat=concat, max_parts=_MAX_PARTS), news.id)
    return _with_coding(encoded, 0) if encoded.encoding == alphabet else encoded


def _octets(news: InboundNews, concat: Concatenation) -> Encoded:
    """Binary passes with its coding and header; what fits no short_message is cut."""
    if len(news.udh) + len(news.data) <= _MOST_IN_SHORT_MESSAGE:
        part = Part(news.data, udh=news.udh)
        return Encoded("binary", news.data_coding, (part,), 1, 0, len(news.data), "")
    encoded = encode_binary(news.data, news.udh, concat=concat, max_parts=_MAX_PARTS, reference=news.id)
    return _with_coding(encoded, news.data_coding)


def _with_coding(encoded: Encoded, data_coding: int) -> Encoded:
    return msgspec.structs.replace(encoded, data_coding=data_coding)


def _addresses(source: str, destination: str, dialect: LoginDialect) -> dict[str, Any]:
    from_ton, from_npi, from_address = write_address(source, dialect.plus, dialect.ton_npi)
    to_ton, to_npi, to_address = write_address(destination, dialect.plus, dialect.ton_npi)
    return {
        "source_addr_ton": from_ton,
        "source_addr_npi": from_npi,
        "source_addr": from_address,
        "dest_addr_ton": to_ton,
        "dest_addr_npi": to_npi,
        "destination_addr": to_address,
    }
