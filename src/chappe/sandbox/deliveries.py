"""What goes to the customer as deliver_sm: receipts in many forms and messages from phones."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, Final, Literal

from chappe import text
from chappe.sandbox.behaviour import Behaviour
from chappe.sandbox.submits import Address, Submit
from chappe.smpp import Pdu, commands, receipt, tlv
from chappe.text import Options

Tlvs = list[tuple[int, bytes]]
Order = Literal["in_order", "shuffled", "gap"]

_RECEIPT: Final = 0x04  # esm_class of a receipt, and of an intermediate notification (SMPP 3.4, 5.2.12)
_INTERMEDIATE: Final = 0x20
_UDHI: Final = 0x40
_GSM: Final = b"\x03"  # the network type in network_error_code (SMPP 3.4, 5.3.2.31)
_GARBAGE: Final = b"DLR \x00\xff\x13 ??? " + bytes(range(128, 160))


class Delivery(ABC):
    """Something that waits until the customer acknowledges it. `since` is monotonic seconds."""

    __slots__ = ("since", "tries")
    is_receipt = False

    def __init__(self, since: float) -> None:
        self.since = since
        self.tries = 0

    @abstractmethod
    def pdu(self) -> Pdu:
        """A new deliver_sm."""


class FromPhone(Delivery):
    """A message, or a part of one, that a phone has sent."""

    __slots__ = ("fields", "tlvs")

    def __init__(self, since: float, fields: dict[str, Any], tlvs: Tlvs) -> None:
        super().__init__(since)
        self.fields = fields
        self.tlvs = tlvs

    def pdu(self) -> Pdu:
        return Pdu(commands.DELIVER_SM, fields=dict(self.fields), tlvs=list(self.tlvs))


class ReceiptFor(Delivery):
    """The receipt of one state of a message; small, since millions may wait. `at` is milliseconds since the epoch."""

    __slots__ = ("at", "behaviour", "stat", "submit")
    is_receipt = True

    def __init__(self, since: float, submit: Submit, behaviour: Behaviour, stat: str, at: int) -> None:
        super().__init__(since)
        self.submit = submit
        self.behaviour = behaviour
        self.stat = stat
        self.at = at

    def pdu(self) -> Pdu:
        submit, behaviour, form = self.submit, self.behaviour, self.behaviour.form
        phone, customer = submit.destination, submit.source
        if behaviour.addresses == "as_submitted":
            phone, customer = customer, phone
        esm_class = _INTERMEDIATE if self.stat == "ENROUTE" else _RECEIPT
        fields = _addressed(phone, customer, 0 if form == "as_mo" else esm_class, 0)
        message_id = _receipt_id(submit.message_id, behaviour)
        failed = self.stat not in ("DELIVRD", "ACCEPTD", "ENROUTE")
        err = behaviour.err if failed else "000"
        words = b"" if form == "tlvs" else self._text(message_id, err, form)
        if form == "payload":
            return Pdu(commands.DELIVER_SM, fields=fields, tlvs=[(tlv.MESSAGE_PAYLOAD, words)])
        fields["short_message"] = words
        tlvs: Tlvs = []
        if form in ("both", "tlvs", "broken"):
            tlvs.append((tlv.RECEIPTED_MESSAGE_ID, message_id.encode("latin-1") + b"\0"))
            tlvs.append((tlv.MESSAGE_STATE, bytes((receipt.state_of(self.stat),))))
            if err.isdigit() and err != "000":
                tlvs.append((tlv.NETWORK_ERROR_CODE, _GSM + (int(err) & 0xFFFF).to_bytes(2, "big")))
        return Pdu(commands.DELIVER_SM, fields=fields, tlvs=tlvs)

    def _text(self, message_id: str, err: str, form: str) -> bytes:
        if form == "garbage":
            return _GARBAGE
        submitted, done = self.submit.at // 1000, self.at // 1000
        if form == "reordered":
            words = (
                f"STAT:{self.stat} ID:{message_id} ERR:{err} "
                f"DONE DATE:{_date(done, '%Y%m%d%H%M%S')} SUBMIT DATE:{_date(submitted, '%Y%m%d%H%M%S')}"
            )
            return words.encode("latin-1")
        delivered = "001" if self.stat == "DELIVRD" else "000"
        words = (
            f"id:{message_id} sub:001 dlvrd:{delivered} submit date:{_minute(submitted // 60)} "
            f"done date:{_minute(done // 60)} stat:{self.stat} err:{err} text:"
        )
        written = words.encode("latin-1") + _beginning(self.submit)
        return written[: written.index(b"submit") + 8] if form == "broken" else written


def _beginning(submit: Submit) -> bytes:
    """The first 20 characters of the message, as octets of the receipt."""
    if submit.data_coding in (0x00, 0x01, 0x03):  # SMPP 3.4, 5.2.19: default alphabet, ASCII, Latin-1
        return submit.payload[:20]
    return (submit.text or "")[:20].encode("latin-1", "replace")


def _receipt_id(message_id: str, behaviour: Behaviour) -> str:
    """The message_id of the response in the receipt's spelling."""
    if not message_id or behaviour.receipt_id == "same":
        return message_id
    if behaviour.receipt_id == "padded":
        return message_id.zfill(len(message_id) + 4)
    if behaviour.receipt_id == "upper":
        return message_id.upper()
    number = int(message_id, 16 if behaviour.message_id == "hex" else 10)
    return f"{number:x}" if behaviour.receipt_id == "hex" else str(number)


def _date(at: int, form: str) -> str:
    return time.strftime(form, time.gmtime(at))


@lru_cache(16)
def _minute(minutes: int) -> str:
    return _date(minutes * 60, "%y%m%d%H%M")


def _addressed(source: Address, destination: Address, esm_class: int, data_coding: int) -> dict[str, Any]:
    return {
        "source_addr_ton": source[0],
        "source_addr_npi": source[1],
        "source_addr": source[2],
        "dest_addr_ton": destination[0],
        "dest_addr_npi": destination[1],
        "destination_addr": destination[2],
        "esm_class": esm_class,
        "data_coding": data_coding,
    }


def from_octets(
    since: float,
    source: Address,
    destination: Address,
    user_data: bytes,
    data_coding: int,
    udhi: bool = False,
    esm_class: int = 0,
    tlvs: Tlvs | None = None,
) -> FromPhone:
    """A message of a phone, octet by octet; what short_message cannot hold goes into message_payload."""
    fields = _addressed(source, destination, esm_class | (_UDHI if udhi else 0), data_coding)
    extra = list(tlvs or ())
    if len(user_data) > 254:
        extra.append((tlv.MESSAGE_PAYLOAD, user_data))
    else:
        fields["short_message"] = user_data
    return FromPhone(since, fields, extra)


def from_text(
    since: float,
    source: Address,
    destination: Address,
    words: str,
    options: Options,
    reference: int,
    order: Order = "in_order",
) -> list[FromPhone]:
    """A message of a phone in as many parts as it takes. Raises TextError."""
    encoded = text.encode(words, options, reference)
    parts = []
    for part in encoded.parts:
        tlvs: Tlvs = []
        if part.sar is not None:
            numbers = (tlv.SAR_MSG_REF_NUM, tlv.SAR_TOTAL_SEGMENTS, tlv.SAR_SEGMENT_SEQNUM)
            tlvs = [(tag, tlv.pack(tag, number)) for tag, number in zip(numbers, part.sar, strict=True)]
        parts.append(
            from_octets(since, source, destination, part.user_data, encoded.data_coding, bool(part.udh), tlvs=tlvs)
        )
        if options.concat == "payload":  # the text may be short: the caller wants the TLV all the same
            _move_to_payload(parts[-1])
    if order == "gap":
        return parts[:-1]
    if order == "shuffled" and len(parts) > 1:
        return [parts[1], *parts[2:], FromPhone(since, parts[1].fields, parts[1].tlvs), parts[0]]
    return parts


def _move_to_payload(message: FromPhone) -> None:
    if "short_message" in message.fields:
        message.tlvs.append((tlv.MESSAGE_PAYLOAD, message.fields.pop("short_message")))
