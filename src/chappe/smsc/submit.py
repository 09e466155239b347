"""From submit_sm, data_sm and submit_multi to submissions (SMPP 3.4, 4.4, 4.5, 4.7). Pure.

A whole message in an alphabet that we know becomes a text, so that it can be encoded anew for the connector it leaves
by, shown and counted. What the customer encoded or cut itself (a user data header, SAR, binary, message waiting) passes
octet for octet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chappe.accounts import LoginDialect, Purpose, SmppLogin
from chappe.messages import PURPOSES, Submission, Wire
from chappe.messages.model import PLAIN
from chappe.smpp import Pdu, status, times, tlv
from chappe.smsc.addresses import read_destination, read_source
from chappe.smsc.on import ORIGIN
from chappe.smsc.refusals import Unfit
from chappe.text import Charset, decode, parse_udh, read_data_coding, unpack

_UDHI: Final = 0x40  # esm_class, SMPP 3.4, 5.2.12
_REPLY_PATH: Final = 0x80
_FROM_CENTRE: Final = 0x24  # receipts and intermediate notifications; clients set the other types without meaning it
_OCTETS: Final = 140  # of user data in one message (3GPP TS 23.040, 9.2.3.24)
_SEPTETS: Final = 160
_LONGEST_VALIDITY_S: Final = 7 * 86_400
_QOS_TIME_TO_LIVE: Final = tlv.TAGS["qos_time_to_live"]

# the connector writes these itself, or they speak of this session
_OURS: Final = frozenset(
    {
        tlv.MESSAGE_PAYLOAD,
        tlv.SAR_MSG_REF_NUM,
        tlv.SAR_TOTAL_SEGMENTS,
        tlv.SAR_SEGMENT_SEQNUM,
        _QOS_TIME_TO_LIVE,
        tlv.SC_INTERFACE_VERSION,
        tlv.RECEIPTED_MESSAGE_ID,
        tlv.MESSAGE_STATE,
        tlv.NETWORK_ERROR_CODE,
        tlv.CONGESTION_STATE,
        tlv.TAGS["additional_status_info_text"],
        tlv.TAGS["number_of_messages"],
    }
)
# what a data_coding without explicit alphabet means at this login, in a value that says so to every supplier
_EXPLICIT: Final = {"latin1": 0x03, "ascii": 0x01}


@dataclass(slots=True, frozen=True)
class Content:
    """What short_message or message_payload says: a text, or octets that pass as they are."""

    text: str | None = None
    data: bytes | None = None
    udh: bytes = b""
    data_coding: int | None = None
    message_class: int | None = None
    ucs2: bool = False


def read(pdu: Pdu, login: SmppLogin, dialect: LoginDialect, now: int) -> Submission:
    """The submission in a submit_sm or data_sm. `now` in milliseconds. Raises Unfit."""
    fields = pdu.fields
    to = read_destination(fields["dest_addr_ton"], fields["destination_addr"], dialect)
    return read_common(pdu, login, dialect, now, to)


def read_common(
    pdu: Pdu, login: SmppLogin, dialect: LoginDialect, now: int, to: str, correlation_id: str | None = None
) -> Submission:
    """All that a submission says beside its destination. Raises Unfit."""
    fields = pdu.fields
    _check(fields)
    sar, tlvs, purpose = _read_tlvs(pdu, dialect) if pdu.tlvs else (None, (), None)
    content = read_content(pdu, dialect, whole=sar is None)
    service_type = fields["service_type"]
    if service_type in dialect.purposes:
        purpose, service_type = purpose or dialect.purposes[service_type], ""
    send_at, validity_s = read_times(pdu, now)
    return Submission(
        account_id=login.account_id,
        to=to,
        sender=read_source(fields["source_addr_ton"], fields["source_addr"], dialect),
        text=content.text,
        purpose=purpose or login.purpose,
        wire=_wire(fields, content, service_type, sar, tlvs),
        send_at=send_at,
        validity_s=validity_s,
        correlation_id=correlation_id,
        test=login.test,
        origin=ORIGIN,
        login_id=login.id,
        receipts=fields["registered_delivery"],
    )


def _check(fields: dict[str, int]) -> None:
    if fields["esm_class"] & _FROM_CENTRE:
        raise Unfit(status.ESME_RINVESMCLASS, "esm_class: receipts cannot be submitted.")
    if fields.get("replace_if_present_flag", 0) > 1:
        raise Unfit(status.ESME_RINVREPFLAG, "replace_if_present_flag is 0 or 1.")
    if fields.get("sm_default_msg_id"):
        raise Unfit(status.ESME_RINVDFTMSGID, "There are no predefined messages: send the text.")
    if fields.get("priority_flag", 0) > 4:  # 4 came with ANSI-41 (SMPP 5.0, 4.7.19)
        raise Unfit(status.ESME_RINVPRTFLG, "priority_flag is 0 to 4.")


def _wire(
    fields: dict[str, int],
    content: Content,
    service_type: str,
    sar: tuple[int, int, int] | None,
    tlvs: tuple[tuple[int, bytes], ...],
) -> Wire:
    esm_class = fields["esm_class"] & _REPLY_PATH
    protocol_id, priority = fields.get("protocol_id", 0), fields.get("priority_flag", 0)
    plain = not (esm_class or protocol_id or priority or service_type or sar or tlvs or content.ucs2)
    if plain and content.data is None and content.message_class is None:
        return PLAIN
    return Wire(
        encoding="ucs2" if content.ucs2 else "auto",
        message_class=content.message_class,
        data=content.data,
        udh=content.udh,
        data_coding=content.data_coding,
        esm_class=esm_class,
        protocol_id=protocol_id,
        priority=priority,
        service_type=service_type,
        sar=sar,
        tlvs=tlvs,
    )


# -- what it says ------------------------------------------------------------------------------------------------------


def read_content(pdu: Pdu, dialect: LoginDialect, *, whole: bool) -> Content:
    """The text or the octets; `whole` is False for a part that SAR numbers. Raises Unfit."""
    fields = pdu.fields
    user_data: bytes = fields.get("short_message", b"")
    payload = pdu.tlv(tlv.MESSAGE_PAYLOAD) if pdu.tlvs else None
    if payload is not None:
        if user_data:
            raise Unfit(status.ESME_RINVOPTPARAMVAL, "Give either short_message or message_payload.")
        user_data = payload
    data_coding = fields["data_coding"]
    coding = read_data_coding(data_coding)
    udhi = bool(fields["esm_class"] & _UDHI)
    textual = coding.charset not in (None, "binary") and (data_coding < 0x20 or data_coding >= 0xF0)
    if udhi or not whole or not textual:
        return _octets(user_data, data_coding, udhi, whole, dialect)
    return read_text(user_data, data_coding, dialect)


def read_text(user_data: bytes, data_coding: int, dialect: LoginDialect) -> Content:
    """A whole message in an alphabet. Raises Unfit."""
    alphabet, packed = _alphabet(dialect)
    decoded = decode(user_data, data_coding, False, alphabet, False, packed)
    if decoded.text is None:
        reason = f"short_message is not of the alphabet that data_coding {data_coding} means ({decoded.encoding})."
        raise Unfit(status.ESME_RSUBMITFAIL, reason)
    # The customer's choice of UCS-2 stands; anything else takes the cheapest encoding that carries it.
    return Content(decoded.text, message_class=decoded.message_class, ucs2=decoded.encoding == "ucs2")


def _octets(user_data: bytes, data_coding: int, udhi: bool, whole: bool, dialect: LoginDialect) -> Content:
    """Octets that pass as they are. Only the pipeline's own cutting may make them more than one message."""
    udh, payload = b"", user_data
    if udhi:
        header, payload = parse_udh(user_data)
        if header.malformed:
            raise Unfit(status.ESME_RINVESMCLASS, f"esm_class announces a user data header: {header.malformed}.")
        udh = header.raw
    coding = read_data_coding(data_coding)
    binary = coding.charset == "binary"
    if binary and whole and len(user_data) > _OCTETS and data_coding != 0x04:
        return Content(data=payload, udh=udh, message_class=coding.message_class)
    alphabet, packed = _alphabet(dialect)
    septets = coding.charset in ("default", "gsm7", "latin1", "ascii")
    if septets and packed and (coding.charset == "gsm7" or alphabet == "gsm7"):
        payload = unpack(payload, len(udh))
    if coding.charset == "default":
        data_coding = _EXPLICIT.get(alphabet, data_coding)
    room = _SEPTETS - -(-len(udh) * 8 // 7) if septets else _OCTETS - len(udh)
    if len(payload) > room and not (binary and whole):
        raise Unfit(status.ESME_RINVMSGLEN, f"A part of a message holds at most {room} characters or octets here.")
    return Content(data=payload, udh=udh, data_coding=data_coding)


def _alphabet(dialect: LoginDialect) -> tuple[Charset, bool]:
    """(alphabet of data_coding 0, its septets are packed)."""
    if dialect.default_alphabet == "gsm7_packed":
        return "gsm7", True
    return dialect.default_alphabet, False


def _read_tlvs(
    pdu: Pdu, dialect: LoginDialect
) -> tuple[tuple[int, int, int] | None, tuple[tuple[int, bytes], ...], Purpose | None]:
    """(SAR numbers, the TLVs to pass on, the purpose that one of them names). Raises Unfit."""
    passed = tuple(pair for pair in pdu.tlvs if pair[0] not in _OURS and pair[0] != dialect.purpose_tlv)
    purpose: Purpose | None = None
    if dialect.purpose_tlv is not None and (named := pdu.tlv(dialect.purpose_tlv)) is not None:
        word = named.rstrip(b"\0").decode("latin-1").lower()
        if word not in PURPOSES:
            raise Unfit(status.ESME_RINVOPTPARAMVAL, f"The purpose is one of {', '.join(PURPOSES)}.")
        purpose = word
    return _sar(pdu), passed, purpose


def _sar(pdu: Pdu) -> tuple[int, int, int] | None:
    """(reference, total, sequence); None without the three of them or for a message in one part."""
    raw = [pdu.tlv(tag) for tag in (tlv.SAR_MSG_REF_NUM, tlv.SAR_TOTAL_SEGMENTS, tlv.SAR_SEGMENT_SEQNUM)]
    if any(value is None for value in raw):
        return None
    reference, total, sequence = (int.from_bytes(value or b"", "big") for value in raw)
    if total == 1 and sequence == 1:
        return None
    if not 1 <= sequence <= total <= 255 or reference > 0xFFFF:
        raise Unfit(status.ESME_RINVOPTPARAMVAL, "sar_segment_seqnum lies between 1 and sar_total_segments.")
    return reference, total, sequence


# -- when --------------------------------------------------------------------------------------------------------------


def read_times(pdu: Pdu, now: int) -> tuple[int | None, int | None]:
    """(send_at in milliseconds, validity in seconds from then); None where it does not say. Raises Unfit."""
    fields = pdu.fields
    send_at = _instant(fields.get("schedule_delivery_time", ""), now, status.ESME_RINVSCHED, "schedule_delivery_time")
    until = _instant(fields.get("validity_period", ""), now, status.ESME_RINVEXPIRY, "validity_period")
    if until is None and pdu.tlvs and (lives := pdu.tlv(_QOS_TIME_TO_LIVE)) is not None:
        until = now + 1000 * int.from_bytes(lives, "big")
    if until is None:
        return send_at, None
    start = max(now, send_at or now)
    if until <= start:
        raise Unfit(status.ESME_RINVEXPIRY, "The validity ends before the message would be sent.")
    return send_at, min(-(-(until - start) // 1000), _LONGEST_VALIDITY_S)


def _instant(text: str, now: int, refusal: int, name: str) -> int | None:
    if not text:
        return None
    try:
        return times.parse(text, now)
    except (ValueError, OverflowError) as error:
        raise Unfit(refusal, f"{name}: {error}.") from None
